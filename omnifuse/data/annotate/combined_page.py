"""The page about combined labels, and the one about labelling functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from omnifuse.data.annotate.cells import score_word
from omnifuse.data.annotate.combine import METHODS, Combined
from omnifuse.data.annotate.report import LIBRARIES, counted_labels, share_or_dash
from omnifuse.data.annotate.rules import RuleFacts
from omnifuse.data.annotate.votes import write_csv
from omnifuse.page.blocks import Bar, Bars, Block, Cell, Table
from omnifuse.page.sections import Fact, Section, write_page
from omnifuse.page.words import counted, figure, listed, percent

MOST_ROWS, MOST_LABELS, UNSURE = 100, 20, 0.8


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
            line += [label.label, None if isnan(label.probability) else score_word(label.probability), label.votes] if label else [None] * 3
        lines.append(line)
    names = [name for column in combined for name in (column, f"{column}_probability", f"{column}_votes")]
    write_csv(out / "labels.csv", ["id", *cells, *names], lines)
    people = [[column, s.annotator, s.votes, score_word(s.skill)] for column, each in combined.items() for s in each.skills]
    write_csv(out / "annotators.csv", ["column", "annotator", "votes", "skill"], people)
    sentences = [_words(column, each) for column, each in combined.items()]
    sections = [Section(column, f"by {each.method}", _blocks(each)) for column, each in combined.items()]
    facts = [Fact("rows", f"{len(ids):,}"), Fact("answers", f"{sum(s.votes for e in combined.values() for s in e.skills):,}")]
    return write_page(
        out / "report.html", f"Labels of {listed(list(combined))}", "omnifuse annotate", sentences, facts, sections, LIBRARIES
    )


def write_rules(facts: Sequence[RuleFacts], combined: Combined, column: str, total: int, out: Path) -> Path:
    """Write `rules.csv` and the page about labelling functions; the labels themselves are written by `write_combined`."""
    head = ["rule", "labels", "coverage", "overlaps", "conflicts", "accuracy"]
    lines = [[f.name, counted_labels(f.labels), *map(score_word, (f.coverage, f.overlaps, f.conflicts, f.accuracy))] for f in facts]
    write_csv(out / "rules.csv", head, lines)
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
            counted_labels(f.labels),
            Cell(f"{f.coverage:.1%}", f.coverage),
            Cell(f"{f.overlaps:.1%}", f.overlaps),
            Cell(f"{f.conflicts:.1%}", f.conflicts),
            Cell(share_or_dash(f.accuracy), -1.0 if isnan(f.accuracy) else f.accuracy),
        ]
        for f in facts
    ]
    note = "shares of all rows; accuracy on rows whose label was known already"
    sections = [
        Section("Rules", note, [Table("", "", head, rows, (2, 3, 4, 5))]),
        Section("Labels", f"by {combined.method}: {METHODS.get(combined.method, '')}", _blocks(combined)),
    ]
    figures = [Fact("rows", f"{total:,}"), Fact("with a label", f"{covered:,}"), Fact("rules", f"{len(facts):,}")]
    return write_page(out / "report.html", f"Rules for {column}", "omnifuse annotate", sentences, figures, sections, LIBRARIES)


def _words(column: str, combined: Combined) -> str:
    method = METHODS.get(combined.method, "the middle answer")
    unsure = sum(label.probability < UNSURE for label in combined.labels)
    first = f"{column}: {counted(len(combined.labels), 'row')} labelled by {combined.method} ({method})"
    return f"{first}; {unsure:,} of them with a probability below 0.8." if unsure else f"{first}."


def _blocks(combined: Combined) -> list[Block]:
    """Labels, and annotators or rules with their skill."""
    counts = Counter(label.label for label in combined.labels).most_common(MOST_LABELS)
    total = max(1, len(combined.labels))
    bars = [Bar(name, [count / total], f"{count:,} ({percent(count, total)})") for name, count in counts]
    unit = "mean distance to the middle answer" if combined.method == "median" else "mean probability of what was said"
    people = [[s.annotator, f"{s.votes:,}", Cell(figure(s.skill), s.skill)] for s in combined.skills]
    doubtful = sorted((label for label in combined.labels if label.probability < UNSURE), key=lambda label: (label.probability, label.row))
    blocks: list[Block] = [
        Bars("Labels", "", ["rows"], bars),
        Table("Who said it", unit, ["annotator", "answers", "skill"], people, (1, 2)),
    ]
    if doubtful:
        rows = [[d.row, d.label, Cell(f"{d.probability:.2f}", d.probability), f"{d.agreeing} of {d.votes}"] for d in doubtful[:MOST_ROWS]]
        note = f"the least sure {len(rows)} of {len(doubtful):,} below 0.8"
        blocks.append(Table("Rows to ask once more about", note, ["row", "label", "probability", "said it"], rows, (2,)))
    return blocks
