"""Leaks: columns that nearly determine the target, and rows on one side of a split that repeat the other side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from omnifuse.core.schema import Schema
from omnifuse.data.clean.duplicates import DuplicateReport, find_duplicates, find_near_duplicates
from omnifuse.data.clean.near import NearPairs
from omnifuse.data.config import SPLITS
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import MODALITIES, column_config
from omnifuse.data.modalities.processor import Processor
from omnifuse.data.table import iterate_rows, read_table

SAMPLE = 5000
ALONE = ("number", "category", "id", "datetime")  # modalities of which a small tree can tell whether they give the target away
NAMED = 100
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
    """Try to tell each target from each single number, category, id or moment, by a small decision tree.

    Score: AUC (one label against the rest, averaged) or R², of 3-fold cross-validated predictions on the first 5,000 rows;
    suspicious from an AUC of 0.95 or an R² of 0.9.
    """
    columns = [name for name in schema.used if schema[name].modality in ALONE]
    processors: dict[str, Processor[Any]] = {name: MODALITIES.build(column_config(schema[name])) for name in columns}
    read = list(dict.fromkeys(schema[name].source for name in columns))
    rows = list(islice(iterate_rows(read_table(source), read), SAMPLE))
    values = {name: [_canonical(processors[name], row[schema[name].source]) for row in rows] for name in columns}
    return leaks_among(values, schema)


def leaks_among(values: Mapping[str, list[Any]], schema: Schema) -> list[Leak]:
    """The same for canonical values, by column; columns of other modalities are passed over."""
    values = {name: column for name, column in values.items() if schema[name].modality in ALONE}
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


@dataclass(frozen=True)
class SplitLeak:
    """Rows that one split shares with another.

    Attributes:
        kind: `group` (equal values that should stay together), `exact` (equal rows), `value` (one value, such as a file, in rows
            of several splits), `near` (nearly equal values), or `time` (rows that are not later than rows they should follow).
        column: where; empty for whole rows.
        groups: how many such values, files or sets of rows.
        rows: how many rows hold them.
        examples: the first 100, with row ids (`rows`) and, in a dataset, where these were read (`from`).
    """

    kind: str
    column: str
    groups: int
    rows: int
    examples: tuple[dict[str, Any], ...] = ()

    def dump(self) -> dict[str, Any]:
        """The leak as JSON."""
        return asdict(self) | {"examples": list(self.examples), "says": str(self)}

    def __str__(self) -> str:
        named = self.examples[0].get("from", self.examples[0]["rows"]) if self.examples else []
        first = f" (such as row {named[0]})" if named else ""
        return {
            "group": f"{self.groups} values of {self.column} are in more than one split, in {self.rows} rows{first}",
            "exact": f"{self.groups} rows are repeated in another split, {self.rows} rows in all{first}",
            "value": f"{self.groups} values of {self.column} are in more than one split, in {self.rows} rows{first}",
            "near": f"{self.rows} rows hold a {self.column} that nearly repeats one of another split{first}",
            "time": f"{self.rows} rows are not later by {self.column} than rows of a split that should come before them{first}",
        }[self.kind]


def check_splits_leak(
    ids: Sequence[str],
    splits: np.ndarray,
    *,
    groups: tuple[str, np.ndarray] | None = None,
    rows: np.ndarray | None = None,
    values: Mapping[str, np.ndarray] | None = None,
    near: Mapping[str, NearPairs] | None = None,
    times: tuple[str, np.ndarray] | None = None,
) -> list[SplitLeak]:
    """Name the rows that make a split look better than the model is; an empty list says that nothing asked for was found.

    Args:
        ids: (N,) row ids, sorted.
        splits: (N,) int, places in `SPLITS`.
        groups: the column whose values should stay together, and their numbers by row, −1 for absent ones.
        rows: (N,) numbers that are equal for equal rows.
        values: by column, the number of the value (a file, a text) of each row, −1 for none.
        near: by column in `values`, near pairs of those values.
        times: the column of time that divides the rows, and (N,) float times, NaN for absent.
    """
    reports: list[tuple[str, DuplicateReport]] = []
    if groups is not None:
        reports.append(("group", find_duplicates(ids, groups[1], splits, column=groups[0])))
    if rows is not None:
        reports.append(("exact", find_duplicates(ids, rows, splits)))
    for column, codes in (values or {}).items():
        reports.append(("value", find_duplicates(ids, codes, splits, column=column)))
        if near and column in near:
            reports.append(("near", find_near_duplicates(ids, codes, splits, near[column], column=column)))
    leaks = [_across(kind, report) for kind, report in reports if report.across_groups]
    if times is not None:
        leaks += _too_early(ids, splits, *times)
    return leaks


def _across(kind: str, report: DuplicateReport) -> SplitLeak:
    examples = tuple(example for example in report.examples if len(set(example["splits"])) > 1)
    return SplitLeak(kind, report.column, report.across_groups, report.across_rows, examples)


def _too_early(ids: Sequence[str], splits: np.ndarray, column: str, times: np.ndarray) -> list[SplitLeak]:
    """Rows of a later split whose time is not after all times of the splits before it."""
    latest, early = -np.inf, np.zeros(len(times), dtype=bool)
    for code in range(len(SPLITS)):
        own = (splits == code) & ~np.isnan(times)
        early |= own & (times <= latest)
        latest = max(latest, float(times[own].max(initial=-np.inf)))
    places = np.flatnonzero(early)
    if not len(places):
        return []
    named = places[np.argsort(times[places], kind="stable")][:NAMED].tolist()
    examples = tuple({"rows": [str(ids[row])], "splits": [SPLITS[splits[row]]], "time": float(times[row])} for row in named)
    return [SplitLeak("time", column, len(np.unique(times[places])), len(places), examples)]


def _canonical(processor: Processor[Any], raw: Any) -> Any:
    try:
        return processor.read(raw)
    except BadValue:
        return None


def _try(name: str, target: str, values: Mapping[str, list[Any]], modality: str) -> Leak | None:
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    known = [i for i, value in enumerate(values[target]) if value is not None]
    features = _features([values[name][i] for i in known])
    truth = np.array([values[target][i] for i in known])
    if modality in ("number", "datetime"):
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
    if all(value is None or isinstance(value, int | float) for value in values):
        numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    else:
        labels, counts = np.unique([str(value) for value in values if value is not None], return_counts=True)
        codes = {label: float(code) for code, label in enumerate(labels[np.argsort(-counts, kind="stable")])}
        numbers = np.array([np.nan if value is None else codes[str(value)] for value in values])
    absent = np.isnan(numbers)
    return np.column_stack([np.where(absent, 0.0, numbers), absent])
