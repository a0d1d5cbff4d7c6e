"""Several labels at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.kinds.kind import ZERO, Kind
from omnifuse.evaluation.kinds.label import MOST_CLASSES, class_table
from omnifuse.evaluation.weighing import Curve, Measure, known_mean, means, ratio

SHOWN = 8


class Labels(Kind):
    """Sets of labels, with probabilities (N, K): how far up the right ones stand, and how well they are told.

    A true label that the model does not know is never found, and counts against it.
    """

    main = "map"
    headings = ("True labels far down", "True labels far up", "")
    names = ("map", "label_map", "micro_f1", "macro_f1", "exact_match")
    slow = ("label_map",)

    def measure(self, answers: Answers, leave_out: Collection[str] = ()) -> Measure:
        """Metrics of sets.

        map: mean over rows of the average precision of the row's labels, by probability. label_map: mean over labels of the
        average precision of the rows that have it, of the labels that some rows have and some have not. micro_f1, macro_f1:
        F1 = 2·hits / (true + answered) of the labels, over all pairs of row and label, and averaged over the labels that occur.
        exact_match: share of the rows whose answer is the whole set.
        """
        names = self._names(answers)
        truth, said = _ones(answers.truth, names), _ones(answers.predicted, names)
        by_row, exact = self.row_scores(answers), (truth == said).all(axis=1)
        occurring = truth.any(axis=0)
        parts = [(truth & said).astype(np.float64), truth.astype(np.float64) + said]
        curves = [
            Curve(answers.scores[:, place].astype(np.float64), truth[:, place])
            for place in range(len(answers.labels) if "label_map" not in leave_out else 0)
            if 0 < truth[:, place].sum() < len(truth)
        ]

        def measured(weights: np.ndarray) -> dict[str, np.ndarray]:
            hits, either = (weights @ part for part in parts)
            found = {"map": means(weights, by_row)}
            if curves:
                found["label_map"] = known_mean(np.stack([curve.areas(weights)[1] for curve in curves], axis=1), axis=1)
            pairs = either.sum(axis=1)
            found["micro_f1"] = np.divide(2 * hits.sum(axis=1), pairs, out=np.zeros(len(weights)), where=pairs > 0)
            if occurring.any():
                found["macro_f1"] = known_mean(ratio(2 * hits, either)[:, occurring], axis=1)
            return {**found, "exact_match": means(weights, exact)}

        return measured

    def row_scores(self, answers: Answers) -> np.ndarray:
        """The average precision of each row's labels; of a row without any, 1 if none is answered, else 0."""
        place = {label: i for i, label in enumerate(answers.labels)}
        scores = []
        for truth, said, shares in zip(answers.truth, answers.predicted, answers.scores, strict=True):
            known = np.array([place[label] for label in truth if label in place], dtype=np.int64)
            scores.append(_average_precision(shares, known) * len(known) / len(truth) if truth else float(not said))
        return np.array(scores, dtype=np.float64)

    def support(self, answers: Answers, said: Sequence[Any]) -> np.ndarray:
        """Mean over labels of the probability of what was answered: p of those in the set, 1 − p of the others."""
        return np.where(_ones(list(said), answers.labels), answers.scores, 1 - answers.scores).mean(axis=1)

    def floor(self, answers: Answers) -> dict[str, Any]:
        """All labels in the order of how many rows have them, for every row; none of them answered."""
        counts = Counter(label for labels in answers.truth for label in labels)
        shares = np.array([counts[label] for label in answers.labels], dtype=np.float64)
        order = np.argsort(-shares, kind="stable")[:SHOWN]
        constant = Answers(
            truth=answers.truth,
            predicted=[()] * len(answers.truth),
            scores=np.broadcast_to(shares, (len(answers.truth), len(shares))),
            labels=answers.labels,
        )
        frequent = ", ".join(answers.labels[place] for place in order)
        how = "always ranking the labels by how frequent they are"
        return {"answer": frequent, "map": float(self.row_scores(constant).mean()), "how": how}

    def tables(self, answers: Answers) -> dict[str, Any]:
        """Per-label table, of the most frequent labels where there are many."""
        from sklearn.metrics import precision_recall_fscore_support

        names = self._names(answers)
        truth, said = _ones(answers.truth, names), _ones(answers.predicted, names)
        chosen = sorted(np.argsort(-truth.sum(0), kind="stable")[:MOST_CLASSES].tolist(), key=lambda place: names[place])
        figures = precision_recall_fscore_support(truth[:, chosen], said[:, chosen], average=None, zero_division=ZERO)
        return {"classes": class_table([names[place] for place in chosen], figures)}

    def _names(self, answers: Answers) -> list[str]:
        """The labels of the model, then those that only the truth holds."""
        unknown = {label for labels in answers.truth for label in labels} - set(answers.labels)
        return [*answers.labels, *sorted(unknown)]


def _ones(rows: list[Any], names: list[str]) -> np.ndarray:
    place = {label: i for i, label in enumerate(names)}
    ones = np.zeros((len(rows), len(names)), dtype=bool)
    for row, labels in enumerate(rows):
        ones[row, [place[label] for label in labels]] = True
    return ones


def _average_precision(scores: np.ndarray, right: np.ndarray) -> float:
    """Mean over the right places of (right ones at least as high) / (all at least as high)."""
    if not len(right) or not np.isfinite(scores).all():
        return 0.0 if np.isfinite(scores).all() else float("nan")
    levels = scores[right]
    return float(np.mean([(levels >= level).sum() / (scores >= level).sum() for level in levels]))
