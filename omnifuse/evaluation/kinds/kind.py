"""What every kind of target tells about itself when it is judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, ClassVar

import numpy as np

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.metrics import LOWER_IS_BETTER
from omnifuse.evaluation.weighing import Measure

ZERO: Any = 0  # what a ratio without any row counts as; scikit-learn declares its parameter as a word only


class Kind(ABC):
    """The metrics of one kind of target, and the score of each row that intervals and the shuffle test are made of.

    Attributes:
        main: the metric that is shown first; it is the mean of the scores of the rows.
        names: all metrics, the main one first.
        slow: those that cost much more than a mean over rows.
        unit_of_one: whether the scores of the rows lie between 0 and 1.
        headings: of the examples that went wrong and those that went right, and a note about them.
    """

    main: ClassVar[str]
    names: ClassVar[tuple[str, ...]]
    slow: ClassVar[tuple[str, ...]] = ()
    unit_of_one: ClassVar[bool] = True
    headings: ClassVar[tuple[str, str, str]] = ("Wrong", "Right", "")

    @property
    def lower_is_better(self) -> bool:
        """Whether small values of the main metric are good."""
        return self.main in LOWER_IS_BETTER

    def keep(self, scores: np.ndarray, truth: Sequence[Any], labels: Sequence[str]) -> np.ndarray:
        """(B, …) what is kept of the predictions for a few rows with their truth."""
        return scores

    def metrics(self, answers: Answers) -> dict[str, float]:
        """Those of `names` that these rows allow; what each is stands at `measure`."""
        found = self.measure(answers)(np.ones((1, len(answers.truth))))
        return {name: float(found[name][0]) for name in self.names if name in found}

    @abstractmethod
    def measure(self, answers: Answers, leave_out: Collection[str] = ()) -> Measure:
        """A function from weights (B, N) of these rows to the metrics (B,) that they allow, without those to `leave_out`.

        A metric is NaN where the rows that have a weight do not allow it.
        """

    @abstractmethod
    def row_scores(self, answers: Answers) -> np.ndarray:
        """(N,) float64, whose mean is the main metric."""

    @abstractmethod
    def floor(self, answers: Answers) -> dict[str, Any]:
        """The best `answer` that looks at no input, the main metric that it gets, and `how` it comes about where it is not
        simply always the same.
        """

    def support(self, answers: Answers, said: Sequence[Any]) -> np.ndarray:
        """(N,) how much these answers speak for what was `said` of the same rows when the whole row was known.

        The answer itself where it is a number, in its unit; what else a kind says; the score of the row where it says nothing.
        """
        return self.row_scores(answers)

    def surprise(self, answers: Answers) -> np.ndarray | None:
        """(N,) −log of the probability of the truth in nats; `None` where the answers are no probabilities."""
        return None

    def ranks(self, answers: Answers) -> np.ndarray | None:
        """(N,) the rank of what is right among the choices, 0 for never; `None` where nothing is ranked."""
        return None

    def choices(self, answers: Answers) -> int:
        """How many there are to rank."""
        return len(answers.labels)

    def tables(self, answers: Answers) -> dict[str, Any]:
        """By the key of `evaluation.json`, what is more than a number: `classes`, `confusion`."""
        return {}


def ranks_of(scores: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N,) the rank of one score among each row's scores (N, C), 1 for the best.

    Equal scores share the mean of their ranks, so that a model that says the same of all ranks none first. 0 where the place
    is −1 (there is nothing to find), NaN where scores are no numbers.
    """
    own = scores[np.arange(len(scores)), places][:, None]
    better, equal = (scores > own).sum(1), (scores == own).sum(1)
    ranks = np.where(places < 0, 0.0, 1.0 + better + (equal - 1) / 2)
    return np.where(np.isfinite(scores).all(axis=1), ranks, np.nan)


def found_within(ranks: np.ndarray, most: int) -> np.ndarray:
    """(N,) 1 where the rank is among the first `most`, else 0; NaN stays."""
    return np.where(np.isnan(ranks), np.nan, ((ranks > 0) & (ranks <= most)).astype(np.float64))


def reciprocal(ranks: np.ndarray) -> np.ndarray:
    """(N,) 1/rank, 0 where nothing is found."""
    return np.where(ranks == 0, 0.0, 1 / np.where(ranks == 0, 1.0, ranks))


def most_frequent(values: Sequence[str]) -> tuple[str, float]:
    """The value that occurs most often (the first in the alphabet of several), and its share."""
    names, counts = np.unique(np.asarray(values, dtype=object).astype(str), return_counts=True)
    best = int(counts.argmax())
    return str(names[best]), float(counts[best] / counts.sum())
