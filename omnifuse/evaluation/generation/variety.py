"""How various samples are, and how near to what the model was trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.evaluation.generation.checks import feature_matrices

BLOCK = 512
NEAR = 0.01


def spread(features: np.ndarray, groups: Sequence[Hashable] | None = None) -> float:
    """Mean Euclidean distance of two different rows of the features (N, D).

    With `groups`, such as what the samples were made from, of two rows of one group: whether the model makes the same thing again
    and again from the same input, which the distance over all would hide. Groups of one row do not count.

    Raises:
        OmnifuseError: there are no two rows to compare, or numbers that are not finite.
    """
    [matrix] = feature_matrices(features)
    if groups is None:
        return _pair_distances(matrix) / (len(matrix) * (len(matrix) - 1))
    rows: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    several = [places for places in rows.values() if len(places) > 1]
    if not several:
        raise OmnifuseError("groups: every row has one of its own, so no two can be compared")
    return sum(_pair_distances(matrix[places]) for places in several) / sum(len(places) * (len(places) - 1) for places in several)


def label_entropy(labels: Sequence[Hashable]) -> float:
    """H = −Σ p·log p of the shares of the labels, in nats; 0 where all are the same.

    >>> round(label_entropy(["a", "b", "a", "b"]), 4)
    0.6931
    """
    counts = np.array(list(Counter(labels).values()), dtype=np.float64)
    shares = counts / max(counts.sum(), 1)
    return abs(float((shares * np.log(shares)).sum()))


class Nearness(NamedTuple):
    """How near samples and real test values lie to the training set.

    Attributes:
        made: median distance of a sample to the nearest training value.
        real: the same of real values that were not trained on.
        close: share of the samples nearer to a training value than all but 1 % of the real ones are. About 0.01 where nothing was
            memorised; much more where training values are repeated.
    """

    made: float
    real: float
    close: float


def nearness(made: np.ndarray, real: np.ndarray, training: np.ndarray) -> Nearness:
    """Compare the distances of samples (N, D) and of real test values (M, D) to the nearest training value (T, D).

    Source: the idea of the data-copying test, Meehan et al. 2020, arXiv 2004.05675; here one quantile is compared.

    Raises:
        OmnifuseError: no row, different widths, or numbers that are not finite.
    """
    samples, others, known = feature_matrices(made, real, training, least=1)
    near_made, near_real = nearest_distances(samples, known), nearest_distances(others, known)
    close = float((near_made < np.quantile(near_real, NEAR)).mean())
    return Nearness(float(np.median(near_made)), float(np.median(near_real)), close)


def nearest_distances(rows: np.ndarray, among: np.ndarray) -> np.ndarray:
    """(N,) Euclidean distance of each row (N, D) to the nearest of others (T, D)."""
    found = [_distances(rows[at : at + BLOCK], among).min(axis=1) for at in range(0, len(rows), BLOCK)]
    return np.concatenate(found)


def _pair_distances(matrix: np.ndarray) -> float:
    """The sum over all ordered pairs."""
    total = 0.0
    for at in range(0, len(matrix), BLOCK):
        apart = _distances(matrix[at : at + BLOCK], matrix)
        apart[np.arange(len(apart)), np.arange(at, at + len(apart))] = 0  # what rounding leaves of a row's distance to itself
        total += float(apart.sum())
    return total


def _distances(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """(N, M) by |x|² + |y|² − 2x·y about the mean of both, where little is lost to rounding."""
    centre = two.mean(axis=0)
    one, two = one - centre, two - centre
    squared = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1) - 2 * one @ two.T
    return np.sqrt(np.maximum(squared, 0))
