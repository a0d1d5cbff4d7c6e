"""Where it fails, as a page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omnifuse.page.blocks import Block, Cell, Plot, Table
from omnifuse.page.figures import ACCENT, INK, QUIET, SECOND, legend_above, name_rows, one_axes, styled, to_svg
from omnifuse.page.sections import Section
from omnifuse.page.words import figure, label, percent, span

MOST_SAID = 3


def slices_section(target: str, found: Mapping[str, Any], name: str, key: str) -> Section:
    """The worst slices of one target, in words, as dots and as a table.

    Args:
        target: its name.
        found: what `find_slices` returned.
        name: of the metric, in words.
        key: begins the names of its plots on the page.
    """
    blocks: list[Block] = []
    if found["slices"]:
        note = f"{name} in a slice and in all other rows; the whisker is the 95 % interval of the difference"
        blocks = [Plot("How much worse", note, slice_dots(found["slices"], name, key=f"{key}-slices"), wide=True), _table(found, name)]
    said = [*found["sentences"][:MOST_SAID], *(f"Not looked at: {each}." for each in found["left_out"])]
    return Section(f"Where does it fail in {target}?", " ".join(said), blocks)


@styled
def slice_dots(slices: Sequence[Mapping[str, Any]], name: str, *, key: str) -> str:
    """A dot for each slice and one for all other rows, on one line."""
    figure_, axes = one_axes(7.4, 1.2 + 0.34 * len(slices), grid="x")
    places = np.arange(len(slices))
    values, others = (np.array([each[side] for each in slices]) for side in ("value", "elsewhere"))
    half = np.array([each["interval"][1] - each["worse"] for each in slices])
    axes.hlines(places, np.minimum(values, others), np.maximum(values, others), color=QUIET, linewidth=1)
    axes.errorbar(values, places, xerr=half, fmt="none", ecolor=INK, elinewidth=1.2, capsize=2.5)
    axes.plot(values, places, "o", color=SECOND, markersize=6, label="in the slice")
    axes.plot(others, places, "o", color=ACCENT, markersize=6, label="elsewhere")
    name_rows(axes, [label(each["text"], 44) for each in slices])
    axes.set_xlabel(name)
    legend_above(axes, 2)
    return to_svg(figure_, key, f"{name} in the worst slices and elsewhere")


def _table(found: Mapping[str, Any], name: str) -> Table:
    rows: list[Sequence[str | Cell]] = [
        [
            each["text"],
            Cell(f"{each['rows']:,} ({percent(each['rows'], found['rows'])})", each["rows"]),
            Cell(figure(each["value"]), each["value"]),
            Cell(figure(each["elsewhere"]), each["elsewhere"]),
            Cell(f"{figure(each['worse'])} ({span(each['interval'])})", each["worse"]),
            Cell(figure(each["excess"]), each["excess"]),
            Cell(f"{each['p']:.1g}", each["p"]),
        ]
        for each in found["slices"]
    ]
    note = (
        f"of {found['tried']:,} conditions and pairs; lost: worse by × rows; p is corrected for all that were tried. What was chosen as"
        " the worst of many looks a little worse than it is"
    )
    return Table("Worst slices", note, ["where", "rows", name, "elsewhere", "worse by", "lost", "p"], rows, numbers=[1, 2, 3, 4, 5, 6])
