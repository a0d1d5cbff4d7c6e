"""Rows to look at: right and wrong ones, with their inputs as a page can show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from omnifuse.core.seeds import seed_of
from omnifuse.data.dataset import Dataset
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.data.report.glance import glance
from omnifuse.evaluation.collect import Answers
from omnifuse.page.media import Picture
from omnifuse.page.words import figure, shorten
from omnifuse.pipeline.pipeline import Pipeline

LONGEST_LABEL = 80


@dataclass(frozen=True)
class Shown:
    """One input of a row: a picture or a text, or neither where it is absent."""

    column: str
    modality: str
    text: str | None = None
    picture: Picture | None = None


@dataclass(frozen=True)
class Example:
    """A row with its truth and its answer; probabilities where the target is a category, the error of a number."""

    truth: str
    answer: str
    inputs: list[Shown]
    probability: float | None = None
    truth_probability: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Examples:
    """Right and wrong rows of one target (near and far ones, where it is a number)."""

    wrong: list[Example] = field(default_factory=list)
    right: list[Example] = field(default_factory=list)


def show_examples(pipeline: Pipeline, data: Dataset, target: str, answers: Answers, count: int) -> Examples:
    """Choose up to `count` right and as many wrong rows, and render them.

    Wrong: the surest wrong answers, or the numbers furthest off. Right: spread over the labels, or over the range
    of a number. The same answers give the same rows.
    """
    modality = pipeline.schema[target].modality
    pick = pick_numbers if modality == "number" else pick_categories
    wrong, right = pick(answers, count, seed_of("report", target))
    inputs = [name for name in pipeline.schema.inputs if name != target]
    shown = _show_rows(pipeline, data, [answers.rows[place] for place in wrong + right], inputs)
    labels = pipeline.processors[target].state()["labels"] if modality == "category" else []
    made = [_example(answers, place, labels, row) for place, row in zip(wrong + right, shown, strict=True)]
    return Examples(made[: len(wrong)], made[len(wrong) :])


def pick_categories(answers: Answers, count: int, seed: int) -> tuple[list[int], list[int]]:
    """Places of the most confident wrong answers, and of right ones dealt round over the labels."""
    is_right = np.array([t == p for t, p in zip(answers.truth, answers.predicted, strict=True)], dtype=bool)
    sureness = answers.scores.max(axis=1)
    wrong = sorted(np.flatnonzero(~is_right).tolist(), key=lambda place: (-sureness[place], place))[:count]
    by_label: dict[str, list[int]] = {}
    for place in np.random.default_rng(seed).permutation(np.flatnonzero(is_right)).tolist():
        by_label.setdefault(str(answers.truth[place]), []).append(place)
    right: list[int] = []
    while len(right) < count and by_label:
        for name in list(by_label):
            right.append(by_label[name].pop())
            if not by_label[name]:
                del by_label[name]
    return wrong, sorted(right[:count], key=lambda place: (str(answers.truth[place]), place))


def pick_numbers(answers: Answers, count: int, seed: int) -> tuple[list[int], list[int]]:
    """Places of the answers furthest off, and of near ones (of the better half) spread over the true values."""
    truth = np.asarray(answers.truth, dtype=np.float64)
    errors = np.abs(truth - np.asarray(answers.predicted, dtype=np.float64))
    order = np.argsort(errors, kind="stable")
    wrong = order[::-1][:count].tolist()
    taken = set(wrong)
    near = [place for place in order[: max(1, len(order) // 2)].tolist() if place not in taken]
    near.sort(key=lambda place: (truth[place], place))
    parts = np.array_split(np.array(near, dtype=np.int64), min(count, len(near))) if near and count else []
    generator = np.random.default_rng(seed)
    return wrong, [int(generator.choice(part)) for part in parts]


def _example(answers: Answers, place: int, labels: Sequence[str], inputs: list[Shown]) -> Example:
    truth, answer = answers.truth[place], answers.predicted[place]
    if not labels:
        return Example(figure(truth), figure(answer), inputs, error=f"{'+' if answer >= truth else '−'}{figure(abs(answer - truth))}")
    scores = answers.scores[place]
    known = float(scores[labels.index(truth)]) if truth in labels else None
    return Example(shorten(truth, LONGEST_LABEL), shorten(str(answer), LONGEST_LABEL), inputs, float(scores.max()), known)


def _show_rows(pipeline: Pipeline, data: Dataset, rows: list[int], inputs: list[str]) -> list[list[Shown]]:
    """The inputs of the rows, in the order of the schema."""
    if not rows or not inputs:
        return [[] for _ in rows]
    values = data.take(rows, inputs)
    columns = []
    for name in inputs:
        modality = pipeline.schema[name].modality
        column: list[Any] = values[name]
        if processor_class(modality).is_media:
            keys = sorted({key for key in column if key is not None})
            files = dict(zip(keys, data.media(keys), strict=True))
            column = [None if key is None else files[key] for key in column]
        columns.append([_show(name, modality, value) for value in column])
    return [list(row) for row in zip(*columns, strict=True)]


def _show(name: str, modality: str, value: Any) -> Shown:
    if value is None:
        return Shown(name, modality)
    shown = glance(modality, value)
    return Shown(name, modality, picture=shown) if isinstance(shown, Picture) else Shown(name, modality, text=shown)
