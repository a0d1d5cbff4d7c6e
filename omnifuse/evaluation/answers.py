"""What a model said about one target."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Candidates:
    """What may be retrieved: the different values of a target, and their vectors (C, E) in the space of the rows."""

    values: list[Any]
    vectors: np.ndarray

    def places(self, truth: list[Any]) -> np.ndarray:
        """(N,) which candidate each value is; −1 where it is none."""
        place = {value: i for i, value in enumerate(self.values)}
        return np.array([place.get(value, -1) for value in truth], dtype=np.int64)


@dataclass(frozen=True)
class Told:
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
