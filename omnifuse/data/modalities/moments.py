"""Mean and deviation of several channels, learned in one pass; NaN does not count."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

FARTHEST = 1e6


@dataclass
class Moments:
    """Count, mean and sum of squares about it of one channel (merged by Chan et al. 1979)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: np.ndarray) -> None:
        """Learn from (T,) numbers."""
        values = values[~np.isnan(values)].astype(np.float64)
        if not len(values):
            return
        mean, count = float(values.mean()), self.count + len(values)
        step = mean - self.mean
        self.squares += float(((values - mean) ** 2).sum()) + step**2 * self.count * len(values) / count
        self.mean += step * len(values) / count
        self.count = count

    @property
    def std(self) -> float:
        """Deviation; 1 of a channel that never changes."""
        deviation = math.sqrt(self.squares / self.count) if self.count else 0.0
        return deviation if deviation > 1e-12 * max(1.0, abs(self.mean)) else 1.0


def standardise(values: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Float32, at most a million deviations from the mean, so that one wild number cannot overflow a loss; NaN stays."""
    return np.clip((values - mean) / std, -FARTHEST, FARTHEST).astype(np.float32)
