"""How often sets and intervals hold the truth, by what a row has, beside what chance would make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omnifuse.core.seeds import seed_of
from omnifuse.evaluation.calibration.effective_rows import effective_rows
from omnifuse.pipeline.calibration import Pattern, TargetCalibration
from omnifuse.pipeline.conformal import Scores, intervals

DRAWS = 10_000


@dataclass(frozen=True)
class Threshold:
    """What chance knows about a threshold: its rank k among n calibration rows, scaled to as many as are independent.

    Attributes:
        low, high: k, and the greatest rank that the threshold might stand for where scores are equal; `None` for an infinite one.
        rows: n, the independent calibration rows.
    """

    low: float
    high: float
    rows: float

    @classmethod
    def of(cls, scores: Scores, coverage: float) -> Threshold | None:
        """That of a coverage; `None` where it is infinite."""
        rank, tied = scores.rank(coverage), scores.tied_rank(coverage)
        if rank is None or tied is None or not np.isfinite(scores.threshold(coverage)):
            return None
        n = max(1.0, scores.effective.get(coverage, float(scores.rows)))
        last = tied if tied == rank else min(tied + 1, scores.rows + 1 - 1e-9)
        return cls(rank / (scores.rows + 1) * (n + 1), last / (scores.rows + 1) * (n + 1), n)


def expected_interval(threshold: Threshold | None, rows: float) -> list[float]:
    """Where 95 % of the coverages of so many independent test rows lie: Beta-binomial, counts j with cumulative share 2.5 % and 97.5 %.

    Over calibration rows, the chance that a new truth is kept is Beta(k, n + 1 − k) (Vovk 2012, arXiv 1209.2673); how many of m are kept is
    binomial with that chance. With equal scores it is at least that, and at most what the last of the equal ranks gives.
    """
    from scipy.stats import betabinom

    if threshold is None:
        return [1.0, 1.0]
    m = max(1, round(rows))
    counts, ends = np.arange(m + 1), []
    for k, share in ((threshold.low, 0.025), (threshold.high, 0.975)):
        below = betabinom.pmf(counts, m, k, threshold.rows + 1 - k).cumsum()
        ends.append(min(m, int(np.searchsorted(below, share))) / m)
    return ends


def expected_of_all(parts: Sequence[tuple[Threshold | None, float, float]], seed: int) -> list[float]:
    """The same of rows with several thresholds together, by 10,000 draws: each threshold is drawn once, then its rows.

    Args:
        parts: for each pattern its threshold (patterns with the same object share a draw), its share of the rows, and how many of its rows
            are independent.
        seed: of the draws.
    """
    if len({id(threshold) for threshold, *_ in parts}) == 1:
        return expected_interval(parts[0][0], sum(rows for _, _, rows in parts))
    ends = []
    for end, share in (("low", 2.5), ("high", 97.5)):
        generator = np.random.default_rng(seed_of(seed, "coverage"))
        chances: dict[int, Any] = {}
        total = np.zeros(DRAWS)
        for threshold, weight, rows in parts:
            if threshold is not None and id(threshold) not in chances:
                k = getattr(threshold, end)
                chances[id(threshold)] = generator.beta(k, threshold.rows + 1 - k, DRAWS)
            m = max(1, round(rows))
            total += weight * (1.0 if threshold is None else generator.binomial(m, chances[id(threshold)]) / m)
        ends.append(float(np.percentile(total, share)))
    return ends


def rows_by_pattern(patterns: Sequence[Pattern]) -> dict[Pattern, np.ndarray]:
    """The rows that have each pattern, the most frequent one first."""
    places: dict[Pattern, list[int]] = {}
    for row, pattern in enumerate(patterns):
        places.setdefault(pattern, []).append(row)
    return {pattern: np.array(places[pattern]) for pattern in sorted(places, key=lambda each: (-len(places[each]), each))}


def coverage_table(
    known: TargetCalibration,
    prediction: np.ndarray,
    truth: np.ndarray,
    patterns: Sequence[Pattern],
    groups: Sequence[np.ndarray],
    coverage: float,
    seed: int = 0,
) -> dict[str, Any]:
    """How often the truth was kept, of all test rows and by the inputs that they have.

    Args:
        known: the calibration of the target.
        prediction: probabilities (N, K) of labels, numbers (N,), or quantiles (N, Q).
        truth: places (N,) of labels, or numbers.
        patterns: of each row.
        groups: ways in which rows go together; see `effective_rows`.
        coverage: asked for.
        seed: of draws.

    Returns:
        `overall` and for each of `patterns`, the most frequent first: `columns` that are there; `rows` and `calibration_rows`, and how many
        of each are independent (`effective_…`); whether the threshold is its `own`; `covered`, the share whose truth is kept, where
        95 % of such shares are `expected`, and whether it lies `inside`; the mean `size` of sets or width of intervals, `null` where it
        is infinite; of sets the share that is `empty`; `covered_by_common`, the share with one threshold for all.
    """
    scores = known.true_scores(prediction, truth)
    thresholds = known.thresholds(patterns, coverage)
    finite = np.isfinite(scores)
    held = finite & (scores <= thresholds)
    by_common = finite & (scores <= known.common.threshold(coverage))
    sizes = _sizes(known, prediction, thresholds)
    chances: dict[int, Threshold | None] = {}
    tables, parts = [], []
    for pattern, rows in rows_by_pattern(patterns).items():
        used = known.scores_for(pattern, coverage)
        threshold = chances.setdefault(id(used), Threshold.of(used, coverage))
        independent = effective_rows(held[rows], [code[rows] for code in groups])
        told = {"columns": list(pattern), "own": used is not known.common, "covered_by_common": float(by_common[rows].mean())}
        tables.append(
            told | _judged(held[rows], sizes[rows], used, coverage, independent, expected_interval(threshold, independent), known)
        )
        parts.append((threshold, len(rows) / len(held), independent))
    independent = effective_rows(held, groups)
    most = sum(rows for _, _, rows in parts)  # rows of different patterns may go together, too
    parts = [(threshold, share, rows * min(1.0, independent / most)) for threshold, share, rows in parts]
    expected = expected_of_all(parts, seed)
    overall = {"covered_by_common": float(by_common.mean())}
    overall |= _judged(held, sizes, known.common, coverage, independent, expected, known)
    return {"overall": overall, "patterns": tables}


def _judged(
    held: np.ndarray,
    sizes: np.ndarray,
    used: Scores,
    coverage: float,
    independent: float,
    expected: list[float],
    known: TargetCalibration,
) -> dict[str, Any]:
    covered, size = float(held.mean()), float(sizes.mean())
    told: Mapping[str, Any] = {
        "rows": len(held),
        "effective_rows": independent,
        "calibration_rows": used.rows,
        "effective_calibration_rows": used.effective.get(coverage, float(used.rows)),
        "covered": covered,
        "expected": expected,
        "inside": expected[0] <= covered <= expected[1],
        "size": size if np.isfinite(size) else None,
    }
    return dict(told) | ({"empty": float((sizes == 0).mean())} if known.tells == "label" else {})


def _sizes(known: TargetCalibration, prediction: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(N,) labels in each set, or widths of intervals."""
    if known.tells == "label":
        return known.kept(prediction, thresholds).sum(axis=1)
    low, high = intervals(prediction, thresholds)
    return high - low
