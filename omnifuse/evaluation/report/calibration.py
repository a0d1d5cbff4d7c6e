"""Can its confidence be trusted, as a page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omnifuse.evaluation.calibration.sentences import MAIN, inputs_of, pattern_words
from omnifuse.page.blocks import Block, Cell, Plot, Table
from omnifuse.page.figures import ACCENT, INK, QUIET, SECOND, name_rows, one_axes, styled, to_svg
from omnifuse.page.sections import Section
from omnifuse.page.words import counted, figure, label

MOST_PATTERNS = 16
METHODS = {
    "lac": "labels that are probable enough",
    "aps": "the most probable labels, until they are enough together",
    "residual": "the answer, and as much to both sides of it as errors were",
    "cqr": "the outermost quantiles, moved by as much as they were wrong",
}


def calibration_section(target: str, details: Mapping[str, Any], key: str) -> Section:
    """The section about one target.

    Args:
        target: its name.
        details: what `judge_calibration` told of it.
        key: begins the names of its plots on the page.
    """
    blocks: list[Block] = []
    if "before" in details:
        blocks.append(_reliability_plot(details, key))
    if "coverage" in details:
        blocks.append(_coverage_plot(details, key))
    if "abstention" in details:
        blocks.append(_abstention_plot(details["abstention"], key))
    if "before" in details:
        blocks.append(_reliability_table(details))
    if "levels" in details:
        blocks.append(_levels_table(details["levels"]))
    if "coverage" in details:
        blocks.append(_coverage_table(details))
    return Section(f"Can its confidence in {target} be trusted?", " ".join(details["sentences"]), blocks)


def _reliability_plot(details: Mapping[str, Any], key: str) -> Plot:
    note = "Rows by how sure it says it is, 15 bins of equal width: the share that is right. Below the line it is"
    return Plot(
        "What it says and what is right",
        f"{note} too sure.",
        reliability_diagram(details["before"], details.get("after"), key=f"{key}-reliability"),
    )


def _reliability_table(details: Mapping[str, Any]) -> Table:
    columns = [details["before"], *([details["after"]] if "after" in details else [])]
    heads = ["as it is", *([f"at temperature {figure(details['temperature'])}"] if "after" in details else [])]
    low_high = [" to ".join(figure(end) for end in each["ece_interval"]) for each in columns]
    rows = [
        ["mean confidence", *(figure(each["confidence"]) for each in columns)],
        ["right", *(figure(each["right"]) for each in columns)],
        ["calibration error (ECE)", *(f"{figure(each['ece'])} ({ends})" for each, ends in zip(columns, low_high, strict=True))],
        ["chance alone: up to", *(figure(each["chance"]) for each in columns)],
        ["ECE, bins of equal mass", *(figure(each["ece_equal_mass"]) for each in columns)],
        ["Brier score", *(figure(each["brier"]) for each in columns)],
        ["log loss in nats", *("–" if each["log_loss"] is None else figure(each["log_loss"]) for each in columns)],
    ]
    note = "Of errors, score and loss, less is better. The interval is a bootstrap, 95 %. Probabilities are tempered only where"
    return Table("Confidence", f"{note} predict is asked to (calibrated).", ["", *heads], rows, range(1, len(heads) + 1), sortable=False)


def _coverage_plot(details: Mapping[str, Any], key: str) -> Plot:
    note = (
        "Dots: the share of test rows whose truth is held, by what the rows have. Bars: where 95 % of such shares lie by chance, for so"
        " many independent rows in calibration and test; of twenty patterns, one is expected outside."
    )
    return Plot(
        f"Is the truth held {100 * float(MAIN):g} % of the time?",
        note,
        coverage_dots(details["coverage"][MAIN], float(MAIN), key=f"{key}-coverage"),
    )


def _coverage_table(details: Mapping[str, Any]) -> Table:
    is_label, rows = details["tells"] == "label", []
    for level, table in details["coverage"].items():
        for each in [table["overall"], *table["patterns"][:MOST_PATTERNS]]:
            name = pattern_words(each["columns"], inputs_of(table)) if "columns" in each else "all rows"
            whose = "" if "columns" not in each else "own" if each["own"] else "common"
            size = "no limit" if each["size"] is None else figure(each["size"])
            rows.append(
                [
                    f"{100 * float(level):g} %",
                    name,
                    Cell(f"{100 * each['covered']:.1f} %", each["covered"]),
                    " to ".join(f"{100 * end:.1f}" for end in each["expected"]) + (" %" if each["inside"] else " %, outside"),
                    Cell(size, -1.0 if each["size"] is None else each["size"]),
                    whose,
                    *(
                        Cell(f"{each[f'{kind}rows']:,} ({each[f'effective_{kind}rows']:,.0f})", each[f"{kind}rows"])
                        for kind in ("", "calibration_")
                    ),
                ]
            )
    head = ["asked", "rows with", "held", "by chance", "labels" if is_label else "width", "threshold", "test rows", "calibration rows"]
    note = (
        f"In it: {METHODS[details['method']]}. In brackets, how many rows are independent. Rows that have the same have"
        f" their own threshold from {counted(details['least_rows'], 'such row')} on, else the common one."
    )
    return Table("Sets" if is_label else "Intervals", note, head, rows, (2, 3, 4, 6, 7))


def _levels_table(levels: Sequence[Mapping[str, float]]) -> Table:
    rows = [[f"{each['level']:g}", Cell(figure(each["below"]), each["below"])] for each in levels]
    return Table(
        "Quantiles", "The share of truths at or below each; it should be the level.", ["level", "below"], rows, (0, 1), sortable=False
    )


def _abstention_plot(found: Mapping[str, Any], key: str) -> Plot:
    name = {"errors": "share that is wrong", "mae": "mean absolute error"}[found["metric"]]
    note = (
        f"The {name} where only the surest rows are answered. Mean over all shares: {figure(found['area'])};"
        f" {figure(found['best_area'])} if it knew where it is wrong."
    )
    return Plot("What if it may pass?", note, risk_curve_plot(found, name, key=f"{key}-abstention"))


@styled
def reliability_diagram(before: Mapping[str, Any], after: Mapping[str, Any] | None, *, key: str) -> str:
    """The share that is right over the confidence, by bins, before and after temperature; how rows are spread at the foot."""
    figure_, axes = one_axes(4.5, 4.1, grid="both")
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=(0, (3, 3)), label="as it says")
    for found, name, colour in ((before, "as it is", ACCENT), (after, "at its temperature", SECOND)):
        if found:
            points = np.array([[each["confidence"], each["right"]] for each in found["bins"]])
            axes.plot(*points.T, color=colour, marker="o", markersize=4, linewidth=1.4, label=name)
    total = sum(each["rows"] for each in before["bins"])
    for each in before["bins"]:
        axes.bar(each["confidence"], 0.16 * each["rows"] / total, 0.03, color=QUIET, alpha=0.35)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal", xlabel="says (bars: share of the rows)", ylabel="is right")
    axes.legend(fontsize=8, loc="upper left")
    return to_svg(figure_, key, "Share that is right over confidence")


@styled
def coverage_dots(table: Mapping[str, Any], level: float, *, key: str) -> str:
    """Coverage of all rows and of each pattern as dots, over the interval that chance makes of it."""
    shown = [table["overall"], *table["patterns"][:MOST_PATTERNS]]
    inputs = inputs_of(table)
    names = [pattern_words(each["columns"], inputs) if "columns" in each else "all rows" for each in shown]
    figure_, axes = one_axes(4.8, 1.0 + 0.32 * len(shown), grid="x")
    axes.axvline(level, color=QUIET, linewidth=1, linestyle=(0, (3, 3)), label="asked")
    for place, each in enumerate(shown):
        axes.plot(each["expected"], [place, place], color=QUIET, linewidth=7, alpha=0.3, solid_capstyle="butt")
    for inside, colour, marker, name in ((True, ACCENT, "o", "as chance makes it"), (False, SECOND, "D", "outside")):
        own = [(each["covered"], place) for place, each in enumerate(shown) if each["inside"] == inside]
        if own:
            axes.plot(*np.array(own).T, linestyle="none", marker=marker, markersize=6, color=colour, label=name)
    name_rows(axes, [label(name, 28) for name in names], margin=0.5)
    axes.set_xlim(right=min(axes.get_xlim()[1], 1.005))
    axes.set_xlabel("share of the rows whose truth is held")
    axes.legend(fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.4, 1.0), columnspacing=1.2, handlelength=1.4)
    return to_svg(figure_, key, "Coverage by what rows have")


@styled
def risk_curve_plot(found: Mapping[str, Any], name: str, *, key: str) -> str:
    """Mean loss over the share of rows that is answered, the surest first."""
    figure_, axes = one_axes(4.8, 3.0)
    axes.plot(*np.array(found["curve"]).T, color=ACCENT, linewidth=1.6)
    axes.plot([0.8], [found["at_80"]], "o", color=ACCENT, markersize=5)
    axes.annotate(
        figure(found["at_80"]), (0.8, found["at_80"]), textcoords="offset points", xytext=(-6, 8), ha="right", fontsize=8, color=INK
    )
    axes.set(xlim=(0, 1.02), xlabel="share of the rows that is answered", ylabel=name)
    axes.set_ylim(bottom=0)
    return to_svg(figure_, key, f"{name} over the share of rows that is answered")
