"""What a model said about one target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class Candidates:
    """What may be retrieved: the different values of a target, and their vectors (C, E) in the space of the rows."""

    values: list[Any]
    vectors: np.ndarray

    def places(self, truth: Sequence[Any]) -> np.ndarray:
        """(N,) which candidate each value is; −1 where it is none."""
        return places_of(truth, self.values)


class Told(NamedTuple):
    """What the first M rows of the answers say when only some columns of theirs are known.

    Attributes:
        scores: (M,) as `row_scores` gives them.
        support: (M,) how much they speak for what was answered to the whole row, as `support` gives it.
        surprise: (M,) −log probability of the truth in nats; empty where the answers are no probabilities.
    """

    scores: np.ndarray
    support: np.ndarray
    surprise: np.ndarray


@dataclass
class Answers:
    """What a model said about one target, for the N rows whose target is known.

    Attributes:
        rows: (N,) their places in the dataset.
        truth: their true values.
        predicted: the answers.
        scores: (N, …) what the kind of target keeps of the predictions, in the user's unit: probabilities (N, K) of labels,
            numbers (N,), quantiles (N, Q), the rank (N,) of the true item, embeddings (N, E).
        losses: (L,) the loss of the head, of the rows whose target the model can learn.
        shuffled: by input column, (M,) the scores of the first rows when that column is dealt out anew, as `row_scores` gives them.
        subsets: by the input columns that are known, what is then told of the first rows.
        labels: that the model knows, in its order.
        candidates: of a retrieval.
    """

    rows: list[int] = field(default_factory=list)
    truth: list[Any] = field(default_factory=list)
    predicted: list[Any] = field(default_factory=list)
    scores: np.ndarray = field(default_factory=lambda: np.empty(0))
    losses: np.ndarray = field(default_factory=lambda: np.empty(0))
    shuffled: dict[str, np.ndarray] = field(default_factory=dict)
    subsets: dict[frozenset[str], Told] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    candidates: Candidates | None = None

    def at(self, places: Sequence[int] | np.ndarray) -> Answers:
        """The answers at some places, without what was told of shuffled and hidden columns."""
        return replace(
            self,
            rows=[self.rows[i] for i in places],
            truth=[self.truth[i] for i in places],
            predicted=[self.predicted[i] for i in places],
            scores=self.scores[np.asarray(places, dtype=np.int64)] if len(self.scores) else self.scores,
            losses=np.empty(0),
            shuffled={},
            subsets={},
        )


def join_answers(parts: Sequence[Answers]) -> Answers:
    """The answers to several parts of the rows, one after another; parts without an answer add nothing."""
    some = [part for part in parts if part.truth] or parts[:1]
    told = {known: [part.subsets[known] for part in some if known in part.subsets] for part in some for known in part.subsets}
    mixed = {column: [part.shuffled[column] for part in some if column in part.shuffled] for part in some for column in part.shuffled}
    return replace(
        some[0],
        rows=[row for part in some for row in part.rows],
        truth=[value for part in some for value in part.truth],
        predicted=[answer for part in some for answer in part.predicted],
        scores=np.concatenate([part.scores for part in some]),
        losses=np.concatenate([part.losses for part in some]),
        shuffled={column: np.concatenate(scores) for column, scores in mixed.items()},
        subsets={known: Told(*map(np.concatenate, zip(*each, strict=True))) for known, each in told.items()},
    )


def places_of(values: Sequence[Any], among: Sequence[Any]) -> np.ndarray:
    """(N,) the place of each value among others; −1 where it is none of them."""
    place = {value: i for i, value in enumerate(among)}
    return np.array([place.get(value, -1) for value in values], dtype=np.int64)
