"""One number that makes a model say how often it is right."""

from __future__ import annotations

import numpy as np

from omnifuse.evaluation.calibration.reliability import log_loss
from omnifuse.pipeline.conformal import log_probabilities

LOWEST, HIGHEST = 0.05, 20.0
_EDGE = 1.001


def fit_temperature(probabilities: np.ndarray, places: np.ndarray) -> float:
    """The T in (0.05, 20) that makes the log loss of softmax(log p / T) least; 1 where no label is known, or no such T is best.

    Source: Guo et al. 2017, arXiv 1706.04599. The loss is convex in 1/T, so the search (Brent 1973, over log T) finds its only minimum.
    It has none where every answer is right: the surer the better, and nothing tells how sure is too sure.

    Args:
        probabilities: (N, K) of calibration rows; log p does as well as logits.
        places: (N,) of the true labels; rows of −1, a label that the model does not know, are left out.
    """
    from scipy.optimize import minimize_scalar

    known = places >= 0
    if not known.any():
        return 1.0
    logits, truth = log_probabilities(probabilities[known]), places[known]
    found = minimize_scalar(
        lambda log_t: log_loss(logits / np.exp(log_t), truth),
        bounds=(np.log(LOWEST), np.log(HIGHEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    temperature = float(np.exp(found.x))  # pyright: ignore[reportAttributeAccessIssue]
    return temperature if LOWEST * _EDGE < temperature < HIGHEST / _EDGE else 1.0
