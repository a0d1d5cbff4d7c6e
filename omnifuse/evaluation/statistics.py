"""How sure a difference is: over seeds by Student's t, over rows by bootstrap and by flipping signs, corrected by Holm.

Everything is paired: a difference is taken between two models that saw the same rows with the same seed. C clusters of
rows (rows that belong together, such as those of one patient), S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from omnifuse.core.seeds import seed_of
from omnifuse.evaluation.intervals import LEVEL, interval_of

BOOTSTRAP_DRAWS, FLIP_DRAWS = 2_000, 10_000
AT_ONCE = 4_000_000  # numbers drawn at a time


class Interval(NamedTuple):
    """A mean with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half of its width."""
        return (self.high - self.low) / 2


class Rows(NamedTuple):
    """One number for each row of a test split, and the cluster it belongs to: (N,) float64 and (N,) int64."""

    values: np.ndarray
    clusters: np.ndarray


def over_seeds(values: Sequence[float], overlap: float = 0.0) -> Interval:
    """Mean ± t₀.₉₇₅(S−1) · s · √(1/S + overlap), s the standard deviation of the seeds.

    With `overlap` 0 it is Student's interval. Where each seed divides the rows anew, the models of two seeds share most of
    their training rows, so their figures are not independent: `overlap` = test rows / training rows widens the interval.

    Source: Nadeau & Bengio 2003, "Inference for the Generalization Error", Machine Learning 52, the corrected resampled t.

    Args:
        values: one for each seed, two at least.
        overlap: 0 where all seeds have the same division.
    """
    from scipy.stats import t

    mean, error = _mean_and_error(values, overlap)
    half = float(t.ppf(0.5 + LEVEL / 2, len(values) - 1)) * error
    return Interval(mean, mean - half, mean + half)


def paired_t(differences: Sequence[float], overlap: float = 0.0) -> float:
    """Two-sided p of no difference, by the t-test that belongs to `over_seeds`; NaN where all seeds differ by the same amount."""
    from scipy.stats import t

    mean, error = _mean_and_error(differences, overlap)
    if error <= 1e-12 * max(1.0, abs(mean)):
        return math.nan
    return float(2 * t.sf(abs(mean) / error, len(differences) - 1))


def over_rows(differences: Sequence[Rows], seed: int = 0, scale: float = 1.0, draws: int = BOOTSTRAP_DRAWS) -> Interval:
    """Paired bootstrap over clusters of rows of the mean difference (Efron 1979, percentile method), averaged over seeds.

    A draw takes C of the C clusters with replacement, in all seeds the same ones. Fewer than two clusters tell nothing, so
    the interval is then infinite. Where every row differs by the same amount, nothing is drawn but that; what C rows cannot
    show still happens up to 3/C of the time (the rule of three), so the interval reaches scale · 3/C to each side.

    Args:
        differences: for each seed, those of its test rows.
        seed: of the draws.
        scale: how far two models may differ in a row: 1 for right or wrong.
        draws: how many.
    """
    sums, counts = _by_cluster(differences)
    mean = float((sums.sum(1) / counts.sum(1)).mean())
    clusters = sums.shape[1]
    if clusters < 2:
        return Interval(mean, -math.inf, math.inf)
    if all(np.ptp(rows.values) == 0 for rows in differences):
        return Interval(mean, mean - 3 * scale / clusters, mean + 3 * scale / clusters)
    kinds, times_each = np.unique(np.concatenate([sums, counts]), axis=1, return_counts=True)  # right and wrong come in few kinds
    sums, counts = np.split(kinds, 2)
    generator = np.random.default_rng(seed_of(seed, "bootstrap"))
    means = []
    for part in _parts(draws, len(times_each)):
        times = _resample(generator, times_each, clusters, part)
        means.append((times @ sums.T / np.maximum(times @ counts.T, 1)).mean(1))
    return Interval(mean, *interval_of(np.concatenate(means)))


def sign_flip(differences: Sequence[Rows], seed: int = 0, draws: int = FLIP_DRAWS) -> float:
    """Two-sided p of no difference: how often is the mean as far from 0 when the sign of each cluster is drawn by lot?

    p = (1 + draws at least as far) / (1 + draws), which is never 0. Clusters without a difference change nothing.
    """
    sums, counts = _by_cluster(differences)
    each = (sums / counts.sum(1, keepdims=True)).mean(0)
    each = each[each != 0]
    if not len(each):
        return 1.0
    seen = abs(float(each.sum())) - 1e-9 * float(np.abs(each).sum())  # sums of the same numbers in another order differ in the last digit
    sizes, times_each = np.unique(np.abs(each), return_counts=True)  # of equal ones only how many are positive matters
    generator = np.random.default_rng(seed_of(seed, "signs"))
    far = 0
    for part in _parts(draws, len(sizes)):
        positive = _heads(generator, times_each, part)
        far += int((np.abs((2.0 * positive - times_each) @ sizes) >= seen).sum())
    return (1 + far) / (1 + draws)


def holm(ps: np.ndarray) -> np.ndarray:
    """(m,) ps corrected for testing several things at once: the k-th smallest becomes max over i ≤ k of min(1, (m − i + 1)·p₍ᵢ₎).

    The chance of one false alarm or more among all tests is then at most the level, whatever they have to do with each other.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(ps, kind="stable")
    steps = np.minimum(1.0, (len(ps) - np.arange(len(ps))) * ps[order])
    corrected = np.empty(len(ps))
    corrected[order] = np.maximum.accumulate(steps) if len(ps) else steps
    return corrected


def _mean_and_error(values: Sequence[float], overlap: float) -> tuple[float, float]:
    assert len(values) > 1, "one seed has no deviation"
    numbers = np.asarray(values, dtype=np.float64)
    return float(numbers.mean()), float(numbers.std(ddof=1)) * math.sqrt(1 / len(numbers) + overlap)


def _by_cluster(differences: Sequence[Rows]) -> tuple[np.ndarray, np.ndarray]:
    """(S, C) sums of the rows of each cluster, and (S, C) how many they are."""
    known = np.unique(np.concatenate([rows.clusters for rows in differences]))
    places = [np.searchsorted(known, rows.clusters) for rows in differences]
    sums = [np.bincount(place, rows.values, len(known)) for place, rows in zip(places, differences, strict=True)]
    return np.stack(sums), np.stack([np.bincount(place, minlength=len(known)) for place in places]).astype(np.float64)


def _resample(generator: np.random.Generator, kinds: np.ndarray, clusters: int, draws: int) -> np.ndarray:
    """(draws, K) how often each of K kinds comes when as many clusters are drawn as there are; quick for few kinds and for many."""
    if 4 * len(kinds) < clusters:
        return generator.multinomial(clusters, kinds / clusters, draws).astype(np.float64)
    kind = np.repeat(np.arange(len(kinds)), kinds)[generator.integers(0, clusters, (draws, clusters))]
    places = kind + len(kinds) * np.arange(draws)[:, None]
    return np.bincount(places.ravel(), minlength=draws * len(kinds)).reshape(draws, -1).astype(np.float64)


def _heads(generator: np.random.Generator, coins: np.ndarray, draws: int) -> np.ndarray:
    """(draws, K) how many of the coins of each of K kinds show heads."""
    if coins.max() > 1:
        return generator.binomial(coins, 0.5, (draws, len(coins)))
    bits = np.frombuffer(generator.bytes(draws * -(-len(coins) // 8)), dtype=np.uint8)
    return np.unpackbits(bits.reshape(draws, -1), axis=1, count=len(coins))


def _parts(draws: int, width: int) -> list[int]:
    """Draws cut into parts that fit into memory."""
    size = max(1, min(draws, AT_ONCE // width))
    return [min(size, draws - start) for start in range(0, draws, size)]
