"""How well draws of a number, or of a series step by step, foretell what came: CRPS and absolute error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from omnifuse.core.errors import OmnifuseError


def crps_of_samples(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(…) continuous ranked probability score of S ≥ 2 draws (S, …) of each true number (…), in the unit of the numbers.

    mean_s |x_s − y| − ½·mean_{s≠s'} |x_s − x_s'|

    Smaller is better; of a single certain answer it is the absolute error. Source: Gneiting & Raftery 2007; the mean over
    different draws makes it fair to any number of draws (Ferro 2014). NaN where the truth or a draw is missing.

    Raises:
        OmnifuseError: fewer than two draws, or shapes that do not fit.
    """
    samples, truth = np.asarray(samples, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if samples.ndim == 0 or samples.shape[1:] != truth.shape:
        raise OmnifuseError(f"samples: expected (draws, {', '.join(map(str, truth.shape))}), got {samples.shape}")
    draws = len(samples)
    if draws < 2:
        raise OmnifuseError(f"samples: {draws} draws of each number; it takes two to tell how far they are spread")
    weights = (2 * np.arange(1, draws + 1) - draws - 1).reshape(-1, *[1] * truth.ndim)
    apart = (weights * np.sort(samples, axis=0)).sum(axis=0) / (draws * (draws - 1))  # half the mean over different pairs
    return np.abs(samples - truth).mean(axis=0) - apart


def crps_of_quantiles(quantiles: np.ndarray, levels: Sequence[float], truth: np.ndarray) -> np.ndarray:
    """(…) continuous ranked probability score of quantiles (…, Q) at the rising levels τ (Q,): the integral of twice the pinball loss.

    2·Σ_q w_q·max(τ_q·(y − x_q), (τ_q − 1)·(y − x_q)), w_q the share of (0, 1) that lies nearest to τ_q

    An approximation, close where there are many levels; with the median alone it is the absolute error. Source: Gneiting &
    Raftery 2007; Laio & Tamea 2007. NaN where the truth or a quantile is missing.

    Raises:
        OmnifuseError: levels that do not rise within 0 and 1, or shapes that do not fit.
    """
    quantiles, truth, tau = (np.asarray(each, dtype=np.float64) for each in (quantiles, truth, levels))
    if tau.ndim != 1 or not len(tau) or (tau <= 0).any() or (tau >= 1).any() or (np.diff(tau) <= 0).any():
        raise OmnifuseError(f"levels: {list(levels)} do not rise within 0 and 1")
    if quantiles.shape != (*truth.shape, len(tau)):
        raise OmnifuseError(f"quantiles: expected {(*truth.shape, len(tau))}, got {quantiles.shape}")
    borders = np.concatenate([[0.0], (tau[1:] + tau[:-1]) / 2, [1.0]])
    off = truth[..., None] - quantiles
    return 2 * (np.maximum(tau * off, (tau - 1) * off) * np.diff(borders)).sum(axis=-1)


def absolute_errors(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(…) absolute error of the median of the draws (S, …), the answer with the least expected one; NaN where something is missing."""
    return np.abs(np.median(np.asarray(samples, dtype=np.float64), axis=0) - np.asarray(truth, dtype=np.float64))


def by_step(scores: np.ndarray) -> np.ndarray:
    """(T,) mean of the scores (N, T, C) of each step over rows and channels, without those that are missing; NaN where all are."""
    there = ~np.isnan(scores)
    counts = there.sum(axis=(0, 2))
    totals = np.where(there, scores, 0).sum(axis=(0, 2))
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
