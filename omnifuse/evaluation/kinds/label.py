"""One of several labels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from omnifuse.evaluation.answers import Answers, places_of
from omnifuse.evaluation.kinds.kind import ZERO, Kind, found_within, most_frequent, ranks_of
from omnifuse.evaluation.weighing import Curve, Measure, known_mean, means, ratio, sums_by

MOST_CLASSES, TOP = 60, 5
TINY = float(np.finfo(np.float64).eps)


class Label(Kind):
    """One label, with probabilities (N, K): accuracy and its relatives; a score of 1 for a right answer."""

    main = "accuracy"
    headings = ("Wrong, and surest of it", "Right", "Beside a label: the probability the model gave it.")
    names = ("accuracy", "balanced_accuracy", "macro_f1", "top5_accuracy", "auroc", "auprc", "log_loss")
    slow = ("auroc", "auprc")

    def measure(self, answers: Answers, leave_out: Collection[str] = ()) -> Measure:
        """Metrics of a classification. A true label that the model does not know counts as wrong.

        accuracy (with one label a row also the micro F1); balanced_accuracy, the mean recall over the true labels; macro_f1, the mean
        over the true labels of 2·hits / (true + answered); top5_accuracy, the share whose label is among the five most probable
        (left out for five labels and fewer). Over the rows whose label the model knows: log_loss, −mean log p(truth) in nats; auroc
        and auprc (average precision) of the second label where there are two, else one against the rest, averaged over labels; left
        out where only one label occurs.
        """
        occurring = sorted(set(answers.truth))
        true, said = places_of(answers.truth, occurring), places_of(answers.predicted, occurring)
        hits, right = self.row_scores(answers), np.where(true == said, true, -1)
        place, count = places_of(answers.truth, answers.labels), len(answers.labels)
        known = (place >= 0).astype(np.float64)
        top = found_within(ranks_of(answers.scores, place), TOP) if count > TOP else None
        surprise = self.surprise(answers) if known.any() else None
        curves = _curves(answers.scores, place) if not set(self.slow) <= set(leave_out) else []

        def measured(weights: np.ndarray) -> dict[str, np.ndarray]:
            in_truth, hit = sums_by(weights, true, len(occurring)), sums_by(weights, right, len(occurring))
            answered = sums_by(weights, said, len(occurring))
            f1 = np.where(in_truth > 0, ratio(2 * hit, in_truth + answered), np.nan)
            found = {
                "accuracy": means(weights, hits),
                "balanced_accuracy": known_mean(ratio(hit, in_truth), axis=1),
                "macro_f1": known_mean(f1, axis=1),
            }
            if top is not None:
                found["top5_accuracy"] = means(weights, top)
            if surprise is not None:
                found["log_loss"] = means(weights * known, surprise)
            if curves:
                areas = np.array([curve.areas(weights * known) for curve in curves])
                found["auroc"], found["auprc"] = known_mean(areas, axis=0)
            return found

        return measured

    def row_scores(self, answers: Answers) -> np.ndarray:
        """1 where the label is right."""
        return np.array([t == p for t, p in zip(answers.truth, answers.predicted, strict=True)], dtype=np.float64)

    def support(self, answers: Answers, said: Sequence[Any]) -> np.ndarray:
        """The probability of the label that was answered."""
        return answers.scores[np.arange(len(said)), places_of(said, answers.labels)].astype(np.float64)

    def surprise(self, answers: Answers) -> np.ndarray:
        """Of the true label; of one that the model does not know that of a probability of 1 / 2⁵²."""
        places = places_of(answers.truth, answers.labels)
        own = answers.scores[np.arange(len(places)), places].astype(np.float64) / answers.scores.sum(axis=1, dtype=np.float64)
        return -np.log(np.clip(np.where(places < 0, 0.0, own), TINY, 1 - TINY))

    def floor(self, answers: Answers) -> dict[str, Any]:
        """The most frequent label."""
        label, share = most_frequent(answers.truth)
        return {"answer": label, "accuracy": share}

    def tables(self, answers: Answers) -> dict[str, Any]:
        """Per-label table and confusion matrix, of the most frequent labels where there are many."""
        from sklearn.metrics import precision_recall_fscore_support

        names, counts = np.unique(np.array(answers.truth, dtype=str), return_counts=True)
        labels = sorted(names[np.argsort(-counts, kind="stable")][:MOST_CLASSES].tolist())
        predicted = [str(value) for value in answers.predicted]
        figures = precision_recall_fscore_support(answers.truth, predicted, labels=labels, zero_division=ZERO)
        place = {label: i for i, label in enumerate(labels)}
        confused = np.zeros((len(labels), len(labels)), dtype=np.int64)
        for true, said in zip(answers.truth, predicted, strict=True):
            if true in place and said in place:
                confused[place[true], place[said]] += 1
        confusion = {"labels": labels, "counts": confused.tolist(), "of": len(names)}
        return {"classes": class_table(labels, figures), "confusion": confusion}


class OrderedLabel(Label):
    """One label of several in order: beside the others, the quadratically weighted kappa (Cohen 1968)."""

    names = (*Label.names, "qwk")

    def measure(self, answers: Answers, leave_out: Collection[str] = ()) -> Measure:
        """Those of a label, and over the rows whose label the model knows qwk = 1 − E(i − j)² / E′(i − j)², with i and j the places of
        truth and answer, and E′ over all pairs of a true one and an answered one; left out where all are the same.
        """
        place, said = places_of(answers.truth, answers.labels), places_of(answers.predicted, answers.labels)
        known = place >= 0
        of_a_label = super().measure(answers, leave_out)
        if len({*place[known], *said[known]}) < 2:
            return of_a_label

        def measured(weights: np.ndarray) -> dict[str, np.ndarray]:
            inside = weights * known
            i, j, ii, jj, off = (means(inside, values) for values in (place, said, place**2, said**2, (place - said) ** 2))
            return {**of_a_label(weights), "qwk": 1 - ratio(off, ii + jj - 2 * i * j)}

        return measured


def _curves(scores: np.ndarray, place: np.ndarray) -> list[Curve]:
    """Of every label that some known rows have and some have not; of the second one alone where there are two."""
    shares = scores.astype(np.float64) / scores.sum(axis=1, keepdims=True, dtype=np.float64)
    counts, known = np.bincount(place[place >= 0], minlength=shares.shape[1]), (place >= 0).sum()
    labels = [1] if shares.shape[1] == 2 else range(shares.shape[1])
    return [Curve(shares[:, label], place == label) for label in labels if 0 < counts[label] < known]


def class_table(labels: Sequence[str], figures: Any) -> list[dict[str, Any]]:
    """By label: precision, recall, F1 and rows, from what scikit-learn gives."""
    return [
        {"label": label, "precision": float(p), "recall": float(r), "f1": float(f), "rows": int(n)}
        for label, p, r, f, n in zip(labels, *figures, strict=True)
    ]
