"""Figures by group, as a page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omnifuse.page.blocks import Block, Cell, Plot, Table
from omnifuse.page.figures import ACCENT, INK, name_rows, one_axes, styled, to_svg
from omnifuse.page.sections import Section
from omnifuse.page.words import figure, label, span

VERDICTS = {"differs": "differs", "alike": "alike", "unclear": "too few rows to tell"}
BELOW_ALL = -1e300  # where a table sorts what has no value
ASKED = {"recall": "found of those that are", "rate": "answered with"}


def groups_section(target: str, found: Mapping[str, Any], names: Mapping[str, str], key: str) -> Section:
    """All metrics of one target by the values of columns, in words, as dots and as tables.

    Args:
        target: its name.
        found: what `by_group` returned.
        names: of metrics in words, by what they are called; those that are not there keep their own.
        key: begins the names of its plots on the page.
    """
    blocks: list[Block] = []
    for place, (column, told) in enumerate(found["columns"].items()):
        main = names.get(found["metric"], found["metric"])
        svg = part_dots(told["parts"], found["metric"], main, key=f"{key}-groups{place}")
        blocks += [Plot(f"{main} by {column}", "the whisker is the 95 % interval", svg), _parts_table(column, told["parts"], names)]
        if told["labels"]:
            blocks.append(_labels_table(column, told))
    return Section(f"Is it as good for all in {target}?", " ".join(found["sentences"]), blocks)


@styled
def part_dots(parts: Sequence[Mapping[str, Any]], metric: str, name: str, *, key: str) -> str:
    """A dot with its interval for each part."""
    shown = [part for part in parts if metric in part["metrics"]]
    figure_, axes = one_axes(4.8, 1.0 + 0.34 * len(shown), grid="x")
    places, values = np.arange(len(shown)), np.array([part["metrics"][metric] for part in shown])
    ends = np.array([part["intervals"].get(metric, [value, value]) for part, value in zip(shown, values, strict=True)]).reshape(-1, 2)
    axes.errorbar(values, places, xerr=np.maximum(np.abs(ends.T - values), 0), fmt="none", ecolor=INK, elinewidth=1.2, capsize=2.5)
    axes.plot(values, places, "o", color=ACCENT, markersize=6)
    name_rows(axes, [f"{label(part['name'])} ({part['rows']:,})" for part in shown])
    axes.set_xlabel(name)
    return to_svg(figure_, key, f"{name} of each part, with the number of rows")


def _parts_table(column: str, parts: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Table:
    metrics = list(dict.fromkeys(metric for part in parts for metric in part["metrics"]))
    rows: list[Sequence[str | Cell]] = [
        [part["name"], Cell(f"{part['rows']:,}", part["rows"]), *(_cell(part, metric) for metric in metrics)] for part in parts
    ]
    head = [column, "rows", *(names.get(metric, metric) for metric in metrics)]
    return Table(f"By {column}", "95 % intervals", head, rows, numbers=range(1, len(head)))


def _cell(part: Mapping[str, Any], metric: str) -> Cell:
    value, interval = part["metrics"].get(metric), part["intervals"].get(metric)
    if value is None:
        return Cell("–", BELOW_ALL)
    return Cell(figure(value) + (f" ({span(interval)})" if interval else ""), value)


def _labels_table(column: str, told: Mapping[str, Any]) -> Table:
    parts = [part["name"] for part in told["parts"]]
    rows: list[Sequence[str | Cell]] = []
    for each in told["labels"]:
        for what, words in ASKED.items():
            values, gap = each[what]["values"], each[what]["gap"]
            cells = [Cell("–", -1.0) if values[part] is None else Cell(figure(values[part]), values[part]) for part in parts]
            if gap is None:
                last = [Cell("–", -1.0), Cell("–", 2.0), VERDICTS["unclear"]]
            else:
                last = [
                    Cell(f"{figure(gap['value'])} ({span(gap['interval'])})", gap["value"]),
                    Cell(f"{gap['p']:.1g}", gap["p"]),
                    VERDICTS[gap["verdict"]],
                ]
            rows.append([f"{words} {each['label']}", *cells, *last])
    head = ["share", *parts, "gap", "p", ""]
    note = "equal opportunity: found of those that are; parity: answered with. p is corrected for all that is compared"
    return Table(f"Labels by {column}", note, head, rows, numbers=range(1, len(head) - 1))
