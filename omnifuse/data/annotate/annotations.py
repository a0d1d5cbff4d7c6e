"""Annotations back from Label Studio: its JSON and JSON-MIN exports become votes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.annotate.label_studio import ROW, Tag, asked_tags, read_json_list
from omnifuse.data.annotate.votes import Vote, read_set


@dataclass
class Imported:
    """What an export held.

    Attributes:
        votes: one for each answer, in the order of the file.
        tasks: in the file; `annotated` of them have an answer that counts.
        cancelled: annotations that were skipped.
        replaced: older answers of an annotator who answered a row again.
        empty: annotations that leave a column open.
        unreadable: answers that do not fit their column, with row, column and reason.
        foreign: ids of tasks whose row is not in the dataset; their answers are left out.
        new_labels: by column, labels (of sets, their members) that the dataset does not have, and how often.
    """

    votes: list[Vote] = field(default_factory=list)
    tasks: int = 0
    annotated: int = 0
    cancelled: int = 0
    replaced: int = 0
    empty: int = 0
    unreadable: list[tuple[str, str, str]] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    new_labels: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Annotation:
    """One annotation of one task, from either form of the export."""

    row: str
    annotator: str
    when: str
    ground_truth: bool
    answers: Mapping[str, Any]


def import_annotations(
    path: Path,
    schema: Schema,
    *,
    columns: Sequence[str] = (),
    rows: Collection[str] | None = None,
    labels: Mapping[str, Collection[str]] | None = None,
) -> Imported:
    """Read what annotators said.

    Skipped (`was_cancelled`) annotations are left out, of two answers of one annotator to one row the later counts, and
    an annotation that Label Studio marks as ground truth is marked in its votes. In a set that nobody ticked anything in,
    the answer is the empty set. Model suggestions in the file are not read.

    Args:
        path: an export of the kind JSON or JSON-MIN.
        schema: the columns the tasks were made from.
        columns: what was asked for, in place of the targets.
        rows: ids that exist; answers about others are left out and named.
        labels: by column, labels that are known; others are kept and counted.

    Raises:
        OmnifuseError: no such file, not such an export, or made from other tasks.
    """
    tasks = _read(path)
    tags = asked_tags(schema, columns)
    result = Imported(tasks=len(tasks))
    latest: dict[tuple[str, str], _Annotation] = {}
    for annotation in _annotations(tasks, tags, path, result):
        if rows is not None and annotation.row not in rows:
            result.foreign.append(annotation.row)
            continue
        key = (annotation.row, annotation.annotator)
        if key in latest:
            result.replaced += 1
            if latest[key].when > annotation.when:
                continue
        latest[key] = annotation
    for annotation in latest.values():
        _vote(annotation, tags, result)
    result.annotated = len({vote.row for vote in result.votes})
    _count_new(result, tags, labels or {})
    return result


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        tasks = read_json_list(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise OmnifuseError(f"{path}: no such file; export the project from Label Studio as JSON") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise OmnifuseError(f"{path}: not a JSON export of Label Studio ({str(error).splitlines()[0]})") from None
    if not tasks or not all(isinstance(task, dict) for task in tasks):
        raise OmnifuseError(f"{path}: not a JSON export of Label Studio; it should be a list of tasks")
    return tasks


def _annotations(tasks: Sequence[Mapping[str, Any]], tags: Sequence[Tag], path: Path, result: Imported) -> Iterator[_Annotation]:
    """Every annotation that was not skipped."""
    for number, task in enumerate(tasks, start=1):
        full = "data" in task and ("annotations" in task or "completions" in task)
        row = task["data"].get(ROW) if full and isinstance(task["data"], dict) else task.get(ROW)
        if not row:
            raise OmnifuseError(f"{path}: task {number} has no {ROW}; label the tasks.json of `omnifuse annotate export` and export JSON")
        if not full:  # JSON-MIN: a record for each annotation, skipped ones are not in it
            annotator = _annotator(task.get("annotator"))
            answers = {tag.name: task[tag.name] for tag in tags if tag.name in task}
            yield _Annotation(str(row), annotator, _when(task), bool(task.get("ground_truth")), answers)
            continue
        for annotation in task.get("annotations", task.get("completions")) or ():
            if annotation.get("was_cancelled") or annotation.get("skipped"):
                result.cancelled += 1
                continue
            answers: dict[str, list[Any]] = {}
            for each in annotation.get("result") or ():
                if isinstance(each, dict) and "value" in each:
                    answers.setdefault(str(each.get("from_name")), []).append(each["value"])
            annotator = _annotator(annotation.get("completed_by"))
            yield _Annotation(str(row), annotator, _when(annotation), bool(annotation.get("ground_truth")), answers)


def _vote(annotation: _Annotation, tags: Sequence[Tag], result: Imported) -> None:
    for tag in tags:
        try:
            label = tag.read(annotation.answers.get(tag.name))
        except OmnifuseError as error:
            result.unreadable.append((annotation.row, tag.column.name, str(error)))
            continue
        if label is None:
            result.empty += 1
        else:
            result.votes.append(Vote(annotation.row, tag.column.name, annotation.annotator, label, annotation.ground_truth))


def _count_new(result: Imported, tags: Sequence[Tag], labels: Mapping[str, Collection[str]]) -> None:
    sets = {tag.column.name for tag in tags if tag.column.modality == "set"}
    counts: dict[str, Counter[str]] = {}
    for vote in result.votes:
        said = sorted(read_set(vote.label)) if vote.column in sets else [vote.label]
        new = [label for label in said if label not in labels.get(vote.column, said)]
        if new:
            counts.setdefault(vote.column, Counter()).update(new)
    result.new_labels = {column: dict(found.most_common()) for column, found in counts.items()}


def _annotator(value: Any) -> str:
    """A person: their address where the export tells it, else their number."""
    if isinstance(value, Mapping):
        value = value.get("email") or value.get("username") or value.get("id")
    return "unknown" if value is None or value == "" else str(value)


def _when(annotation: Mapping[str, Any]) -> str:
    return str(annotation.get("updated_at") or annotation.get("created_at") or "")
