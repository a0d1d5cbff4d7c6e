"""Numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.weighing import Measure, means, ratio

TINY = float(np.finfo(np.float64).eps)


class Number(Kind):
    """A number in the user's unit; the score of a row is its absolute error."""

    main = "mae"
    names = ("mae", "rmse", "r2", "mape")
    unit_of_one = False
    headings = ("Furthest off", "Near the truth", "")

    def measure(self, answers: Answers, leave_out: Collection[str] = ()) -> Measure:
        """mae: mean of |y − ŷ|. rmse: root of the mean of (y − ŷ)². r2: 1 − Σ(y − ŷ)² / Σ(y − ȳ)², left out for fewer than two
        different truths. mape: mean of |y − ŷ| / |y|, left out where some truth is 0.
        """
        truth, off = _floats(answers.truth), _floats(answers.truth) - _floats(answers.predicted)
        has_spread, has_zero = len(truth) > 1 and np.ptp(truth) > 0, bool((truth == 0).any())
        centred = truth - truth.mean()  # the variance of large numbers would drown in their squares

        def measured(weights: np.ndarray) -> dict[str, np.ndarray]:
            squares = means(weights, off**2)
            found = {"mae": means(weights, np.abs(off)), "rmse": np.sqrt(squares)}
            if has_spread:
                variance = means(weights, centred**2) - means(weights, centred) ** 2
                found["r2"] = 1 - ratio(squares, np.where(variance > 1e-12 * centred.var(), variance, 0.0))
            if not has_zero:
                found["mape"] = means(weights, np.abs(off) / np.maximum(np.abs(truth), TINY))
            return found

        return measured

    def row_scores(self, answers: Answers) -> np.ndarray:
        """Absolute errors."""
        return np.abs(_floats(answers.truth) - _floats(answers.predicted))

    def support(self, answers: Answers, said: Sequence[Any]) -> np.ndarray:
        """The answers themselves."""
        return _floats(answers.predicted)

    def floor(self, answers: Answers) -> dict[str, Any]:
        """The median."""
        truth = _floats(answers.truth)
        median = float(np.median(truth))
        return {"answer": median, "mae": float(np.abs(truth - median).mean())}


def _floats(values: list[Any]) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)
