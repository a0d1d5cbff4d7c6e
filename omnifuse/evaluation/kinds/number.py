"""Numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.kinds.kind import Kind


class Number(Kind):
    """A number in the user's unit; the score of a row is its absolute error."""

    main = "mae"
    names = ("mae", "rmse", "r2")
    unit_of_one = False
    headings = ("Furthest off", "Near the truth", "")

    def metrics(self, answers: Answers) -> dict[str, float]:
        """See `number_metrics`."""
        return number_metrics(_floats(answers.truth), _floats(answers.predicted))

    def row_scores(self, answers: Answers) -> np.ndarray:
        """Absolute errors."""
        return np.abs(_floats(answers.truth) - _floats(answers.predicted))

    def floor(self, answers: Answers) -> dict[str, Any]:
        """The median."""
        truth = _floats(answers.truth)
        median = float(np.median(truth))
        return {"answer": median, "mae": float(np.abs(truth - median).mean())}


def number_metrics(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Metrics of a regression in the user's unit: mae, rmse, and r2 (left out for fewer than two different truths)."""
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    result = {"mae": float(mean_absolute_error(truth, predicted)), "rmse": math.sqrt(mean_squared_error(truth, predicted))}
    if np.ptp(truth) > 0:
        result["r2"] = float(r2_score(truth, predicted))
    return result


def _floats(values: list[Any]) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)
