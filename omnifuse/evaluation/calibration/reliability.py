"""Does it say 0.9 where it is right nine times of ten?"""

from __future__ import annotations

from typing import Any

import numpy as np

from omnifuse.core.seeds import seed_of

BINS, DRAWS, AT_ONCE = 15, 500, 50


def bins_of(confidence: np.ndarray, count: int = BINS, equal_mass: bool = False) -> np.ndarray:
    """(N,) which bin each confidence lies in.

    Args:
        confidence: (N,) in [0, 1].
        count: of bins.
        equal_mass: bins between quantiles of the confidences, with as many rows in each as equal confidences allow, instead of
            ((i − 1)/count, i/count] as of Guo et al. 2017.
    """
    if equal_mass:
        return np.searchsorted(np.quantile(confidence, np.arange(1, count) / count), confidence, side="left")
    return np.clip(np.ceil(confidence * count - 1e-12).astype(np.int64) - 1, 0, count - 1)


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: np.ndarray) -> float:
    """Expected calibration error: Σ over bins of their share of the rows × |share that is right − mean confidence|.

    Source: Naeini et al. 2015; Guo et al. 2017, arXiv 1706.04599. It is above 0 on a few rows even of a perfect model (`chance_error`).
    """
    return float(np.abs(np.bincount(bins, weights=right - confidence)).sum() / len(confidence))


def chance_error(confidence: np.ndarray, bins: np.ndarray, seed: int, draws: int = 200) -> float:
    """What 95 of 100 models that are right exactly as often as they say would stay below, with these confidences.

    Each draw takes right answers by chance, right ~ Bernoulli(confidence), row by row (consistency resampling, Bröcker & Smith 2007).
    """
    generator = np.random.default_rng(seed_of(seed, "chance error"))
    errors = [calibration_error(confidence, generator.random(len(bins)) < confidence, bins) for _ in range(draws)]
    return float(np.percentile(errors, 95))


def error_intervals(
    confidence: np.ndarray,
    right: np.ndarray,
    bins: np.ndarray,
    group: np.ndarray | None,
    seed: int,
    chance: float = 0.0,
    draws: int = DRAWS,
) -> tuple[list[float], list[float]]:
    """95 % bootstrap intervals over rows, or groups of them, of the calibration error and of mean confidence − share that is right.

    That of the error is the basic one, 2·error − quantiles of the draws, cut at 0 (Davison & Hinkley 1997): an error is a sum of absolute
    values, which draws overstate once more than the rows did, and the percentile method would lie too high. It begins at 0 where the error
    is no larger than what `chance` leaves. The other is a percentile interval, and at least as wide as chance makes it for a model that is
    right as often as it says, ±1.96·√Σ p(1 − p)/n: rows that are all right tell no spread.

    Args:
        confidence, right, bins: (N,).
        group: (N,) codes 0 … G − 1 of rows that are drawn together; each alone where there are none.
        seed: of the draws.
        chance: what `chance_error` says.
        draws: how many.
    """
    group = np.arange(len(bins)) if group is None else group
    groups, count = int(group.max()) + 1, int(bins.max()) + 1
    cell = group * count + bins
    gaps_GK = np.bincount(cell, weights=confidence - right, minlength=groups * count).reshape(groups, count)
    rows_G = np.bincount(group, minlength=groups)
    generator = np.random.default_rng(seed_of(seed, "calibration error"))
    errors, means = [], []
    for start in range(0, draws, AT_ONCE):
        size = min(AT_ONCE, draws - start)
        taken = [np.bincount(generator.integers(0, groups, groups), minlength=groups) for _ in range(size)]
        weights_BG = np.array(taken, dtype=np.float64)
        gaps_BK, total_B = weights_BG @ gaps_GK, weights_BG @ rows_G
        errors.append(np.abs(gaps_BK).sum(axis=1) / total_B)
        means.append(gaps_BK.sum(axis=1) / total_B)
    low, high = np.percentile(np.concatenate(errors), [2.5, 97.5])
    error = calibration_error(confidence, right, bins)
    gap, drawn = float((confidence - right).mean()), np.percentile(np.concatenate(means), [2.5, 97.5])
    half = 1.96 * float(np.sqrt((confidence * (1 - confidence)).sum())) / len(right)
    ends = min(float(drawn[0]), gap - half), max(float(drawn[1]), gap + half)
    begin = 0.0 if error <= chance else 2 * error - high
    return [float(max(0.0, begin)), float(max(0.0, 2 * error - low))], list(ends)


def bin_table(confidence: np.ndarray, right: np.ndarray, bins: np.ndarray) -> list[dict[str, Any]]:
    """Of each bin that holds rows: its rows, their least, greatest and mean confidence, the share that is right."""
    table = []
    for place in np.unique(bins):
        own = bins == place
        table.append(
            {
                "rows": int(own.sum()),
                "low": float(confidence[own].min()),
                "high": float(confidence[own].max()),
                "confidence": float(confidence[own].mean()),
                "right": float(right[own].mean()),
            }
        )
    return table


def brier_score(probabilities: np.ndarray, places: np.ndarray) -> float:
    """Mean over rows of Σ over labels of (p − 1 where it is the true one, else p)², from 0 to 2 (Brier 1950).

    Args:
        probabilities: (N, K).
        places: (N,) of the true labels; −1 for one that the model does not know, of which every label is a wrong one.
    """
    p_NK = probabilities.astype(np.float64)
    own = np.where(places < 0, 0.0, p_NK[np.arange(len(places)), places])
    return float(((p_NK**2).sum(axis=1) - 2 * own + (places >= 0)).mean())


def log_loss(logits: np.ndarray, places: np.ndarray) -> float:
    """Mean of −log softmax(logits) of the true label in nats, over the rows whose label is known; NaN where there are none."""
    known = places >= 0
    if not known.any():
        return float("nan")
    z_NK = logits[known]
    z_NK = z_NK - z_NK.max(axis=1, keepdims=True)
    own = z_NK[np.arange(len(z_NK)), places[known]]
    return float((np.log(np.exp(z_NK).sum(axis=1)) - own).mean())
