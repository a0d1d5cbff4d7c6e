"""How sure a figure is that was measured on a few rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from omnifuse.core.seeds import seed_of
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.weighing import Measure

DRAWS, FEWEST_DRAWS = 1000, 200
AT_ONCE = 4_000_000  # weights at a time
AFFORDABLE = 20_000_000  # numbers that slow metrics may touch; ten times as many when they are drawn the fewest times
LEVEL = 0.95


def bootstrap_interval(scores: np.ndarray, seed: int, draws: int = DRAWS) -> list[float]:
    """95 % bootstrap interval over rows of the mean (Efron 1979), percentile method."""
    generator = np.random.default_rng(seed)
    means = [scores[generator.integers(0, len(scores), len(scores))].mean() for _ in range(draws)]
    low, high = np.percentile(means, [2.5, 97.5])
    return [float(low), float(high)]


def clusters_of(groups: Sequence[str | None] | None, rows: int) -> np.ndarray:
    """(N,) number of the cluster of each row: of its group; a row without one is a cluster of its own."""
    if groups is None:
        return np.arange(rows)
    place: dict[object, int] = {}
    return np.array([place.setdefault(i if group is None else str(group), len(place)) for i, group in enumerate(groups)], dtype=np.int64)


def bootstrap_weights(clusters: np.ndarray, seed: int, draws: int = DRAWS) -> Iterator[np.ndarray]:
    """(B, N) how often each row is taken, B draws at a time: as many clusters as there are, with replacement, each with all its rows.

    Source: Efron 1979; for clusters Davison & Hinkley 1997, section 3.8. The same clusters and seed give the same draws, so that two
    models are compared on the same rows.
    """
    count = int(clusters.max()) + 1
    generator = np.random.default_rng(seed_of(seed, "bootstrap"))
    size = max(1, min(draws, AT_ONCE // len(clusters)))
    for start in range(0, draws, size):
        part = min(size, draws - start)
        taken = generator.integers(0, count, (part, count)) + count * np.arange(part)[:, None]
        times = np.bincount(taken.ravel(), minlength=part * count).reshape(part, count)
        yield times[:, clusters].astype(np.float32)


def metric_intervals(kind: Kind, answers: Answers, clusters: np.ndarray, seed: int) -> dict[str, list[float]]:
    """95 % bootstrap intervals over clusters of rows of every metric, percentile method.

    Slow metrics get fewer draws where rows and labels are many, and none where that is not enough. Draws that do not allow a metric
    are left out of its interval. Where all rows are right, or all wrong, nothing is drawn but that; what C clusters do not show still
    happens up to 3/C of the time (the rule of three), so the interval of the main metric reaches so far.
    """
    drawn = drawn_metrics(kind, answers, clusters, seed)
    found = {name: interval_of(values) for name, values in drawn.items() if not np.isnan(values).all()}
    scores = kind.row_scores(answers)
    if kind.unit_of_one and kind.main in found and np.ptp(scores) == 0 and scores[0] in (0.0, 1.0):
        unseen = min(1.0, 3 / (int(clusters.max()) + 1))
        found[kind.main] = [0.0, unseen] if scores[0] == 0 else [1 - unseen, 1.0]
    return found


def drawn_metrics(kind: Kind, answers: Answers, clusters: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """By metric, its values in every draw of the bootstrap, (DRAWS,) or fewer of slow ones."""
    quick = _draw(kind.measure(answers, leave_out=kind.slow), clusters, seed, DRAWS)
    cost = len(answers.truth) * max(1, len(answers.labels))
    draws = min(DRAWS, AFFORDABLE // cost)
    if not kind.slow or FEWEST_DRAWS * cost > 10 * AFFORDABLE:
        return quick
    every = _draw(kind.measure(answers), clusters, seed, max(draws, FEWEST_DRAWS))
    return {name: quick.get(name, every[name]) for name in kind.names if name in every or name in quick}


def scale_of(mean: float, unit_of_one: bool) -> float:
    """What counts as 1 when a difference of a main metric is called small: 1 of shares, the mean of an error."""
    return 1.0 if unit_of_one else max(mean, 1e-12)


def interval_of(values: np.ndarray) -> list[float]:
    """The middle 95 % of what was drawn."""
    low, high = np.nanpercentile(values, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return [float(low), float(high)]


def _draw(measure: Measure, clusters: np.ndarray, seed: int, draws: int) -> dict[str, np.ndarray]:
    parts = [measure(weights) for weights in bootstrap_weights(clusters, seed, draws)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
