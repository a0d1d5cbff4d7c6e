"""Figures of many weightings of the same rows at once: N rows, B weightings (B, N).

Every metric is a function of weights of rows. Weights of 1 give the metric itself; how often a draw took each row gives a bootstrap
interval; 0 and 1 give the metric of a group.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Measure = Callable[[np.ndarray], dict[str, np.ndarray]]  # (B, N) → by metric (B,)


def means(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(B,) Σ w·v / Σ w of one value (N,) a row; NaN where no row has a weight."""
    return ratio(weights @ values.astype(np.float64), weights.sum(axis=1, dtype=np.float64))


def sums_by(weights: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
    """(B, count) the weight of the rows at each place; `places` (N,) from 0 on, −1 for nowhere."""
    from scipy.sparse import csr_matrix

    there = np.flatnonzero(places >= 0)
    indicator = csr_matrix((np.ones(len(there)), (there, places[there])), shape=(len(places), count))
    return np.asarray((indicator.T @ weights.T).T, dtype=np.float64)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Above / below; NaN where below is 0."""
    return np.divide(above, below, out=np.full(np.broadcast_shapes(above.shape, below.shape), np.nan), where=below != 0)


def known_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean of what is not NaN; NaN where nothing is left."""
    there = ~np.isnan(values)
    return ratio(np.where(there, values, 0.0).sum(axis=axis), there.sum(axis=axis).astype(np.float64))


class Curve:
    """Rows in the order of a score (N,), highest first, of which some are right: areas under the curves that a threshold draws."""

    def __init__(self, scores: np.ndarray, right: np.ndarray) -> None:
        """Args: scores: (N,), equal ones stand at one place; right: (N,) bool."""
        self.order = np.argsort(-scores, kind="stable")
        ordered = scores[self.order]
        self.starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        self.right = right[self.order]

    def areas(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B,) the area under the receiver operating characteristic, and (B,) the average precision.

        AUROC = P(score of a right row > score of a wrong one) + ½ P(equal). AP = Σ over thresholds of (recall gained) · precision.
        Source: Hanley & McNeil 1982; Manning et al. 2008. NaN where no row is right, and of the first where none is wrong.
        """
        ordered = weights[:, self.order].astype(np.float64)
        good = np.add.reduceat(ordered * self.right, self.starts, axis=1)
        every = np.add.reduceat(ordered, self.starts, axis=1)
        above, reached = good.cumsum(axis=1), every.cumsum(axis=1)
        total, wrong = above[:, -1], reached[:, -1] - above[:, -1]
        pairs = ((every - good) * (above - good / 2)).sum(axis=1)
        precision = np.divide(above, reached, out=np.zeros_like(above), where=reached > 0)
        return ratio(pairs, total * wrong), ratio((good * precision).sum(axis=1), total)
