"""Rows to look at: right and wrong ones, with their inputs as a page can show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from omnifuse.core.seeds import seed_of
from omnifuse.data.dataset import Dataset
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.data.report.glance import glance
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.attribution.explain import explain_rows
from omnifuse.evaluation.attribution.explanation import Explanation
from omnifuse.evaluation.attribution.showing import SMALL_LOOK, Explained, Share, View, show
from omnifuse.evaluation.kinds import kind_of
from omnifuse.evaluation.kinds.kind import Kind, reciprocal
from omnifuse.evaluation.kinds.label import Label
from omnifuse.evaluation.kinds.number import Number
from omnifuse.evaluation.kinds.sample import Sample
from omnifuse.page.media import Picture
from omnifuse.page.words import figure, shorten
from omnifuse.pipeline.pipeline import Pipeline

LONGEST_LABEL = 80
Words = str | Picture


@dataclass(frozen=True)
class Shown:
    """One input of a row: a picture or a text, or neither where it is absent; where the answer is explained, with its map."""

    column: str
    modality: str
    text: str | None = None
    picture: Picture | None = None
    view: View | None = None


@dataclass(frozen=True)
class Example:
    """A row with its truth and its answer; probabilities of labels, and in other targets how far off it is, in words; where the answer is
    explained, what each column adds.
    """

    truth: str
    answer: str
    inputs: list[Shown]
    probability: float | None = None
    truth_probability: float | None = None
    error: str | None = None
    adds: Sequence[Share] = ()


@dataclass(frozen=True)
class Examples:
    """Right and wrong rows of one target (near and far ones, where it is a number)."""

    wrong: list[Example] = field(default_factory=list)
    right: list[Example] = field(default_factory=list)


def show_examples(pipeline: Pipeline, data: Dataset, target: str, answers: Answers, count: int, explain: bool = False) -> Examples:
    """Choose up to `count` right and as many wrong rows, and render them.

    Wrong: the surest wrong answers, or the numbers furthest off. Right: spread over the labels, or over the range
    of a number; in other targets the lowest and the highest scores or ranks. The same answers give the same rows.

    With `explain`, each row says what every column adds to its answer, and shows where in pictures, texts, sounds and series: some
    hundred variants of it are asked about. What is drawn has no answer to explain.
    """
    kind, seed = kind_of(pipeline.head_config(target)), seed_of("report", target)
    if isinstance(kind, Label | Number):
        wrong, right = (pick_numbers if isinstance(kind, Number) else pick_categories)(answers, count, seed)
    else:
        ranks = kind.ranks(answers)
        scores = kind.row_scores(answers) if ranks is None else reciprocal(ranks)
        wrong, right = pick_by_score(-scores if ranks is None and kind.lower_is_better else scores, count, seed)
    inputs = [name for name in pipeline.schema.inputs if name != target]
    places = wrong + right
    shown = _show_rows(pipeline, data, [answers.rows[place] for place in places], inputs)
    said = [answers.truth[place] for place in places] + [answers.predicted[place] for place in places]
    words = _in_words(pipeline, data, target, kind, said)
    made = [
        _example(kind, answers, place, row, truth, answer)
        for place, row, truth, answer in zip(places, shown, words[: len(places)], words[len(places) :], strict=True)
    ]
    if explain and places and not isinstance(kind, Sample):
        made = _explained(pipeline, data, target, answers, places, made)
    return Examples(made[: len(wrong)], made[len(wrong) :])


def _explained(pipeline: Pipeline, data: Dataset, target: str, answers: Answers, places: list[int], made: list[Example]) -> list[Example]:
    """The same examples with what each column adds, and with maps where values have parts."""
    rows = [answers.rows[place] for place in places]
    towards = [answers.predicted[place] for place in places]
    explained = explain_rows(pipeline, data, rows, target, towards=towards, candidates=answers.candidates)
    shown = show(pipeline, data, rows, explained, SMALL_LOOK)
    return [
        replace(example, inputs=[_mapped(each, why, named) for each in example.inputs], adds=named.shares)
        for example, why, named in zip(made, explained, shown, strict=True)
    ]


def _mapped(shown: Shown, why: Explanation, named: Explained) -> Shown:
    return replace(shown, view=named.views[shown.column]) if why.maps.get(shown.column) is not None else shown


def pick_by_score(scores: np.ndarray, count: int, seed: int) -> tuple[list[int], list[int]]:
    """Places of the lowest scores, and of the highest ones of the others; equal ones are drawn from."""
    drawn = np.random.default_rng(seed).permutation(len(scores))
    order = drawn[np.argsort(scores[drawn], kind="stable")]
    worst = float(scores.max(initial=0.0))
    wrong = [int(place) for place in order[:count] if scores[place] < worst]
    right = [int(place) for place in order[::-1][: min(count, len(order) - len(wrong))]]
    return wrong, right


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


def _example(kind: Kind, answers: Answers, place: int, inputs: list[Shown], truth: Words, answer: Words) -> Example:
    pictures = [Shown(name, "", picture=said) for name, said in (("truth", truth), ("answer", answer)) if isinstance(said, Picture)]
    words = ["see below" if isinstance(said, Picture) else said for said in (truth, answer)]
    shown = Example(words[0], words[1], [*inputs, *pictures])
    if isinstance(kind, Number):
        true, said = answers.truth[place], answers.predicted[place]
        return replace(shown, error=f"off by {'+' if said >= true else '−'}{figure(abs(said - true))}")
    if isinstance(kind, Label):
        scores, true = answers.scores[place], answers.truth[place]
        known = float(scores[answers.labels.index(true)]) if true in answers.labels else None
        said = float(scores[answers.labels.index(answers.predicted[place])])
        return replace(shown, probability=said, truth_probability=known)
    if isinstance(kind, Sample):
        return replace(shown, error=f"loss {figure(float(answers.scores[place, 0]))}")
    ranks = kind.ranks(answers)
    if ranks is None:
        return shown
    return replace(shown, error=f"rank {ranks[place]:g}" if ranks[place] else "unknown")


def _in_words(pipeline: Pipeline, data: Dataset, target: str, kind: Kind, values: list[Any]) -> list[Words]:
    """Truths and answers of a target as a page shows them: words, or pictures of what is no word; a dash where there is no answer."""
    if None in values:
        known = iter(_in_words(pipeline, data, target, kind, [value for value in values if value is not None]))
        return ["–" if value is None else next(known) for value in values]
    modality = pipeline.schema[target].modality
    if isinstance(kind, Number):
        return [figure(value) for value in values]
    if modality == "set":
        return [shorten(", ".join(value), LONGEST_LABEL) if value else "nothing" for value in values]
    if modality in ("category", "id", "text"):
        return [shorten(str(value), LONGEST_LABEL) for value in values]
    if processor_class(modality).is_media:
        keys = sorted(set(values))
        files = dict(zip(keys, data.media(keys), strict=True))
        values = [files[value] for value in values]
    shown = [glance(modality, value) for value in values]
    return [each if isinstance(each, Picture) else shorten(str(each), LONGEST_LABEL) for each in shown]


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
