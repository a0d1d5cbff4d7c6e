"""What to label next: rows the model is unsure of, spread over what it has not seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.seeds import seed_of
from omnifuse.data.annotate.rows import Chunk, Subset
from omnifuse.data.dataset import Dataset
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.study.suggest import ask

STRATEGIES: dict[str, str] = {
    "both": "the unsurest rows, one from each of as many clusters (Zhdanov 2019, 1901.05954)",
    "entropy": "the unsurest rows, by the entropy of all probabilities (Shannon 1948)",
    "margin": "the unsurest rows, by how near the two best labels are (Scheffer et al. 2001)",
    "least_confidence": "the unsurest rows, by the probability of the best label (Lewis & Gale 1994)",
    "diversity": "rows far from all that are labelled or chosen: k-center greedy (Sener & Savarese 2018, 1708.00489)",
}
PRESELECT = 10
MOST_KNOWN = 20_000


@dataclass(frozen=True)
class Pool:
    """Unlabelled rows, as the model sees them.

    Attributes:
        ids: of the rows.
        embeddings: (N, D) fused.
        probabilities: by target that is a category, (N, K).
        answers: by target, what the model would say.
    """

    ids: list[str]
    embeddings: np.ndarray
    probabilities: dict[str, np.ndarray]
    answers: dict[str, list[Any]]


@dataclass(frozen=True)
class Choice:
    """A row to label: its place in the pool, how unsure the model is (0 … 1), and how far it is from labelled rows."""

    place: int
    uncertainty: float
    distance: float


def read_pool(pipeline: Pipeline, chunks: Iterable[Chunk]) -> Pool:
    """Ask the model about every row; only embeddings and probabilities are kept.

    Raises:
        OmnifuseError: there is no row.
    """
    ids: list[str] = []
    embeddings, scores, answers = [], [], []
    for chunk in chunks:
        if len(chunk):
            said = ask(pipeline, chunk.rows)
            ids += chunk.ids
            embeddings.append(said.embeddings)
            scores.append(said.scores)
            answers.append(said.answers)
    if not ids:
        raise OmnifuseError("there is no row to choose from")
    categories = [name for name, each in scores[0].items() if each.ndim == 2]
    return Pool(
        ids,
        np.concatenate(embeddings),
        {name: np.concatenate([each[name] for each in scores]) for name in categories},
        {name: [answer for each in answers for answer in each[name]] for name in answers[0]},
    )


def known_embeddings(pipeline: Pipeline, dataset: Dataset, seed: int = 0) -> np.ndarray:
    """(M, D) what the model makes of labelled rows: the training split, or 20,000 rows of it."""
    train = dataset.split("train")
    places = np.sort(np.random.default_rng(seed).permutation(len(train))[:MOST_KNOWN])
    return ask(pipeline, Subset(train, places)).embeddings


def choose_rows(pool: Pool, count: int, *, strategy: str = "both", known: np.ndarray | None = None, seed: int = 0) -> list[Choice]:
    """Choose the rows that are worth an annotator's time, the best first.

    Args:
        pool: unlabelled rows.
        count: how many.
        strategy: one of `STRATEGIES`.
        known: (M, D) embeddings of labelled rows, which diversity keeps away from.
        seed: of the clusters.

    Raises:
        OmnifuseError: unknown strategy, or one that needs probabilities of a model that answers numbers alone.
    """
    if strategy not in STRATEGIES:
        raise unknown("strategy", strategy, STRATEGIES)
    if not pool.probabilities and strategy not in ("diversity", "both"):
        raise OmnifuseError(f"--strategy {strategy}: the model answers no category, so it tells no probabilities; choose diversity")
    measure = strategy if strategy in ("entropy", "margin", "least_confidence") else "margin"
    unsure = uncertainty(pool.probabilities, measure) if pool.probabilities else np.ones(len(pool.ids))
    count = min(count, len(pool.ids))
    points, others = _normalised(pool.embeddings), None if known is None else _normalised(known)
    if strategy == "diversity":
        places = k_center(points, count, others)
    elif strategy == "both":
        places = weighted_clusters(points, unsure, count, seed)
    else:
        places = np.argsort(-unsure, kind="stable")[:count]
    far = _nearest(points[places], others) if others is not None and len(others) else np.full(len(places), np.nan)
    return [Choice(int(place), float(unsure[place]), float(distance)) for place, distance in zip(places, far, strict=True)]


def uncertainty(probabilities: Mapping[str, np.ndarray], measure: str) -> np.ndarray:
    """(N,) in [0, 1], the mean over targets.

    entropy: −Σ p log p / log K; margin: 1 − (p₁ − p₂); least confidence: (1 − p₁) · K / (K − 1).
    """
    return np.mean([_of_target(each.astype(np.float64), measure) for each in probabilities.values()], axis=0)


def _of_target(p: np.ndarray, measure: str) -> np.ndarray:
    classes = p.shape[1]
    if measure == "entropy":
        return -(p * np.log(np.clip(p, 1e-12, None))).sum(axis=1) / np.log(classes)
    best = -np.sort(-p, axis=1)
    return 1 - (best[:, 0] - best[:, 1]) if measure == "margin" else (1 - best[:, 0]) * classes / (classes - 1)


def k_center(points: np.ndarray, count: int, known: np.ndarray | None = None) -> np.ndarray:
    """Places of `count` points, each the farthest from all known and chosen ones; at most twice the best radius.

    Where none is known, the mean of all points counts as the known one.
    """
    centres = known if known is not None and len(known) else points.mean(axis=0, keepdims=True)
    distance = _nearest(points, centres)
    chosen: list[int] = []
    for _ in range(count):
        place = int(np.argmax(distance))
        chosen.append(place)
        distance = np.minimum(distance, np.linalg.norm(points - points[place], axis=1))
        distance[chosen] = -1.0
    return np.array(chosen, dtype=np.int64)


def weighted_clusters(points: np.ndarray, weights: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Of the 10·`count` unsurest points, clustered by k-means weighted by uncertainty, the one nearest to each centre.

    Differs from the paper: a centre whose nearest point is taken gets the next one, so that `count` rows come out.
    The unsurest come first.
    """
    from sklearn.cluster import KMeans

    first = np.argsort(-weights, kind="stable")[: PRESELECT * count]
    if len(first) <= count:
        return first
    inside = np.clip(weights[first], 1e-6, None)
    means = KMeans(count, n_init="auto", random_state=seed_of(seed, "next rows") % 2**32).fit(points[first], sample_weight=inside)
    chosen: list[int] = []
    free = np.ones(len(first), dtype=bool)
    for centre in means.cluster_centers_:
        distance = np.where(free, np.linalg.norm(points[first] - centre, axis=1), np.inf)
        place = int(np.argmin(distance))
        free[place] = False
        chosen.append(int(first[place]))
    return np.array(sorted(chosen, key=lambda place: (-weights[place], place)), dtype=np.int64)


def _normalised(points: np.ndarray) -> np.ndarray:
    """Directions alone, so that distance is that of the cosine."""
    points = points.astype(np.float64)
    return points / np.clip(np.linalg.norm(points, axis=1, keepdims=True), 1e-12, None)


def _nearest(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(N,) distance to the nearest known point, a few thousand at a time."""
    result = np.empty(len(points))
    for start in range(0, len(points), 2048):
        part = points[start : start + 2048]
        squared = (part**2).sum(1)[:, None] + (known**2).sum(1)[None] - 2 * part @ known.T
        result[start : start + 2048] = np.sqrt(np.clip(squared.min(axis=1), 0, None))
    return result
