"""Votes: who said what about which row. Every part of annotation speaks in them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from omnifuse.core.atomic import write_text
from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.data.annotate.cells import number_word

FIELDS = ("id", "column", "annotator", "label", "ground_truth")


@dataclass(frozen=True)
class Vote:
    """One answer of one annotator.

    Attributes:
        row: id of the row.
        column: what was asked for.
        annotator: a person, a rule, a model.
        label: the answer as a word; a set of labels as a sorted JSON list (`write_set`).
        ground_truth: whether it is known to be right.
    """

    row: str
    column: str
    annotator: str
    label: str
    ground_truth: bool = False


def write_votes(votes: Iterable[Vote], path: Path) -> None:
    """Write votes as CSV, one a line, with the columns id, column, annotator, label and ground_truth."""
    rows = ([v.row, v.column, v.annotator, v.label, "yes" if v.ground_truth else ""] for v in votes)
    write_csv(path, FIELDS, rows)


def read_votes(path: Path) -> list[Vote]:
    """Read votes that `write_votes` or somebody else wrote; `column` and `ground_truth` may be missing.

    Raises:
        OmnifuseError: no such file, or a column or a cell that is needed is missing (with its line).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise OmnifuseError(f"{path}: no such file; `omnifuse annotate import` makes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise OmnifuseError(f"{path}: cannot be read ({error})") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = reader.fieldnames or []
    for needed in ("id", "annotator", "label"):
        if needed not in names:
            raise unknown("column of votes", needed, names, where=str(path))
    votes = []
    for row in reader:
        cells = {name: (row.get(name) or "").strip() for name in FIELDS}
        for needed in ("id", "annotator", "label"):
            if not cells[needed]:
                raise OmnifuseError(f"{path}: line {reader.line_num}: the cell {needed} is empty; leave out votes that say nothing")
        column = cells["column"] or "label"
        votes.append(Vote(cells["id"], column, cells["annotator"], cells["label"], cells["ground_truth"].lower() in ("yes", "true", "1")))
    if not votes:
        raise OmnifuseError(f"{path}: holds no vote")
    return votes


def of_column(votes: Sequence[Vote], column: str) -> list[Vote]:
    """The votes about one column.

    Raises:
        OmnifuseError: there is none.
    """
    found = [vote for vote in votes if vote.column == column]
    if not found:
        raise unknown("column of votes", column, dict.fromkeys(vote.column for vote in votes))
    return found


def write_set(labels: Iterable[str]) -> str:
    """A set of labels as one word.

    >>> write_set(["b", "a", "b"])
    '["a", "b"]'
    """
    return json.dumps(sorted(set(labels)), ensure_ascii=False)


def read_set(label: str) -> frozenset[str]:
    """The labels in a word that `write_set` wrote; a plain word is a set of one."""
    try:
        value = json.loads(label) if label.startswith("[") else [label]
    except ValueError:
        value = [label]
    return frozenset(str(each) for each in value)


def write_csv(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as CSV, whole or not at all; `None` is an empty cell, numbers keep all of their digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(value) for value in row] for row in rows)
    write_text(path, text.getvalue())


def _cell(value: object) -> str:
    if value is None:
        return ""
    return number_word(value) if isinstance(value, float) else str(value)
