"""Curves of quality against damage, for the page: a sentence, a plot for each column, a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from omnifuse.evaluation.robustness.corruptions import ABSENT
from omnifuse.evaluation.robustness.summaries import damage_name, every_curve
from omnifuse.page.blocks import Block, Cell, Plot, Table, Texts
from omnifuse.page.figures import ACCENT, INK, QUIET, SECOND, THIRD, legend_above, one_axes, styled, to_svg
from omnifuse.page.sections import Section
from omnifuse.page.words import figure, label, quantity

COLOURS, DASHES = (ACCENT, SECOND, THIRD), ("-", (0, (4, 2)), (0, (1, 1.5)))
MARKS = "osD^vPX"
BESIDE = 0.06  # how far apart the whiskers of one level stand
SURE = {"suffers": "suffers", "holds": "holds", "unclear": "too few rows to tell"}


def robustness_section(found: Mapping[str, Mapping[str, Any]], key: str = "robustness") -> Section:
    """What `robustness` told of every target.

    Args:
        found: by target; a target without a column to damage has no blocks.
        key: of the plots on the page, where it must be its own.
    """
    blocks: list[Block] = []
    for number, (target, each) in enumerate(found.items()):
        if not each["columns"]:
            continue
        blocks.append(Texts(target, f"{each['rows']:,} rows", [(sentence, "") for sentence in each["sentences"]]))
        for place, (column, damaged) in enumerate(each["columns"].items()):
            svg = damage_curves(each, damaged["curves"], key=f"{key}-{number}-{place}")
            blocks.append(Plot(f"{target}: {column} damaged", "whiskers are 95 % intervals over rows; level 0 is as it is", svg))
        blocks.append(_table(target, each))
    if blocks:
        blocks.append(_units(found))
    note = "Each input column is damaged more and more while the others stay as they are; every model gets the same damage."
    return Section("Does it hold?", note, blocks)


@styled
def damage_curves(found: Mapping[str, Any], curves: Mapping[str, Mapping[str, Any]], *, key: str) -> str:
    """The main metric over the number of the level, a line for each damage, with the floor.

    Args:
        found: of the target: `metric`, `intact`, `interval`, `floor`, `unit_of_one`.
        curves: by damage, of one column.
        key: name of the plot on the page.
    """
    figure_, axes = one_axes(4.8, 3.3)
    most, highest = 0, found["intact"]
    for number, (name, curve) in enumerate(curves.items()):
        values = np.array([found["intact"], *curve["values"]])
        ends = np.array([found["interval"], *curve["intervals"]])
        places = np.arange(len(values)) + BESIDE * (number - (len(curves) - 1) / 2)
        is_absence = name == ABSENT
        colour = INK if is_absence else COLOURS[number % len(COLOURS)]
        dash = "-" if is_absence else DASHES[number // len(COLOURS) % len(DASHES)]
        axes.errorbar(
            places,
            values,
            yerr=np.maximum(np.abs(ends.T - values), 0),
            color=colour,
            linestyle=dash,
            marker=MARKS[number % len(MARKS)],
            markersize=3.6,
            linewidth=1.4,
            elinewidth=0.8,
            label=label(damage_name(name)),
        )
        most, highest = max(most, len(values) - 1), max(highest, float(ends.max()))
    if found["unit_of_one"] or found["floor"] < 3 * highest:  # farther out it would squeeze the curves
        axes.axhline(found["floor"], color=QUIET, linewidth=1, linestyle=(0, (3, 3)), label="constant answer")
    axes.set_xticks(range(most + 1))
    axes.set_ylim(0, 1.04 if found["unit_of_one"] else None)
    axes.set(xlabel="level of damage", ylabel=found["metric"])
    legend_above(axes, 3, handle=2.0)
    return to_svg(figure_, key, f"{found['metric']} over the level of damage")


def _table(target: str, found: Mapping[str, Any]) -> Table:
    """Every curve in a row."""
    rows: list[list[str | Cell]] = []
    for column, name, curve in every_curve(found):
        relative, interval = curve["relative"], curve["relative_interval"]
        left = "–" if relative is None else f"{100 * relative:.0f} %"
        if interval:
            left += f" ({100 * interval[0]:.0f}–{100 * interval[1]:.0f})"
        levels = f"{quantity(curve['levels'][0])} to {quantity(curve['levels'][-1])}"
        weakest, strongest = (Cell(figure(curve["values"][end]), curve["values"][end]) for end in (0, -1))
        rows.append([column, damage_name(name), levels, weakest, strongest, Cell(left, relative), SURE[curve["verdict"]]])
    note = (
        f"{found['metric']} at the weakest and the strongest level; {figure(found['intact'])} without damage, {figure(found['floor'])} for"
        " the constant answer. The gain between these two that is left is a mean over levels, with its 95 % interval"
    )
    head = ["column", "damage", "levels", "weakest", "strongest", "gain left", "verdict"]
    return Table(f"{target}: every damage", note, head, rows, numbers=(2, 3, 4, 5))


def _units(found: Mapping[str, Mapping[str, Any]]) -> Texts:
    """What the levels of each damage count."""
    units: dict[str, str] = {}
    for each in found.values():
        for column, name, curve in every_curve(each):
            modality = "any column" if name == ABSENT else each["columns"][column]["modality"]
            units[f"{modality}, {damage_name(name)}: {curve['unit']}"] = ", ".join(quantity(level) for level in curve["levels"])
    return Texts("What the levels mean", "those of level 1, 2, …", list(units.items()))
