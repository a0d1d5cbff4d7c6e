"""Metrics by kind of target. Every number is scikit-learn's where it has one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError, unknown

MAIN = {"category": "accuracy", "number": "mae"}
ZERO: Any = 0  # what a ratio without any row counts as; scikit-learn declares its parameter as a word only
LOWER_IS_BETTER = {"mae", "rmse", "log_loss", "loss", "error"}
NAMES = {
    "category": ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "log_loss"),
    "number": ("mae", "rmse", "r2"),
}


def category_metrics(truth: Sequence[str], predicted: Sequence[str], probabilities: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
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
    return {name: float(result[name]) for name in NAMES["category"] if name in result}


def number_metrics(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Metrics of a regression in the user's unit: mae, rmse, and r2 (left out for fewer than two different truths)."""
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    result = {"mae": float(mean_absolute_error(truth, predicted)), "rmse": math.sqrt(mean_squared_error(truth, predicted))}
    if np.ptp(truth) > 0:
        result["r2"] = float(r2_score(truth, predicted))
    return result


def is_better(metric: str, new: float, old: float) -> bool:
    """Whether `new` is a better value of the metric than `old`."""
    return new < old if metric in LOWER_IS_BETTER else new > old


def check_monitor(monitor: str, targets: dict[str, str]) -> None:
    """Raise unless `monitor` is `loss` or `TARGET.METRIC` of these targets (name → modality)."""
    target, _, metric = monitor.rpartition(".")
    if monitor == "loss":
        return
    if target not in targets:
        choices = ["loss", *(f"{name}.{m}" for name, modality in targets.items() for m in NAMES[modality])]
        raise unknown("metric", monitor, choices, where="train.monitor")
    if metric not in NAMES[targets[target]]:
        raise unknown("metric", metric, NAMES[targets[target]], where="train.monitor")


def row_scores(modality: str, truth: Sequence[object], predicted: Sequence[object]) -> np.ndarray:
    """(N,) what the main metric averages: 1 for a right label, or the absolute error of a number."""
    if modality == "category":
        return np.array([t == p for t, p in zip(truth, predicted, strict=True)], dtype=np.float64)
    if modality == "number":
        return np.abs(np.asarray(truth, dtype=np.float64) - np.asarray(predicted, dtype=np.float64))
    raise OmnifuseError(f"there is no metric for {modality} targets")
