"""The reports of label errors and of what to label next: a page and a table in a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from omnifuse.data.annotate.report import LIBRARIES
from omnifuse.data.annotate.rows import Chunk, Subset, cell_names
from omnifuse.data.annotate.showing import exhibits
from omnifuse.data.annotate.votes import write_csv
from omnifuse.data.dataset import ORIGIN, SPLIT, Dataset
from omnifuse.page.blocks import Bar, Bars, Cell, Gallery, Table
from omnifuse.page.sections import Fact, Section, write_page
from omnifuse.page.words import counted, percent, shorten
from omnifuse.study.label_errors import LabelErrors, LabelIssue
from omnifuse.study.next_rows import STRATEGIES, Choice, Pool

MOST_SHOWN, MOST_LISTED, MOST_PAIRS = 60, 500, 20


def write_label_errors(found: LabelErrors, dataset: Dataset, out: Path) -> Path:
    """Write `label_errors.csv` (the worst first), `quality.csv` (every row) and the page."""
    short = [name for name in dataset.schema.inputs if dataset.schema[name].modality in ("text", "category", "number", "set")]
    shown = [ORIGIN, SPLIT, *short]
    cells = dataset.take([issue.place for issue in found.issues], shown) if found.issues else {}
    lines = [
        [number + 1, i.row, *(cells[name][number] for name in shown[:2]), i.given, i.suggested, i.quality, _blank(i.probability)]
        + [cells[name][number] for name in short]
        for number, i in enumerate(found.issues)
    ]
    own = ["rank", "id", "from", "split", "given", "suggested", "quality", "probability"]
    write_csv(out / "label_errors.csv", _heads(own, short), lines)
    given = dataset.take(range(len(dataset)), [found.target])[found.target]
    flagged = {issue.place for issue in found.issues}
    judged = np.flatnonzero(~np.isnan(found.quality)).tolist()
    ids, origins = dataset.ids(), dataset.origins()
    quality = ([ids[row], origins[row], given[row], float(found.quality[row]), "yes" if row in flagged else ""] for row in judged)
    write_csv(out / "quality.csv", ["id", "from", "given", "quality", "likely wrong"], quality)
    facts = [
        Fact("rows judged", f"{found.rows:,}"),
        Fact("likely wrong", f"{len(found.issues):,} ({percent(len(found.issues), found.rows)})"),
        Fact("models trained", f"{found.folds}"),
        *([] if isnan(found.accuracy) else [Fact("answers equal to the label", f"{found.accuracy:.1%}")]),
    ]
    title = f"Likely wrong labels of {found.target}"
    return write_page(
        out / "report.html", title, "omnifuse annotate errors", _error_words(found), facts, _error_sections(found, dataset), LIBRARIES
    )


def _error_words(found: LabelErrors) -> list[str]:
    how = f"Each row was judged by a model trained on the other {found.folds - 1} of {found.folds} parts of the data, so no model saw it."
    if not found.issues:
        return [f"No label of {found.rows:,} looks wrong.", how]
    share = percent(len(found.issues), found.rows)
    first = f"{counted(len(found.issues), 'label')} of {found.rows:,} ({share}) look wrong; the worst come first."
    advice = "Look at them before you change them: a hard row and a wrong label look alike to a model."
    return [first, how, advice]


def _error_sections(found: LabelErrors, dataset: Dataset) -> list[Section]:
    top = found.issues[:MOST_SHOWN]
    rows = Subset(dataset, [issue.place for issue in top])
    shown = exhibits(dataset.schema, rows, [_said(issue) for issue in top], dataset.origins([issue.place for issue in top]))
    pairs = found.confusions[:MOST_PAIRS]
    total = max(1, len(found.issues))
    bars = [Bar(f"{given} → {suggested}", [count / total], f"{count:,}") for given, suggested, count in pairs]
    listed_issues = found.issues[:MOST_LISTED]
    origins = dataset.origins([issue.place for issue in listed_issues])
    lines = [
        [Cell(str(number), number), origin, i.given, i.suggested, Cell(f"{i.quality:.4f}", i.quality), _probability(i)]
        for number, (i, origin) in enumerate(zip(listed_issues, origins, strict=True), start=1)
    ]
    head = ["", "row", "given", "suggested", "quality", "probability"]
    listed = f"the first {len(lines):,} of {len(found.issues):,}; all of them are in label_errors.csv"
    return [
        Section("Look at these first", "given label → what the model would say", [Gallery("", "", shown)] if shown else []),
        Section("Which labels are confused", "given → suggested", [Bars("", "", ["rows"], bars)] if bars else []),
        Section("All", listed, [Table("", "", head, lines, (0, 4, 5))] if lines else []),
    ]


def write_next_rows(
    pool: Pool, choices: Sequence[Choice], chunk: Chunk, schema: Any, out: Path, strategy: str, bad: Sequence[str] = ()
) -> Path:
    """Write `next.csv` (id, order, uncertainty, distance, what the model would say, cells) and the page.

    Args:
        pool: all rows that could have been chosen.
        choices: the chosen ones, the best first.
        chunk: the chosen rows, in that order.
        schema: of the model.
        out: the folder.
        strategy: how they were chosen.
        bad: what is wrong with rows that could not be read.
    """
    names = cell_names(chunk.cells)
    lines, captions = [], []
    for order, (choice, cells) in enumerate(zip(choices, chunk.cells, strict=True), start=1):
        said = {target: pool.answers[target][choice.place] for target in pool.answers}
        sure = {name: float(each[choice.place].max()) for name, each in pool.probabilities.items()}
        scores = [value for name, answer in said.items() for value in (answer, sure.get(name))]
        lines.append([pool.ids[choice.place], order, choice.uncertainty, _blank(choice.distance), *scores, *(cells.get(n) for n in names)])
        captions.append(", ".join(_guess(answer, sure.get(name)) for name, answer in said.items()))
    scored = [name for target in pool.answers for name in (f"predicted_{target}", f"predicted_{target}_probability")]
    write_csv(out / "next.csv", _heads(["id", "order", "uncertainty", "distance"], [*scored, *names]), lines)
    sentences = [
        f"Of {counted(len(pool.ids), 'unlabelled row')}, these {len(choices):,} are worth labelling first: {STRATEGIES[strategy]}.",
        "Export them for labelling: omnifuse annotate export RECIPE --table TABLE --rows next.csv --run RUN --out TASKS",
    ]
    if bad:
        sentences.append(f"{counted(len(bad), 'row')} could not be read and were left out; the first: {shorten(bad[0], 200)}")
    facts = [
        Fact("rows to choose from", f"{len(pool.ids):,}"),
        Fact("chosen", f"{len(choices):,}"),
        Fact("mean uncertainty", f"{np.mean([choice.uncertainty for choice in choices]):.2f}"),
    ]
    first = chunk.pick(range(min(len(chunk), MOST_SHOWN)))
    shown = exhibits(schema, first.rows, captions[:MOST_SHOWN], [_short(row) for row in first.ids])
    sections = [
        Section("Rows to label", "with what the model would say", [Gallery("", "", shown)]),
        Section("What the model would say about them", "", _spread(pool, choices)),
    ]
    return write_page(out / "report.html", "What to label next", "omnifuse annotate next", sentences, facts, sections, LIBRARIES)


def _spread(pool: Pool, choices: Sequence[Choice]) -> list[Any]:
    """By target, how often each answer comes among the chosen rows and among all."""
    blocks: list[Any] = []
    for target in pool.probabilities:
        everything = Counter(map(str, pool.answers[target]))
        chosen = Counter(str(pool.answers[target][choice.place]) for choice in choices)
        bars = [
            Bar(name, [chosen[name] / len(choices), count / len(pool.ids)], f"{chosen[name]:,} of {count:,}")
            for name, count in everything.most_common(MOST_PAIRS)
        ]
        blocks.append(Bars(target, "", ["chosen", "all"], bars))
    return blocks


def _heads(own: Sequence[str], columns: Sequence[str]) -> list[str]:
    """The head of a table: names of our own, then columns; one that is called like a name before it is marked as a column."""
    taken = {*own, *columns}
    heads = list(own)
    for name in columns:
        head = name
        while head in heads or (head != name and head in taken):
            head += " (column)"
        heads.append(head)
    return heads


def _short(row: str) -> str:
    """The beginning of an id, enough to find it in the table."""
    return row if len(row) <= 12 else f"{row[:10]}…"


def _said(issue: LabelIssue) -> str:
    sure = "" if isnan(issue.probability) else f" ({issue.probability:.0%})"
    return f"{shorten(issue.given, 60)} → {shorten(issue.suggested, 60)}{sure}"


def _probability(issue: LabelIssue) -> str:
    return "–" if isnan(issue.probability) else f"{issue.probability:.2f}"


def _guess(answer: Any, sure: float | None) -> str:
    return shorten(f"{answer:.4g}" if isinstance(answer, float) else str(answer), 60) + ("" if sure is None else f" ({sure:.0%})")


def _blank(value: float) -> float | None:
    return None if isnan(value) else value
