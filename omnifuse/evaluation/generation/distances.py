"""How far the features of what was made lie from those of what is real, as two distributions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from omnifuse.evaluation.generation.checks import feature_matrices

BLOCK = 1024


class Distance(NamedTuple):
    """A distance, and the one that other real values have under the same conditions: what perfect samples would get."""

    value: float
    floor: float


def beside_floor(
    measure: Callable[[np.ndarray, np.ndarray], float], made: np.ndarray, real: np.ndarray, other_real: np.ndarray
) -> Distance:
    """Measure samples and other real values against the same real ones.

    Args:
        measure: of two matrices (N, D), such as `frechet_distance`.
        made: (N, D) features of samples.
        real: (M, D) features of real values.
        other_real: (N, D) features of real values that are not among `real`. Of `made` and `other_real` the larger one is cut to the
            size of the smaller, since the distance of small samples is larger.
    """
    same = min(len(made), len(other_real))
    return Distance(measure(made[:same], real), measure(other_real[:same], real))


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Distance of two normal distributions with the means and covariances of the features (N, D) and (M, D).

    |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½)

    Source: Dowson & Landau 1982; of features of a network: FID, Heusel et al. 2017, arXiv 1706.08500, whose network is Inception;
    here it is whatever made the features. With Σᵢ = RᵢᵀRᵢ the trace of the root is the sum of the singular values of R₁R₂ᵀ,
    which needs no root of a matrix and stays exact where a covariance is singular (fewer rows than D).

    The estimate is too large for few rows; compare it with other real values of the same number only.

    Raises:
        OmnifuseError: fewer than two rows, different widths, or numbers that are not finite.
    """
    one, two = feature_matrices(first, second)
    roots = [_covariance_root(each) for each in (one, two)]
    apart = float(((one.mean(axis=0) - two.mean(axis=0)) ** 2).sum())
    own = sum(float((root**2).sum()) for root in roots)
    shared = float(np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum())
    return max(0.0, apart + own - 2 * shared)


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Squared maximum mean discrepancy of the features (N, D) and (M, D), unbiased: it is 0 on average for equal distributions, at
    any number of rows, and may be negative.

    mean_{i≠j} k(xᵢ, xⱼ) + mean_{i≠j} k(yᵢ, yⱼ) − 2·mean_{ij} k(xᵢ, yⱼ), k(x, y) = (x·y/D + 1)³

    Source: KID, Bińkowski et al. 2018, arXiv 1801.01401, who average it over subsets; here all pairs count.

    Raises:
        OmnifuseError: fewer than two rows, different widths, or numbers that are not finite.
    """
    one, two = feature_matrices(first, second)
    n, m = len(one), len(two)
    within = [(_kernel_sum(each, each) - float(_kernel((each**2).sum(axis=1), each.shape[1]).sum())) for each in (one, two)]
    return within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * _kernel_sum(one, two) / (n * m)


def _covariance_root(features: np.ndarray) -> np.ndarray:
    """R (≤ D, D) with RᵀR the covariance, divided by N − 1."""
    return np.linalg.qr(features - features.mean(axis=0), mode="r") / np.sqrt(len(features) - 1)


def _kernel(products: np.ndarray, width: int) -> np.ndarray:
    return (products / width + 1) ** 3


def _kernel_sum(one: np.ndarray, two: np.ndarray) -> float:
    """The sum over all pairs, a block of rows at a time."""
    blocks = range(0, len(one), BLOCK)
    return sum(float(_kernel(one[at : at + BLOCK] @ two.T, one.shape[1]).sum()) for at in blocks)
