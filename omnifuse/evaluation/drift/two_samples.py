"""Do two samples come from one distribution, and how far apart are they? N values of one, M of the other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from omnifuse.core.seeds import seed_of

DRAWS, AT_ONCE = 2000, 250
LEAST_EXPECTED = 5.0


class Compared(NamedTuple):
    """A statistic, an effect from 0 (the same) to 1 (nothing shared), and the p of the hypothesis that they are the same."""

    statistic: float
    effect: float
    p: float


def kolmogorov_smirnov(one: np.ndarray, other: np.ndarray) -> Compared:
    """The largest distance of two empirical distribution functions, D = max |F₁(x) − F₂(x)|; D is the effect.

    p by the limit distribution, which is careful where values are equal. Source: Smirnov 1939; scipy's `ks_2samp`.

    Args:
        one, other: (N,) and (M,) numbers, at least one of each.
    """
    from scipy.stats import ks_2samp

    found: Any = ks_2samp(one, other, method="asymp")
    return Compared(float(found.statistic), float(found.statistic), float(found.pvalue))


def chi_square(one: Mapping[Any, int], other: Mapping[Any, int]) -> Compared:
    """Pearson's χ² of how often labels occur, K labels by two samples; labels expected fewer than 5 times count together.

    The effect is Cramér's V without bias: φ² = max(0, χ²/n − (K − 1)/(n − 1)), V = √(φ² / min(K̃ − 1, r̃ − 1)) with
    K̃ = K − (K − 1)²/(n − 1), r̃ = 2 − 1/(n − 1). Source: Pearson 1900, Cochran 1954, Bergsma 2013.

    Args:
        one, other: occurrences by label, at least one of each.
    """
    from scipy.special import chdtrc

    totals = Counter(one) + Counter(other)
    n, share = sum(totals.values()), min(sum(one.values()), sum(other.values())) / sum(totals.values())
    names = [label for label, count in totals.items() if count * share >= LEAST_EXPECTED]
    table = np.array([[sample.get(label, 0) for label in names] for sample in (one, other)], dtype=np.float64).reshape(2, -1)
    rest = np.array([sum(one.values()), sum(other.values())]) - table.sum(axis=1)
    if rest.sum() > 0:
        table = np.concatenate([table, rest[:, None]], axis=1)
    count = table.shape[1]
    if count < 2:
        return Compared(0.0, 0.0, 1.0)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / n
    statistic = float(((table - expected) ** 2 / expected).sum())
    phi = max(0.0, statistic / n - (count - 1) / (n - 1))
    sizes = count - (count - 1) ** 2 / (n - 1) - 1, 1 - 1 / (n - 1)
    return Compared(statistic, math.sqrt(min(1.0, phi / max(min(sizes), 1e-12))), float(chdtrc(count - 1, statistic)))


def energy_distance(one: np.ndarray, other: np.ndarray, seed: int, draws: int = DRAWS) -> Compared:
    """How far two samples of vectors (N, D) and (M, D) lie apart: E = 2·mean|xᵢ − yⱼ| − mean|xᵢ − xⱼ| − mean|yᵢ − yⱼ|.

    With weights a (1/N of one, −1/M of the other) and all distances Δ it is −aᵀΔa, so p comes from dealing out anew which vector
    belongs to which sample: (1 + how many dealings reach E) / (1 + draws). In one dimension E is the square of scipy's
    `energy_distance`.

    The effect is √H, H = (E − its mean over the dealings) / (2·mean|xᵢ − yⱼ|), not below 0; of two normal distributions that lie
    δ deviations apart it is about δ/2.

    Source: Székely & Rizzo 2004 and 2013, "Energy statistics".
    """
    from scipy.spatial.distance import cdist

    n, m = len(one), len(other)
    both = np.concatenate([one, other]).astype(np.float64)
    distances = cdist(both, both)
    weights = np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])
    statistic, between = -float(weights @ distances @ weights), 2 * float(distances[:n, n:].mean())
    generator, narrow = np.random.default_rng(seed_of(seed, "energy")), distances.astype(np.float32)
    drawn = []
    for start in range(0, draws, AT_ONCE):
        dealt = generator.permuted(np.tile(weights, (min(AT_ONCE, draws - start), 1)), axis=1)
        drawn.append(-np.einsum("bn,bn->b", (dealt.astype(np.float32) @ narrow).astype(np.float64), dealt))
    dealings = np.concatenate(drawn)
    reached = int((dealings >= statistic - 1e-6 * max(between, 1e-300)).sum())
    effect = math.sqrt(min(1.0, max(0.0, statistic - float(dealings.mean())) / between)) if between > 0 else 0.0
    return Compared(statistic, effect, (1 + reached) / (1 + draws))
