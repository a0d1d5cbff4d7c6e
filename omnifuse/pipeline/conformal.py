"""Split conformal prediction: from scores of rows with known truth to sets of labels and intervals of numbers for new rows.

A score says how badly a value fits what the model told of a row. For a new row, all values are kept whose score is at most the
⌈(n + 1)·coverage⌉-th smallest score of the true values of n calibration rows; so the truth is kept with at least that chance, whatever the
model is worth, as long as calibration rows and new rows come in any order alike (Vovk et al. 2005; Lei et al. 2018, arXiv 1604.04173).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from omnifuse.core.seeds import scramble, seed_of

Method = Literal["lac", "aps", "residual", "cqr"]
METHODS: dict[str, tuple[Method, ...]] = {"label": ("lac", "aps"), "number": ("residual",), "quantiles": ("cqr",)}
MOST_SCORES = 2000


@dataclass(frozen=True)
class Scores:
    """The sorted scores of the true values of some calibration rows, from which any coverage has its threshold.

    Up to 2,000 scores are all kept. Of more, 2,000 are, at ranks ⌈j·n/2,000⌉, and a threshold between two of them is the higher one: it
    keeps the truth more often by at most 0.05 points.

    Attributes:
        rows: n, how many calibration rows there are.
        kept: (M,) ascending; infinite where nothing fits, such as a true label that the model does not know.
        effective: by coverage, how many independent rows tell as much about the threshold, where rows hang together.
    """

    rows: int
    kept: np.ndarray
    effective: Mapping[float, float] = field(default_factory=dict)

    @classmethod
    def of(cls, scores: np.ndarray, effective: Mapping[float, float] | None = None) -> Scores:
        """Sort scores (n,) and keep at most 2,000; what is no number counts as infinite."""
        ordered = np.sort(np.where(np.isnan(scores), np.inf, scores).astype(np.float64))
        n, most = len(ordered), min(len(ordered), MOST_SCORES)
        return cls(n, ordered[[-(-j * n // most) - 1 for j in range(1, most + 1)]], dict(effective or {}))

    def rank(self, coverage: float) -> int | None:
        """The rank of the threshold among the n scores, k = ⌈(n + 1)·coverage⌉ or the next that is kept; `None` where n is too small.

        >>> Scores.of(np.arange(9.0)).rank(0.9), Scores.of(np.arange(8.0)).rank(0.9)
        (9, None)
        """
        place = self._place(coverage)
        return None if place is None else self._rank(place)

    def threshold(self, coverage: float) -> float:
        """The k-th smallest score; infinite where n is too small."""
        place = self._place(coverage)
        return math.inf if place is None else float(self.kept[place])

    def tied_rank(self, coverage: float) -> int | None:
        """The last rank whose score equals the threshold; the rank itself where scores differ."""
        place = self._place(coverage)
        return None if place is None else self._rank(int(np.searchsorted(self.kept, self.kept[place], side="right")) - 1)

    def dump(self) -> dict[str, Any]:
        """As JSON; `null` is infinite."""
        kept = [score if math.isfinite(score) else None for score in self.kept.tolist()]
        return {"rows": self.rows, "effective": {str(level): rows for level, rows in self.effective.items()}, "scores": kept}

    @classmethod
    def parse(cls, saved: Mapping[str, Any]) -> Scores:
        """What `dump` gave."""
        kept = np.array([math.inf if score is None else score for score in saved["scores"]], dtype=np.float64)
        return cls(int(saved["rows"]), kept, {float(level): float(rows) for level, rows in saved["effective"].items()})

    def _place(self, coverage: float) -> int | None:
        k = math.ceil((self.rows + 1) * _exact(coverage))
        return None if k > self.rows else (k - 1) * len(self.kept) // self.rows

    def _rank(self, place: int) -> int:
        return -(-(place + 1) * self.rows // len(self.kept))


def rows_needed(coverage: float) -> int:
    """The least number of calibration rows with a finite threshold: ⌈(n + 1)·coverage⌉ ≤ n from n = ⌈coverage/(1 − coverage)⌉ on.

    >>> rows_needed(0.9), rows_needed(0.95)
    (9, 19)
    """
    return math.ceil(_exact(coverage) / (1 - _exact(coverage)))


def label_scores(probabilities: np.ndarray, method: Method, seed: int = 0) -> np.ndarray:
    """(N, K) how badly each label fits, from probabilities (N, K).

    - `lac`: 1 − p of the label. The smallest sets on average among all with the same coverage (Sadinle et al. 2019, arXiv 1609.00451).
    - `aps`: the probability of all labels before it, the most probable first, plus a share u of its own (Romano et al. 2020, arXiv
      2006.02544). Sets are larger and grow where a row is hard. u is uniform on [0, 1), a hash of the seed and of the row's probabilities
      instead of a draw, so that a row has the same set in any company.
    """
    p_NK = probabilities.astype(np.float64)
    if method == "lac":
        return 1 - p_NK
    assert method == "aps", method
    order_NK = np.argsort(-p_NK, axis=1, kind="stable")
    sorted_NK = np.take_along_axis(p_NK, order_NK, axis=1)
    scores_NK = np.empty_like(p_NK)
    np.put_along_axis(scores_NK, order_NK, sorted_NK.cumsum(axis=1) - (1 - _uniform(probabilities, seed)[:, None]) * sorted_NK, axis=1)
    return scores_NK


def true_label_scores(probabilities: np.ndarray, places: np.ndarray, method: Method, seed: int = 0) -> np.ndarray:
    """(N,) the scores of the true labels, whose places (N,) are given; infinite for −1, a label that the model does not know."""
    own = label_scores(probabilities, method, seed)[np.arange(len(places)), places]
    return np.where(places < 0, np.inf, own)


def outer(prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends (N,) that an interval grows from: a number (N,) twice, or the outermost of its quantiles (N, Q)."""
    return (prediction, prediction) if prediction.ndim == 1 else (prediction[:, 0], prediction[:, -1])


def number_scores(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(N,) how far true numbers lie outside of what was told, negative inside: max(low − y, y − high).

    Of a number that is the absolute residual |y − ŷ|; of quantiles, conformalized quantile regression (Romano et al. 2019, arXiv
    1905.03222) with the outermost two, whatever coverage is asked for.
    """
    low, high = outer(prediction.astype(np.float64))
    return np.maximum(low - truth, truth - high)


def intervals(prediction: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Low and high ends (N,): what was told, widened by the thresholds (N,); where that leaves nothing, both are the middle of it."""
    low, high = outer(prediction.astype(np.float64))
    middle = (low + high) / 2
    crossed = low - thresholds > high + thresholds
    return np.where(crossed, middle, low - thresholds), np.where(crossed, middle, high + thresholds)


def label_sets(probabilities: np.ndarray, kept: np.ndarray, labels: Sequence[str]) -> list[list[str]]:
    """The labels that are kept (N, K) of each row, the most probable first."""
    order_NK = np.argsort(-probabilities, axis=1, kind="stable")
    return [[str(labels[place]) for place in order if own[place]] for order, own in zip(order_NK, kept, strict=True)]


def temper(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(log p / T) of probabilities (N, K): the same order, flatter for T > 1 (Guo et al. 2017, arXiv 1706.04599).

    log p differs from the logits by a constant of the row, which softmax does not see. float64; rows add up to 1.
    """
    logits_NK = log_probabilities(probabilities) / temperature
    shares_NK = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    return shares_NK / shares_NK.sum(axis=1, keepdims=True)


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """The logarithms in float64, of 0 that of the smallest float32."""
    return np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny))


def _exact(coverage: float) -> Fraction:
    """The number that was written: 10 · 0.9 is 9, not a little more."""
    return Fraction(str(float(coverage)))


def _uniform(probabilities: np.ndarray, seed: int) -> np.ndarray:
    bits_NK = np.ascontiguousarray(probabilities, dtype=np.float32).view(np.uint32).astype(np.uint64)
    hashed = np.full(len(bits_NK), seed_of(seed, "conformal"), dtype=np.uint64)
    for bits in bits_NK.T:
        hashed = scramble(hashed ^ bits, seed_of(seed, "label"))
    return (hashed >> np.uint64(11)).astype(np.float64) / 2.0**53
