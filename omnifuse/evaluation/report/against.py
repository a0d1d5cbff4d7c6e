"""One model against another, as a page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omnifuse.evaluation.report.names import metric_name
from omnifuse.page.blocks import Block, Cell, Table
from omnifuse.page.sections import Section
from omnifuse.page.words import counted, figure


def against_section(found: Mapping[str, Any]) -> Section:
    """A row for each metric with its difference, and for each damage that both were put to.

    Args:
        found: what `compare_runs` told of one target.
    """
    ours, theirs = found["names"]
    rows = [
        [
            metric_name(name),
            Cell(figure(each["ours"]), each["ours"]),
            Cell(figure(each["theirs"]), each["theirs"]),
            Cell(_signed(each["difference"]), each["difference"]),
            _ends(each.get("interval")),
        ]
        for name, each in found["metrics"].items()
    ]
    note = "95 % bootstrap intervals of the difference, the same draws for both"
    blocks: list[Block] = [
        Table("Both on the same rows", note, ["metric", ours, theirs, "difference", "interval"], rows, numbers=[1, 2, 3, 4])
    ]
    held = [
        [column, name, Cell(_signed(each["effective"]), each["effective"]), _ends(each["interval"])]
        for column, curves in found.get("robustness", {}).items()
        for name, each in curves.items()
    ]
    if held:
        note = "how much less is lost to it, mean over the levels; above 0 holds better"
        blocks.append(Table("Under damage", note, ["column", "damage", "effective robustness", "interval"], held, numbers=[2, 3]))
    return Section(f"Against {theirs}", counted(found["rows"], "row"), blocks)


def _signed(value: float) -> str:
    return f"{value:+.4f}" if abs(value) < 10 else f"{value:+.4g}"


def _ends(interval: list[float] | None) -> str:
    return f"{_signed(interval[0])} to {_signed(interval[1])}" if interval else "–"
