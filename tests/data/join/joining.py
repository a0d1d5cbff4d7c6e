"""Joins as the tests make them: every report adds up and is plain JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.join.config import JoinConfig
from omnifuse.data.join.join import join_table
from omnifuse.data.join.report import JoinReport
from omnifuse.data.table import Table, iterate_rows


def table(rows: list[dict[str, Any]], *names: str) -> Table:
    return Table(list(names or rows[0]), lambda: iter(rows))


def join(left: Table, right: Table, **options: Any) -> tuple[list[dict[str, Any]], JoinReport]:
    joined, report = join_table(left, JoinConfig.parse({"source": "other.csv", **options}), right, name="other")
    adds_up(report)
    json.dumps(report.dump(), allow_nan=False)
    return list(iterate_rows(joined)), report


def adds_up(report: JoinReport) -> None:
    left, right = report.left, report.right
    assert left.rows == left.matched + left.unmatched + left.too_far + left.too_few + left.without_key + left.unreadable
    assert right.rows == right.used + right.duplicated + right.left_out + right.unmatched + right.without_key + right.unreadable
    assert left.kept == (left.matched if report.how == "inner" else left.rows)


def fault(left: Table, right: Table, **options: Any) -> str:
    with pytest.raises(OmnifuseError) as caught:
        join(left, right, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
