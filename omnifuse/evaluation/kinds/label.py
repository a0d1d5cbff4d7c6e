"""One of several labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.kinds.kind import ZERO, Kind, most_frequent

MOST_CLASSES = 60


class Label(Kind):
    """One label, with probabilities (N, K): accuracy and its relatives; a score of 1 for a right answer."""

    main = "accuracy"
    headings = ("Wrong, and surest of it", "Right", "Beside a label: the probability the model gave it.")
    names = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "log_loss")

    def metrics(self, answers: Answers) -> dict[str, float]:
        """See `label_metrics`."""
        return label_metrics(answers.truth, answers.predicted, answers.scores, answers.labels)

    def row_scores(self, answers: Answers) -> np.ndarray:
        """1 where the label is right."""
        return np.array([t == p for t, p in zip(answers.truth, answers.predicted, strict=True)], dtype=np.float64)

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

    def metrics(self, answers: Answers) -> dict[str, float]:
        """Those of a label, and over the rows whose label the model knows `qwk`; left out where all are the same."""
        from sklearn.metrics import cohen_kappa_score

        place = {label: i for i, label in enumerate(answers.labels)}
        pairs = [(place[t], place[p]) for t, p in zip(answers.truth, answers.predicted, strict=True) if t in place]
        found = super().metrics(answers)
        if len({number for pair in pairs for number in pair}) > 1:
            truth, predicted = zip(*pairs, strict=True)
            found["qwk"] = float(cohen_kappa_score(truth, predicted, weights="quadratic", labels=np.arange(len(place))))
        return found


def label_metrics(truth: Sequence[str], predicted: Sequence[str], probabilities: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    """Metrics of a classification.

    Args:
        truth, predicted: labels of the N rows; a true label the model does not know counts as wrong.
        probabilities: (N, K).
        labels: the K labels of the model, in its order.

    Returns:
        accuracy, balanced_accuracy (mean recall over the true labels), macro_f1, and, over the rows whose label the
        model knows, log_loss (nats) and auroc (of the second label where there are two, else one against the rest,
        averaged over labels; left out where only one label occurs).
    """
    from sklearn.metrics import accuracy_score, f1_score, log_loss, recall_score, roc_auc_score

    occurring = sorted(set(truth))
    result = {
        "accuracy": accuracy_score(truth, predicted),
        "balanced_accuracy": recall_score(truth, predicted, labels=occurring, average="macro", zero_division=ZERO),
        "macro_f1": f1_score(truth, predicted, labels=occurring, average="macro", zero_division=ZERO),
    }
    ids = {label: i for i, label in enumerate(labels)}
    known = np.array([label in ids for label in truth])
    target = np.array([ids[label] for label in truth if label in ids])
    if known.any():
        scores = probabilities[known].astype(np.float64)
        scores /= scores.sum(axis=1, keepdims=True)
        result["log_loss"] = log_loss(target, scores, labels=np.arange(len(labels)))
        areas = []
        for label in [1] if len(labels) == 2 else range(len(labels)):
            if 0 < (target == label).sum() < len(target):
                areas.append(roc_auc_score(target == label, scores[:, label]))
        if areas:
            result["auroc"] = float(np.mean(areas))
    return {name: float(result[name]) for name in Label.names if name in result}


def class_table(labels: Sequence[str], figures: Any) -> list[dict[str, Any]]:
    """By label: precision, recall, F1 and rows, from what scikit-learn gives."""
    return [
        {"label": label, "precision": float(p), "recall": float(r), "f1": float(f), "rows": int(n)}
        for label, p, r, f, n in zip(labels, *figures, strict=True)
    ]
