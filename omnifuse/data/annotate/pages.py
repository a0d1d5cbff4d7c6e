"""The reports of agreement, of combined labels and of labelling functions: a page and tables in a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.annotate.agreement import Agreement
from omnifuse.data.annotate.annotations import Imported
from omnifuse.data.annotate.combine import METHODS, Combined
from omnifuse.data.annotate.report import Fact, Section, write_page
from omnifuse.data.annotate.rules import RuleFacts
from omnifuse.data.annotate.votes import write_csv
from omnifuse.page.blocks import Bar, Bars, Cell, Table
from omnifuse.page.words import counted, figure, listed, percent, shorten

MOST_ROWS, MOST_PAIRS = 100, 100


def new_folder(out: Path) -> Path:
    """The folder of a report; one that holds something is left alone.

    Raises:
        OmnifuseError: it holds something.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise OmnifuseError(f"{out}: holds something already; choose another --out")
    return out


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


def write_agreement(
    agreement: Agreement, out: Path, column: str, cells: Mapping[str, str], imported: Imported | None = None, name: str = "report.html"
) -> Path:
    """Write `rows.csv`, `annotators.csv`, `pairs.csv` and the page.

    Args:
        agreement: what was measured.
        out: the folder.
        column: what was asked for.
        cells: by row, words that show it.
        imported: what the export held, where the votes come from one.
        name: of the page.
    """
    rows = [[r.row, r.votes, r.agreement, _counted(r.labels)] for r in agreement.by_row]
    write_csv(out / f"{_start(name)}rows.csv", ["id", "votes", "agreement", "labels"], rows)
    people = [[a.name, a.votes, a.shared, a.agreement, _counted(a.labels)] for a in agreement.annotators]
    write_csv(out / f"{_start(name)}annotators.csv", ["annotator", "votes", "shared", "agreement", "labels"], people)
    pairs = [[p.first, p.second, p.rows, p.agreement, p.kappa] for p in agreement.pairs]
    write_csv(out / f"{_start(name)}pairs.csv", ["first", "second", "rows", "agreement", "cohen_kappa"], pairs)
    facts = [
        Fact("rows", f"{agreement.rows:,}"),
        Fact("with two answers or more", f"{agreement.shared:,}"),
        Fact("answers", f"{agreement.votes:,}"),
        Fact("annotators", f"{len(agreement.annotators):,}"),
        Fact("pairs that agree", _share(agreement.percent)),
        Fact("Krippendorff's alpha", _figure(agreement.alpha)),
        Fact("Fleiss' kappa", _figure(agreement.fleiss)),
    ]
    shared = [row for row in agreement.by_row if row.votes > 1]
    doubtful = [row for row in shared if row.agreement < 1][:MOST_ROWS]
    sections = [
        Section("What was read", "", [_read_table(imported)] if imported else []),
        Section("Annotators", "those who agree least come first", [_people(agreement)]),
        Section("Pairs of annotators", "Cohen's kappa is agreement beyond chance", [_pairs(agreement)] if agreement.pairs else []),
        Section(
            "Rows to talk about",
            f"the {len(doubtful)} on which answers differ most" if doubtful else "",
            [
                Table(
                    "",
                    "",
                    ["row", "", "answers", "agreement"],
                    [
                        [r.row, shorten(cells.get(r.row, ""), 120), _counted(r.labels), Cell(f"{r.agreement:.0%}", r.agreement)]
                        for r in doubtful
                    ],
                    (3,),
                )
            ]
            if doubtful
            else [],
        ),
    ]
    return write_page(out / name, f"Agreement about {column}", "omnifuse annotate", agreement_words(agreement), facts, sections)


def write_combined(combined: Mapping[str, Combined], out: Path, rows: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write `labels.csv`, `annotators.csv` and the page.

    `labels.csv` has a line for each row: its id, its cells where they are known, and for each column that was asked for the
    label, `COLUMN_probability` and `COLUMN_votes`.

    Args:
        combined: by column, what its votes come to.
        out: the folder.
        rows: by id, cells to write beside the labels; may be empty.
    """
    ids = list(dict.fromkeys(label.row for each in combined.values() for label in each.labels))
    cells = [name for name in dict.fromkeys(name for row in rows.values() for name in row) if name not in combined]
    by_column = {column: {label.row: label for label in each.labels} for column, each in combined.items()}
    lines = []
    for row in ids:
        line: list[Any] = [row, *(rows.get(row, {}).get(name) for name in cells)]
        for column in combined:
            label = by_column[column].get(row)
            line += [label.label, None if isnan(label.probability) else label.probability, label.votes] if label else [None, None, None]
        lines.append(line)
    names = [name for column in combined for name in (column, f"{column}_probability", f"{column}_votes")]
    write_csv(out / "labels.csv", ["id", *cells, *names], lines)
    people = [[column, s.annotator, s.votes, s.skill] for column, each in combined.items() for s in each.skills]
    write_csv(out / "annotators.csv", ["column", "annotator", "votes", "skill"], people)
    sentences = [_combined_words(column, each) for column, each in combined.items()]
    sections = [Section(column, f"by {each.method}", _combined_blocks(each)) for column, each in combined.items()]
    facts = [Fact("rows", f"{len(ids):,}"), Fact("answers", f"{sum(s.votes for e in combined.values() for s in e.skills):,}")]
    return write_page(out / "report.html", f"Labels of {listed(list(combined))}", "omnifuse annotate", sentences, facts, sections)


def write_rules(facts: Sequence[RuleFacts], combined: Combined, column: str, total: int, out: Path) -> Path:
    """Write `rules.csv` and the page about labelling functions; the labels themselves are written by `write_combined`."""
    head = ["rule", "labels", "coverage", "overlaps", "conflicts", "accuracy"]
    write_csv(out / "rules.csv", head, [[f.name, _counted(f.labels), f.coverage, f.overlaps, f.conflicts, f.accuracy] for f in facts])
    covered = len(combined.labels)
    silent = [f.name for f in facts if not f.labels]
    sentences = [f"{counted(len(facts), 'rule')} gave {counted(covered, 'row')} of {total:,} a label ({percent(covered, total)})."]
    if silent:
        sentences.append(f"{listed(silent)} never voted: look at the conditions.")
    conflicting = max((f.conflicts for f in facts), default=0.0)
    if conflicting:
        sentences.append(f"The rule in most conflicts is contradicted on {conflicting:.1%} of all rows.")
    rows = [
        [
            f.name,
            _counted(f.labels),
            Cell(f"{f.coverage:.1%}", f.coverage),
            Cell(f"{f.overlaps:.1%}", f.overlaps),
            Cell(f"{f.conflicts:.1%}", f.conflicts),
            Cell(_share(f.accuracy), -1.0 if isnan(f.accuracy) else f.accuracy),
        ]
        for f in facts
    ]
    note = "shares of all rows; accuracy on rows whose label was known already"
    sections = [
        Section("Rules", note, [Table("", "", head, rows, (2, 3, 4, 5))]),
        Section("Labels", f"by {combined.method}: {METHODS.get(combined.method, '')}", _combined_blocks(combined)),
    ]
    figures = [Fact("rows", f"{total:,}"), Fact("with a label", f"{covered:,}"), Fact("rules", f"{len(facts):,}")]
    return write_page(out / "report.html", f"Rules for {column}", "omnifuse annotate", sentences, figures, sections)


def _combined_words(column: str, combined: Combined) -> str:
    method = METHODS.get(combined.method, "the middle answer")
    unsure = sum(label.probability < 0.8 for label in combined.labels)
    first = f"{column}: {counted(len(combined.labels), 'row')} labelled by {combined.method} ({method})"
    return f"{first}; {unsure:,} of them with a probability below 0.8." if unsure else f"{first}."


def _combined_blocks(combined: Combined) -> list[Any]:
    """Labels, and annotators or rules with their skill."""
    counts = Counter(label.label for label in combined.labels).most_common(20)
    total = max(1, len(combined.labels))
    bars = [Bar(name, [count / total], f"{count:,} ({percent(count, total)})") for name, count in counts]
    unit = "mean distance to the middle answer" if combined.method == "median" else "mean probability of what was said"
    people = [[s.annotator, f"{s.votes:,}", Cell(figure(s.skill), s.skill)] for s in combined.skills]
    doubtful = sorted((label for label in combined.labels if label.probability < 0.8), key=lambda label: (label.probability, label.row))
    blocks: list[Any] = [
        Bars("Labels", "", ["rows"], bars),
        Table("Who said it", unit, ["annotator", "answers", "skill"], people, (1, 2)),
    ]
    if doubtful:
        rows = [[d.row, d.label, Cell(f"{d.probability:.2f}", d.probability), f"{d.agreeing} of {d.votes}"] for d in doubtful[:MOST_ROWS]]
        note = f"the least sure {len(rows)} of {len(doubtful):,} below 0.8"
        blocks.append(Table("Rows to ask once more about", note, ["row", "label", "probability", "said it"], rows, (2,)))
    return blocks


def _read_table(imported: Imported) -> Table:
    new = "; ".join(f"{column}: {_counted(labels)}" for column, labels in imported.new_labels.items())
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
        ["answers with new labels", f"{sum(sum(each.values()) for each in imported.new_labels.values()):,}", new],
    ]
    return Table("", "", ["", "count", ""], [list(row) for row in rows], (1,))


def _people(agreement: Agreement) -> Table:
    rows = [
        [a.name, f"{a.votes:,}", f"{a.shared:,}", Cell(_share(a.agreement), a.agreement), _counted(a.labels)] for a in agreement.annotators
    ]
    note = "agreement: mean share of the others who say the same"
    return Table("", note, ["annotator", "answers", "shared rows", "agreement", "labels"], rows, (1, 2, 3))


def _pairs(agreement: Agreement) -> Table:
    worst = sorted(agreement.pairs, key=lambda pair: (pair.agreement, pair.first, pair.second))[:MOST_PAIRS]
    rows = [[f"{p.first} and {p.second}", f"{p.rows:,}", Cell(f"{p.agreement:.1%}", p.agreement), _figure(p.kappa)] for p in worst]
    return Table("", "", ["pair", "rows", "agreement", "Cohen's kappa"], rows, (1, 2, 3))


def _counted(labels: Mapping[str, int]) -> str:
    return ", ".join(f"{shorten(label, 40)} {count:,}" for label, count in list(labels.items())[:6]) + (", …" if len(labels) > 6 else "")


def _figure(value: float) -> str:
    return "–" if isnan(value) else figure(value)


def _share(value: float) -> str:
    return "–" if isnan(value) else f"{value:.1%}"


def _start(name: str) -> str:
    """`agreement-size-` for the page `agreement-size.html`, nothing for `report.html`."""
    return "" if name == "report.html" else f"{Path(name).stem}-"
