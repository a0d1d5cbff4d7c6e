"""New rows beside training rows, as a page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omnifuse.evaluation.drift.words import amount
from omnifuse.page.blocks import Block, Cell, Plot, Table
from omnifuse.page.figures import ACCENT, QUIET, SECOND, legend_above, name_rows, one_axes, styled, to_svg
from omnifuse.page.sections import Section
from omnifuse.page.words import counted, label, percent

VISIBLE = 0.1
MOST_TESTS = 200
BELOW_ALL = -1e300  # where a table sorts what has no value


def drift_section(found: Mapping[str, Any], key: str) -> Section:
    """Columns and answers with their verdicts, in words, as dots and as tables.

    Args:
        found: what `find_drift` returned.
        key: begins the names of its plots on the page.
    """
    every = {**found["columns"], **{f"answer {name}": each for name, each in found["answers"].items()}}
    note = "largest effect of a column: 0 is the same, 1 shares nothing; what lies left of the broken line is of no account"
    plot = Plot("How far apart", note, drift_dots(every, key=f"{key}-drift"))
    rows = f"{counted(found['rows']['new'], 'new row')} beside {found['rows']['reference']:,} of training."
    blocks: list[Block] = [plot, _columns_table(every), _tests_table(every)]
    return Section("Are these rows like the training data?", " ".join([*found["sentences"], rows]), blocks)


@styled
def drift_dots(found: Mapping[str, Mapping[str, Any]], *, key: str) -> str:
    """The largest effect of each column; what has drifted in another colour."""
    figure_, axes = one_axes(4.8, 1.1 + 0.3 * len(found), grid="x")
    places, effects = np.arange(len(found)), np.array([each["effect"] for each in found.values()])
    drifted = np.array([each["verdict"] == "drifted" for each in found.values()])
    axes.axvline(VISIBLE, color=QUIET, linewidth=1, linestyle=(0, (3, 3)))
    for rows, colour, name in ((drifted, SECOND, "drifted"), (~drifted, ACCENT, "not")):
        axes.plot(effects[rows], places[rows], "o", color=colour, markersize=6, label=name)
    name_rows(axes, [label(name) for name in found])
    axes.set(xlabel="effect", xlim=(-0.02, max(0.5, 1.05 * float(effects.max(initial=0)))))
    legend_above(axes, 2)
    return to_svg(figure_, key, "Effect of each column")


def _columns_table(found: Mapping[str, Mapping[str, Any]]) -> Table:
    rows: list[Sequence[str | Cell]] = [
        [
            name,
            each["modality"],
            each["verdict"],
            Cell(f"{each['effect']:.2f}", each["effect"]),
            Cell("–" if each["p"] is None else f"{each['p']:.1g}", 2.0 if each["p"] is None else each["p"]),
            Cell(f"{each['values']['new']:,}", each["values"]["new"]),
            Cell(f"{each['values']['reference']:,}", each["values"]["reference"]),
        ]
        for name, each in found.items()
    ]
    head = ["column", "modality", "verdict", "effect", "p", "new values", "training values"]
    return Table("Columns", "p is corrected for all that was tested", head, rows, numbers=[3, 4, 5, 6])


def _tests_table(found: Mapping[str, Mapping[str, Any]]) -> Table:
    tests = [(name, test, each["modality"]) for name, each in found.items() for test in each["tests"]]
    tests.sort(key=lambda entry: (entry[1]["p"], -entry[1]["effect"]))
    rows: list[Sequence[str | Cell]] = [
        [
            name,
            f"“{test['label']}”" if "label" in test else test["of"],
            *(_end(test, side, modality) for side in ("new", "reference")),
            Cell("–", BELOW_ALL) if test.get("shift") is None else Cell(f"{test['shift']:+.2f}", test["shift"]),
            test["test"],
            Cell(f"{test['effect']:.2f}", test["effect"]),
            Cell(f"{test['p']:.1g}", test["p"]),
        ]
        for name, test, modality in tests[:MOST_TESTS]
    ]
    note = "means, or shares of the rows; the shift is in deviations of the training values"
    note += f"; the first {MOST_TESTS} of {len(tests):,}" if len(tests) > MOST_TESTS else ""
    head = ["column", "of", "new", "training", "shift", "test", "effect", "p"]
    return Table("What was compared", note, head, rows, numbers=[2, 3, 4, 6, 7])


def _end(test: Mapping[str, Any], side: str, modality: str) -> Cell:
    if side not in test:
        return Cell("–", BELOW_ALL)
    if test["of"] in ("absent", "labels"):
        return Cell(percent(test[side], 1), test[side])
    return Cell(amount(test[side], modality if test["of"] == "values" else ""), test[side])
