"""A long table of samples becomes windows: none spans two recordings, every sample is counted."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joining import table

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.join.config import WindowsConfig
from omnifuse.data.join.report import WindowsReport
from omnifuse.data.join.windows import cut_windows
from omnifuse.data.table import Table, iterate_rows, read_table


def cut(samples: Table, **options: Any) -> tuple[list[dict[str, Any]], WindowsReport]:
    windows, report = cut_windows(samples, WindowsConfig.parse({"by": ["rec"], "columns": ["x"], "into": "motion", **options}))
    assert report.rows == report.used + report.left_over + report.without_key + report.without_order
    json.dumps(report.dump(), allow_nan=False)
    return list(iterate_rows(windows)), report


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.one_of(st.none(), st.integers(0, 30))), max_size=40),
    st.integers(1, 5),
    st.one_of(st.none(), st.integers(1, 7)),
    st.booleans(),
    st.booleans(),
)
def test_windows_agree_with_a_loop(cells: list, length: int, stride: int | None, partial: bool, ordered: bool):
    samples = [{"rec": rec, "t": t, "x": x} for x, (rec, t) in enumerate(cells)]
    step, expected, used = stride or length, [], set()
    for rec in ("a", "b"):
        rows = [s for s in samples if s["rec"] == rec and not (ordered and s["t"] is None)]
        rows = sorted(rows, key=lambda s: s["t"]) if ordered else rows
        start, end, number = 0, 0, 0
        while start + length <= len(rows) or (partial and start < len(rows) and end < len(rows)):
            some = rows[start : start + length]
            expected.append((rec, number, some[0]["t"] if ordered else start, [float(s["x"]) for s in some]))
            used |= {s["x"] for s in some}
            start, end, number = start + step, start + len(some), number + 1
    options: dict[str, Any] = {"length": length, "stride": stride, "partial": "keep" if partial else "drop"}
    options |= {"order": "t"} if ordered else {"keep": {"t": "last"}}
    rows, report = cut(table(samples, "rec", "t", "x"), **options)
    got = [(row["rec"], row["window"], row["start"], row["motion"]["x"]) for row in rows]
    assert sorted(got, key=lambda row: row[:2]) == expected
    assert (report.used, report.windows) == (len(used), len(expected))
    assert report.partial == sum(len(row[3]) < length for row in expected)


def test_other_columns_must_be_constant_or_say_what_counts():
    samples = [{"rec": 1, "x": i, "activity": a, "place": "lab"} for i, a in enumerate(["walk", "run", "run", "sit", "sit", "sit"])]
    with pytest.raises(OmnifuseError) as caught:
        cut(table(samples), length=3)
    assert str(caught.value) == (
        "windows: the column \"activity\" changes within 1 of 2 windows, such as from 'walk' to 'run';"
        " say which value counts, such as keep: {activity: majority}"
    )
    for how, expected in (("first", ["walk", "sit"]), ("last", ["run", "sit"]), ("majority", ["run", "sit"])):
        rows, _ = cut(table(samples), length=3, keep={"activity": how})
        assert [row["activity"] for row in rows] == expected
        assert [row["place"] for row in rows] == ["lab", "lab"]


def test_broken_cells_are_gaps_and_counted():
    cells = [("2", "0.5"), ("1", "broken"), ("10", ""), ("3", None), ("soon", "7"), ("", 1)]
    samples = [{"rec": "r", "t": t, "x": x, "y": 1} for t, x in cells]
    rows, report = cut(table(samples), length=2, order="t", columns=["x", "y"])
    assert [row["start"] for row in rows] == ["1", "3"]
    np.testing.assert_equal([row["motion"] for row in rows], [{"x": [np.nan, 0.5], "y": [1, 1]}, {"x": [np.nan, np.nan], "y": [1, 1]}])
    assert report.cells == {"x": {"missing": 2, "unreadable": 1}, "y": {"missing": 0, "unreadable": 0}}
    assert (report.without_order, report.left_over, report.used) == (2, 0, 4)


def test_the_order_of_rows_means_nothing_where_there_is_a_column_of_order():
    random.seed(2)
    samples = [{"rec": rec, "t": t, "x": t * t, "who": rec.upper()} for rec in "abc" for t in range(25)]
    first, _ = cut(table(samples), length=10, stride=5, order="t")
    random.shuffle(samples)
    again, report = cut(read_table(pa.Table.from_pylist(samples)), length=10, stride=5, order="t")
    assert sorted(again, key=lambda row: (row["rec"], row["window"])) == first
    assert (report.recordings, report.windows, report.short) == (3, 12, 0)
    assert first[1] == {"rec": "a", "window": 1, "start": 5, "who": "A", "motion": {"x": [float(t * t) for t in range(5, 15)]}}


def test_names_that_clash_and_columns_that_are_not_there():
    samples = table([{"rec": 1, "x": 1, "window": 5}])
    with pytest.raises(OmnifuseError, match='the new column "window" has the name of another'):
        cut(samples, length=1)
    rows, _ = cut(samples, length=1, number_column="n")
    assert rows == [{"rec": 1, "n": 0, "start": 0, "window": 5, "motion": {"x": [1.0]}}]
    with pytest.raises(OmnifuseError, match='windows: unknown column "recc"; did you mean "rec"'):
        cut(samples, length=1, by=["recc"])
    assert cut(table([], "rec", "x"), length=3)[0] == []


def test_real_recordings_of_ragged_files(shared_data: Path):
    paths = sorted((shared_data / "sensors" / "arem").rglob("dataset*.csv"))
    if not paths:
        pytest.skip("no AReM recordings")
    samples, broken = [], 0
    for path in paths:
        for line in path.read_text().splitlines()[1:]:
            fields = line.split(",")  # the fields of some lines are parted by spaces: their channels are one broken word
            broken += not fields[2]
            samples.append({"file": path.name, "activity": path.parent.name, "step": fields[0], "rss": fields[2], "var": fields[3]})
    options = {"by": ["activity", "file"], "order": "step", "columns": ["rss", "var"], "length": 64, "stride": 32}
    rows, report = cut(table(samples), **options)
    assert (report.recordings, report.rows) == (88, len(samples))
    assert report.windows == len(rows) > 1000
    assert 0 < broken == report.cells["rss"]["missing"]
    odd = {row["activity"] for row in rows if not all(map(math.isfinite, row["motion"]["rss"]))}
    assert odd == {"bending2"}
    assert all(len(row["motion"]["rss"]) == 64 for row in rows)
