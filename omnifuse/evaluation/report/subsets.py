"""What each column contributes, as a page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omnifuse.page.blocks import Block, Cell, Plot, Table
from omnifuse.page.figures import ACCENT, INK, QUIET, name_rows, one_axes, styled, to_svg
from omnifuse.page.sections import Section
from omnifuse.page.words import counted, figure, label, listed, span

MOST_SUBSETS = 64


def subsets_section(found: Mapping[str, Any], name: str, key: str) -> Section:
    """Shares of the columns as bars, every subset as a table, and what pairs of columns know.

    Args:
        found: what `subset_test` returned.
        name: of the metric, in words.
        key: of the plots on the page.
    """
    note = counted(found["rows"], "row")
    note += ", all subsets of the columns" if found["exact"] else ", subsets that were drawn"
    if found["dealt"]:
        were = "was" if len(found["dealt"]) == 1 else "were"
        note += f"; {listed(found['dealt'])} {were} never absent in training, so other rows' values stand in when hidden"
    shares = "Shapley shares of the metric between no column and all; the whisker is the 95 % interval"
    bars = Plot("What each column contributes", shares, contribution_bars(found["contributions"], name, key=f"{key}-shares"))
    blocks: list[Block] = [bars, _subset_table(found, name)]
    if found["pairs"]:
        blocks.append(_pair_table(found["pairs"]))
    return Section("Does it use every column?", note, blocks)


@styled
def contribution_bars(contributions: Mapping[str, Mapping[str, Any]], name: str, *, key: str) -> str:
    """A bar for each column, with its 95 % interval."""
    figure_, axes = one_axes(4.8, 1.0 + 0.42 * len(contributions), grid="x")
    values = np.array([share["value"] for share in contributions.values()])
    ends = np.array([share["interval"] for share in contributions.values()])
    places = np.arange(len(values))
    axes.barh(places, values, 0.56, color=ACCENT)
    axes.errorbar(values, places, xerr=np.abs(ends.T - values), fmt="none", ecolor=INK, elinewidth=1.2, capsize=2.5)
    axes.axvline(0, color=QUIET, linewidth=1)
    name_rows(axes, [label(column) for column in contributions])
    axes.set_xlabel(f"share of the {name}")
    return to_svg(figure_, key, f"What each column contributes to the {name}")


def _subset_table(found: Mapping[str, Any], name: str) -> Table:
    columns = list(found["contributions"])
    shown = sorted(found["subsets"], key=lambda subset: (len(subset["known"]), subset["known"]))[:MOST_SUBSETS]
    rows: list[Sequence[str | Cell]] = [
        [
            Cell(" + ".join(subset["known"]) or "no column", len(subset["known"])),
            Cell(figure(subset["value"]), subset["value"]),
            span(subset["interval"]),
        ]
        for subset in shown
    ]
    note = f"of {counted(len(columns), 'column')}" + (
        f"; the first {len(shown)} of {len(found['subsets'])}" if len(shown) < len(found["subsets"]) else ""
    )
    return Table("With only these columns known", note, ["known", name, "95 % interval"], rows, numbers=[1, 2])


def _pair_table(pairs: Sequence[Mapping[str, Any]]) -> Table:
    parts = ("redundancy", "unique_first", "unique_second", "synergy")
    rows: list[Sequence[str | Cell]] = [
        [" and ".join(pair["columns"]), *(Cell(figure(pair[part]), pair[part]) for part in parts)] for pair in pairs
    ]
    head = ["pair", "both say", "the first alone", "the second alone", "only together"]
    note = "bits about the answer that this model can use; exploratory, read it as a hint"
    return Table("What pairs of columns know", note, head, rows, numbers=[1, 2, 3, 4])
