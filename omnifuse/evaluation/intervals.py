"""How sure a mean over rows is."""

from __future__ import annotations

import numpy as np


def bootstrap_interval(scores: np.ndarray, seed: int, draws: int = 1000) -> list[float]:
    """95 % bootstrap interval over rows of the mean (Efron 1979), percentile method."""
    generator = np.random.default_rng(seed)
    means = [scores[generator.integers(0, len(scores), len(scores))].mean() for _ in range(draws)]
    low, high = np.percentile(means, [2.5, 97.5])
    return [float(low), float(high)]
