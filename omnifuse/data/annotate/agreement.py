"""Agreement: how far several annotators say the same, beyond what chance would bring.

Rows with one vote say nothing about agreement and are left out. Shapes: U rows, K different labels.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import nan
from typing import Any, Literal

import numpy as np
from scipy import sparse

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.annotate.votes import Vote, read_set, write_set

Level = Literal["nominal", "interval", "jaccard"]


@dataclass(frozen=True)
class RowAgreement:
    """One row: its votes, and the share of pairs of annotators that agree."""

    row: str
    votes: int
    agreement: float
    labels: dict[str, int]


@dataclass(frozen=True)
class Annotator:
    """One annotator beside the others.

    Attributes:
        name: who.
        votes: how many answers.
        shared: of rows that somebody else answered too.
        agreement: mean agreement with the others on those rows.
        labels: how often each label was given.
    """

    name: str
    votes: int
    shared: int
    agreement: float
    labels: dict[str, int]


@dataclass(frozen=True)
class Pair:
    """Two annotators on the rows both answered: share of equal answers, and Cohen's κ; NaN for numbers."""

    first: str
    second: str
    rows: int
    agreement: float
    kappa: float


@dataclass(frozen=True)
class Agreement:
    """What the votes about one column say about each other; NaN where a figure is not defined.

    Attributes:
        level: how far apart two labels are: equal or not (`nominal`), squared difference (`interval`), or one minus the
            shared part of two sets (`jaccard`).
        rows: with any vote; `shared` of them have two or more.
        percent: mean over shared rows of the share of pairs that agree.
        alpha: Krippendorff's α. 1 is perfect, 0 is chance, below 0 worse than chance.
        fleiss: Fleiss' κ; not for numbers.
    """

    level: Level
    rows: int
    shared: int
    votes: int
    percent: float
    alpha: float
    fleiss: float
    by_row: list[RowAgreement]
    annotators: list[Annotator]
    pairs: list[Pair]

    def dump(self) -> dict[str, Any]:
        """Plain values, without the rows."""
        return {name: value for name, value in asdict(self).items() if name != "by_row"}


def measure_agreement(votes: Sequence[Vote], level: Level = "nominal") -> Agreement:
    """Every figure of agreement about one column.

    Args:
        votes: about one column; a later vote of one annotator on one row takes the place of an earlier one.
        level: `nominal` for labels, `interval` for numbers, `jaccard` for sets.

    Raises:
        OmnifuseError: a number was asked for and a vote is none.
    """
    by_row: dict[str, dict[str, str]] = defaultdict(dict)
    for vote in votes:
        by_row[vote.row][vote.annotator] = _normal(vote.label, level)
    alike = _likeness(level)
    answers = [list(by.values()) for by in by_row.values()]
    rows = [
        RowAgreement(row, len(by), _mean_pair(list(by.values()), alike), dict(Counter(by.values()).most_common()))
        for row, by in by_row.items()
    ]
    shared = [row.agreement for row in rows if row.votes > 1]
    rows.sort(key=lambda row: (row.agreement if row.votes > 1 else 2.0, row.row))
    return Agreement(
        level,
        len(rows),
        len(shared),
        sum(map(len, answers)),
        float(np.mean(shared)) if shared else nan,
        krippendorff_alpha(answers, level),
        nan if level == "interval" else fleiss_kappa(answers),
        rows,
        _annotators(by_row, alike),
        _pairs(by_row, alike, level),
    )


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """κ = (p_o − p_e) / (1 − p_e) of two annotators on the same rows (Cohen 1960); NaN where both always say one thing.

    >>> round(cohen_kappa(["yes"] * 25 + ["no"] * 25, ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15), 3)
    0.4
    """
    total = len(first)
    if total == 0:
        return nan
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / total
    left, right = Counter(first), Counter(second)
    chance = sum(left[label] * right[label] for label in left) / total**2
    return nan if chance == 1 else (observed - chance) / (1 - chance)


def fleiss_kappa(answers: Sequence[Sequence[str]]) -> float:
    """κ = (P̄ − P_e) / (1 − P_e) for several annotators (Fleiss 1971).

    P_i = Σ_k n_ik (n_ik − 1) / (n_i (n_i − 1)) is the share of agreeing pairs of row i, P_e = Σ_k p_k². Differs from the
    paper: rows may have different numbers n_i of votes (rows with one are left out), P̄ being the plain mean over rows.
    """
    counts, labels = _counts(answers)
    if not labels:
        return nan
    sizes = np.asarray(counts.sum(axis=1)).ravel()
    pairs = (np.asarray(counts.power(2).sum(axis=1)).ravel() - sizes) / (sizes * (sizes - 1))
    shares = np.asarray(counts.sum(axis=0)).ravel() / sizes.sum()
    chance = float((shares**2).sum())
    return nan if np.isclose(chance, 1) else float((pairs.mean() - chance) / (1 - chance))


def krippendorff_alpha(answers: Sequence[Sequence[str]], level: Level = "nominal") -> float:
    """α = 1 − D_o / D_e, observed over expected disagreement (Krippendorff 2004, chapter 11); any number of votes a row.

    D_o = (1/n) Σ_u Σ_{i≠j ∈ u} δ²(v_i, v_j) / (n_u − 1) over rows u with n_u ≥ 2 votes, n votes in all;
    D_e = (1/(n(n−1))) Σ_{i≠j} δ²(v_i, v_j) over all of these votes. δ² is 0 or 1 (nominal), (a − b)² (interval), or
    1 − |A∩B| / |A∪B| (jaccard). NaN where all votes are alike.
    """
    if level == "interval":
        return _interval_alpha([[_number(label) for label in row] for row in answers if len(row) > 1])
    counts, labels = _counts(answers)
    if not labels:
        return nan
    sizes = np.asarray(counts.sum(axis=1)).ravel()
    weighted = sparse.diags(1 / (sizes - 1)) @ counts
    coincidences = (counts.T @ weighted).toarray() - np.diag(np.asarray(weighted.sum(axis=0)).ravel())
    distance = _distances(labels, level)
    totals = np.asarray(counts.sum(axis=0)).ravel()
    observed, expected = float((coincidences * distance).sum()), float(totals @ distance @ totals) / (totals.sum() - 1)
    return nan if expected == 0 else 1 - observed / expected


def _interval_alpha(rows: list[list[float]]) -> float:
    """By Σ_{i≠j} (v_i − v_j)² = 2 (n Σv² − (Σv)²)."""
    if not rows:
        return nan
    everything = np.concatenate([np.asarray(row) for row in rows])
    everything = everything - everything.mean()
    ends = np.cumsum([len(row) for row in rows])[:-1]
    parts = np.split(everything, ends)
    observed = sum(2 * (len(v) * (v**2).sum() - v.sum() ** 2) / (len(v) - 1) for v in parts)
    total = len(everything)
    expected = 2 * (total * (everything**2).sum() - everything.sum() ** 2) / (total - 1)
    return nan if expected == 0 else float(1 - observed / expected)


def _counts(answers: Sequence[Sequence[str]]) -> tuple[sparse.csr_matrix, list[str]]:
    """(U, K) how often each label was given to each row with two votes or more."""
    rows = [row for row in answers if len(row) > 1]
    labels = sorted({label for row in rows for label in row})
    place = {label: i for i, label in enumerate(labels)}
    lines = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    columns = np.array([place[label] for row in rows for label in row], dtype=np.int64)
    return sparse.csr_matrix((np.ones(len(columns)), (lines, columns)), shape=(len(rows), len(labels))), labels


def _distances(labels: list[str], level: Level) -> np.ndarray:
    if level == "nominal":
        return 1.0 - np.eye(len(labels))
    alike = _likeness(level)
    return np.array([[1.0 - alike(a, b) for b in labels] for a in labels])


def _likeness(level: Level) -> Callable[[str, str], float]:
    """How far two labels agree, in [0, 1]; numbers agree when they are equal."""
    if level == "interval":
        return lambda a, b: float(_number(a) == _number(b))
    if level == "jaccard":
        return lambda a, b: _jaccard(read_set(a), read_set(b))
    return lambda a, b: float(a == b)


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 1.0


def _number(label: str) -> float:
    try:
        return float(label)
    except ValueError:
        raise OmnifuseError(f'the vote "{label[:40]}" is not a number; choose --kind category (in Python, level "nominal")') from None


def _normal(label: str, level: Level) -> str:
    """One word for all ways to write a label."""
    if level == "interval":
        return f"{_number(label):.12g}"
    return write_set(read_set(label)) if level == "jaccard" else label


def _mean_pair(labels: list[str], alike: Callable[[str, str], float]) -> float:
    pairs = [alike(a, b) for a, b in combinations(labels, 2)]
    return sum(pairs) / len(pairs) if pairs else nan


def _annotators(by_row: dict[str, dict[str, str]], alike: Callable[[str, str], float]) -> list[Annotator]:
    said: dict[str, Counter[str]] = defaultdict(Counter)
    agreements: dict[str, list[float]] = defaultdict(list)
    for by in by_row.values():
        for name, label in by.items():
            said[name][label] += 1
            others = [alike(label, other) for else_, other in by.items() if else_ != name]
            if others:
                agreements[name].append(sum(others) / len(others))
    table = [
        Annotator(
            name,
            sum(labels.values()),
            len(agreements[name]),
            float(np.mean(agreements[name])) if agreements[name] else nan,
            dict(labels.most_common()),
        )
        for name, labels in said.items()
    ]
    return sorted(table, key=lambda each: (each.agreement if each.shared else 2.0, each.name))


def _pairs(by_row: dict[str, dict[str, str]], alike: Callable[[str, str], float], level: Level) -> list[Pair]:
    """Every two annotators that share a row."""
    shared: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for by in by_row.values():
        for first, second in combinations(sorted(by), 2):
            shared[first, second].append((by[first], by[second]))
    table = []
    for (first, second), labels in sorted(shared.items()):
        left, right = [a for a, _ in labels], [b for _, b in labels]
        agreement = sum(alike(a, b) for a, b in labels) / len(labels)
        kappa = nan if level == "interval" else cohen_kappa(left, right)
        table.append(Pair(first, second, len(labels), agreement, kappa))
    return table
