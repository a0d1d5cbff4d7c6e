"""The page about agreement, and what an export of annotations held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path

from omnifuse.data.annotate.agreement import Agreement
from omnifuse.data.annotate.annotations import Imported
from omnifuse.data.annotate.cells import score_word
from omnifuse.data.annotate.report import LIBRARIES, counted_labels, figure_or_dash, share_or_dash
from omnifuse.data.annotate.votes import write_csv
from omnifuse.page.blocks import Cell, Table
from omnifuse.page.sections import Fact, Section, write_page
from omnifuse.page.words import counted, figure, listed, shorten

MOST_ROWS, MOST_PAIRS = 100, 100


def write_agreement(
    measured: Mapping[str, Agreement], out: Path, cells: Mapping[str, str] | None = None, imported: Imported | None = None
) -> Path:
    """Write `agreement.csv` (rows), `annotators.csv`, `pairs.csv` and the page `report.html`.

    Args:
        measured: by column that was asked for.
        out: the folder.
        cells: by row, words that show it.
        imported: what the export held, where the votes come from one.
    """
    rows = [
        [column, r.row, r.votes, score_word(r.agreement), counted_labels(r.labels)]
        for column, each in measured.items()
        for r in each.by_row
    ]
    write_csv(out / "agreement.csv", ["column", "id", "votes", "agreement", "labels"], rows)
    write_csv(out / "annotators.csv", ["column", "annotator", "votes", "shared", "agreement", "labels"], _people_lines(measured))
    pairs = [
        [column, p.first, p.second, p.rows, score_word(p.agreement), score_word(p.kappa)]
        for column, each in measured.items()
        for p in each.pairs
    ]
    write_csv(out / "pairs.csv", ["column", "first", "second", "rows", "agreement", "cohen_kappa"], pairs)
    sentences = [f"{column}: {sentence}" for column, each in measured.items() for sentence in agreement_words(each)]
    sections: list[Section] = []
    for column, agreement in measured.items():
        blocks = [_figures(agreement), _people(agreement), _pairs(agreement), _doubtful(agreement, cells or {})]
        sections.append(Section(column, f"as {agreement.level} values", [block for block in blocks if block.rows]))
    if imported:
        sections.append(Section("What was read", "", [_read_table(imported)]))
    facts = [
        Fact("rows", f"{max(each.rows for each in measured.values()):,}"),
        Fact("answers", f"{sum(each.votes for each in measured.values()):,}"),
        Fact("annotators", f"{len({a.name for each in measured.values() for a in each.annotators}):,}"),
        *(Fact(f"alpha of {column}", figure_or_dash(each.alpha)) for column, each in measured.items()),
    ]
    return write_page(
        out / "report.html", f"Agreement about {listed(list(measured))}", "omnifuse annotate", sentences, facts, sections, LIBRARIES
    )


def agreement_words(agreement: Agreement) -> list[str]:
    """What the figures mean, in plain words."""
    if not agreement.shared:
        return ["No row has two answers, so nothing can be said about agreement. Let some rows be labelled twice."]
    first = f"{counted(agreement.shared, 'row')} of {agreement.rows:,} have two answers or more; their pairs agree in"
    sentences = [f"{first} {agreement.percent:.1%} of the cases."]
    if isnan(agreement.alpha):
        return [*sentences, "All answers are alike, so agreement beyond chance is not defined."]
    verdict = (
        "good enough to rely on (0.8 and above)"
        if agreement.alpha >= 0.8
        else "good enough for tentative conclusions (0.667 to 0.8)"
        if agreement.alpha >= 0.667
        else "too low to rely on (below 0.667): make the instructions clearer, or combine more answers a row"
    )
    return [*sentences, f"Krippendorff's alpha is {figure(agreement.alpha)}: {verdict}."]


def _figures(agreement: Agreement) -> Table:
    rows = [
        ["rows with any answer", f"{agreement.rows:,}", ""],
        ["rows with two or more", f"{agreement.shared:,}", "only these tell about agreement"],
        ["pairs that agree", share_or_dash(agreement.percent), "mean over these rows"],
        ["Krippendorff's alpha", figure_or_dash(agreement.alpha), "1 is perfect, 0 is chance"],
        ["Fleiss' kappa", figure_or_dash(agreement.fleiss), "1 is perfect, 0 is chance"],
    ]
    return Table("Figures", "", ["", "value", ""], rows, (1,))


def _doubtful(agreement: Agreement, cells: Mapping[str, str]) -> Table:
    found = [row for row in agreement.by_row if row.votes > 1 and row.agreement < 1][:MOST_ROWS]
    rows = [[r.row, shorten(cells.get(r.row, ""), 120), counted_labels(r.labels), Cell(f"{r.agreement:.0%}", r.agreement)] for r in found]
    return Table(
        "Rows to talk about", f"the {len(rows)} on which answers differ most", ["row", "cells", "answers", "agreement"], rows, (3,)
    )


def _people_lines(measured: Mapping[str, Agreement]) -> Sequence[Sequence[object]]:
    return [
        [column, a.name, a.votes, a.shared, score_word(a.agreement), counted_labels(a.labels)]
        for column, each in measured.items()
        for a in each.annotators
    ]


def _people(agreement: Agreement) -> Table:
    rows = [
        [a.name, f"{a.votes:,}", f"{a.shared:,}", Cell(share_or_dash(a.agreement), a.agreement), counted_labels(a.labels)]
        for a in agreement.annotators
    ]
    note = "agreement: mean share of the others who say the same; those who agree least come first"
    return Table("Annotators", note, ["annotator", "answers", "shared rows", "agreement", "labels"], rows, (1, 2, 3))


def _pairs(agreement: Agreement) -> Table:
    worst = sorted(agreement.pairs, key=lambda pair: (pair.agreement, pair.first, pair.second))[:MOST_PAIRS]
    rows = [[f"{p.first} and {p.second}", f"{p.rows:,}", Cell(f"{p.agreement:.1%}", p.agreement), figure_or_dash(p.kappa)] for p in worst]
    return Table("Pairs of annotators", "Cohen's kappa is agreement beyond chance", ["pair", "rows", "agreement", "kappa"], rows, (1, 2, 3))


def _read_table(imported: Imported) -> Table:
    new = "; ".join(f"{column}: {counted_labels(labels)}" for column, labels in imported.new_labels.items())
    bad = "; ".join(f"{row}, {column}: {reason}" for row, column, reason in imported.unreadable[:3])
    rows = [
        ["tasks", f"{imported.tasks:,}", ""],
        ["rows with an answer", f"{imported.annotated:,}", ""],
        ["answers", f"{len(imported.votes):,}", ""],
        ["skipped annotations", f"{imported.cancelled:,}", "left out"],
        ["answers given again", f"{imported.replaced:,}", "the later one counts"],
        ["columns left open", f"{imported.empty:,}", ""],
        ["answers that do not fit", f"{len(imported.unreadable):,}", bad],
        ["answers about unknown rows", f"{len(imported.foreign):,}", listed(sorted(set(imported.foreign)), 3)],
        ["new labels", f"{sum(sum(each.values()) for each in imported.new_labels.values()):,}", new],
    ]
    return Table("", "", ["", "count", ""], [list(row) for row in rows], (1,))
