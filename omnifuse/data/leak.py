"""Columns that nearly determine the target: often recorded after it, and not there when a prediction is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from omnifuse.core.schema import Schema
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.data.table import iterate_rows, read_table

SAMPLE = 5000
SUSPICIOUS = {"AUC": 0.95, "R²": 0.9}


@dataclass(frozen=True)
class Leak:
    """One column that says nearly all about the target."""

    column: str
    target: str
    measure: str
    score: float

    def __str__(self) -> str:
        return (
            f"{self.column} alone nearly determines {self.target} ({self.measure} {self.score:.3f}); if it is not known when you"
            f" need a prediction, set its role to ignore"
        )


def find_leaks(source: Any, schema: Schema) -> list[Leak]:
    """Try to tell each target from each single number or category, by a small decision tree.

    Score: AUC (one label against the rest, averaged) or R², of 3-fold cross-validated predictions on the first 5,000 rows;
    suspicious from an AUC of 0.95 or an R² of 0.9.
    """
    columns = [name for name in schema.used if schema[name].modality in ("number", "category")]
    rows = list(islice(iterate_rows(read_table(source), columns), SAMPLE))
    values = {name: [_canonical(schema, name, row) for row in rows] for name in columns}
    leaks = []
    for target in schema.targets:
        if target not in values:
            continue
        for name in schema.inputs:
            if name in values and name != target:
                leak = _try(name, target, values, schema[target].modality)
                if leak is not None:
                    leaks.append(leak)
    return sorted(leaks, key=lambda leak: -leak.score)


def _canonical(schema: Schema, name: str, row: Mapping[str, Any]) -> Any:
    try:
        return processor_class(schema[name].modality).canonical(row[name])
    except BadValue:
        return None


def _try(name: str, target: str, values: Mapping[str, list[Any]], modality: str) -> Leak | None:
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    known = [i for i, value in enumerate(values[target]) if value is not None]
    features = _features([values[name][i] for i in known])
    truth = np.array([values[target][i] for i in known])
    if modality == "number":
        if len(known) < 30 or np.ptp(truth) == 0:
            return None
        tree = DecisionTreeRegressor(max_leaf_nodes=64, min_samples_leaf=5, random_state=0)
        guess = cross_val_predict(tree, features, truth, cv=KFold(3, shuffle=True, random_state=0))
        score = 1 - float(((truth - guess) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())
        return Leak(name, target, "R²", score) if score >= SUSPICIOUS["R²"] else None
    labels, counts = np.unique(truth, return_counts=True)
    kept = np.isin(truth, labels[counts >= 3])
    labels = labels[counts >= 3]
    if len(labels) < 2 or kept.sum() < 30:
        return None
    tree = DecisionTreeClassifier(max_leaf_nodes=64, min_samples_leaf=5, random_state=0)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    guess = cross_val_predict(tree, features[kept], truth[kept], cv=folds, method="predict_proba")
    score = _auc(truth[kept], np.asarray(guess), labels)
    return Leak(name, target, "AUC", score) if score >= SUSPICIOUS["AUC"] else None


def _auc(truth: np.ndarray, guess: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(np.mean([roc_auc_score(truth == label, guess[:, i]) for i, label in enumerate(labels)]))


def _features(values: list[Any]) -> np.ndarray:
    """(N, 2): the number, or the code of the label in order of frequency, and whether it is absent."""
    if all(value is None or isinstance(value, float) for value in values):
        numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    else:
        labels, counts = np.unique([str(value) for value in values if value is not None], return_counts=True)
        codes = {label: float(code) for code, label in enumerate(labels[np.argsort(-counts, kind="stable")])}
        numbers = np.array([np.nan if value is None else codes[str(value)] for value in values])
    absent = np.isnan(numbers)
    return np.column_stack([np.where(absent, 0.0, numbers), absent])
