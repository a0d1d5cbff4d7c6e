"""Duplicates of rows and of values, told within and across splits, with the rows named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from omnifuse.data.clean.config import CleanConfig
from omnifuse.data.clean.near import NearPairs, clusters, near_audio, near_images, near_texts
from omnifuse.data.config import SPLITS

NAMED = 100  # groups whose rows are named; the counts are exact
SHOWN = 10  # rows named in each
ABSENT = -1


@dataclass(frozen=True)
class DuplicateReport:
    """How many rows repeat others.

    Attributes:
        column: where; empty for whole rows.
        kind: `exact` or `near`.
        groups: sets of rows that repeat each other.
        rows: rows in them; without `groups` of these none would repeat another.
        across_groups, across_rows: those sets that have rows in more than one split, and their rows.
        left_out: comparisons that were passed over, see `NearPairs`.
        examples: the first sets, those across splits first: `rows` (ids), `splits`, `size`, for near ones `distance`, and in a
            dataset where the rows were read, `from`.
    """

    column: str
    kind: str
    groups: int = 0
    rows: int = 0
    across_groups: int = 0
    across_rows: int = 0
    left_out: int = 0
    examples: tuple[dict[str, Any], ...] = ()

    def dump(self) -> dict[str, Any]:
        """The report as JSON."""
        return asdict(self) | {"examples": list(self.examples)}

    def __str__(self) -> str:
        what = f"{self.column}: {self.kind} duplicates" if self.column else f"{self.kind} duplicate rows"
        return f"{what}: {self.rows} rows in {self.groups} groups, {self.across_rows} rows of {self.across_groups} groups across splits"


def number_values(values: Iterable[Any]) -> tuple[np.ndarray, list[Any]]:
    """(N,) int64 number of each hashable value in order of appearance, −1 for `None`, and the different values.

    >>> number_values(["a", None, "b", "a"])
    (array([ 0, -1,  1,  0]), ['a', 'b'])
    """
    seen: dict[Any, int] = {}
    codes = np.fromiter((ABSENT if value is None else seen.setdefault(value, len(seen)) for value in values), dtype=np.int64)
    return codes, list(seen)


def number_rows(*columns: np.ndarray) -> np.ndarray:
    """(N,) int64: equal for rows that are equal in all columns of numbers; −1 where all are absent."""
    together = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:  # one after another, so that the numbers stay small
        _, dense = np.unique(column, return_inverse=True)
        _, together = np.unique(together * (int(dense.max(initial=0)) + 1) + dense, return_inverse=True)
    return np.where(np.all([column == ABSENT for column in columns], axis=0), ABSENT, together)


def near_values(modality: str, values: Sequence[Any], config: CleanConfig) -> NearPairs | None:
    """Near pairs among the different values of a column: fingerprints of media, texts as they are; `None` for other modalities."""
    if modality == "image":
        return near_images(values, config.near_images)
    if modality == "audio":
        return near_audio(values, config.near_audio)
    return near_texts(values, config.near_texts) if modality == "text" else None


def find_duplicates(ids: Sequence[str] | np.ndarray, codes: np.ndarray, splits: np.ndarray, *, column: str = "") -> DuplicateReport:
    """Rows with equal numbers.

    Args:
        ids: (N,) row ids, sorted.
        codes: (N,) what each row holds, −1 for nothing, see `number_values` and `number_rows`.
        splits: (N,) int, places in `SPLITS`.
        column: where, for the report.
    """
    return _report(ids, codes, splits, column, "exact")


def find_near_duplicates(
    ids: Sequence[str] | np.ndarray, codes: np.ndarray, splits: np.ndarray, near: NearPairs, *, column: str = ""
) -> DuplicateReport:
    """Rows whose values nearly repeat each other; rows that hold one and the same value are not counted for that.

    Args:
        ids, codes, splits, column: as for `find_duplicates`; `codes` are indices of the values that were compared.
        near: their near pairs.
    """
    count = max(int(codes.max(initial=-1)), int(near.second.max(initial=-1))) + 1
    used = np.zeros(count, dtype=bool)
    used[codes[codes != ABSENT]] = True
    real = used[near.first] & used[near.second]
    near = NearPairs(near.first[real], near.second[real], near.distance[real], near.left_out)
    labels = near_labels(codes, near)
    linked = np.zeros(count + 1, dtype=bool)  # the last place is for absent values, whose code is −1
    linked[near.first] = linked[near.second] = True
    widest = np.zeros(count + 1, dtype=np.float32)
    np.maximum.at(widest, clusters(near, count)[near.first], near.distance)
    return _report(ids, np.where(linked[codes], labels, ABSENT), splits, column, "near", near.left_out, widest)


def near_labels(codes: np.ndarray, near: NearPairs) -> np.ndarray:
    """(N,) int64: equal for rows whose values are equal or linked by near pairs, −1 for absent ones; for `merge_groups`."""
    count = max(int(codes.max(initial=-1)), int(near.second.max(initial=-1))) + 1
    return np.append(clusters(near, count), ABSENT)[codes]


def repeated(codes: np.ndarray) -> np.ndarray:
    """(N,) bool: rows that repeat an earlier one; dropping them leaves one of each. Rows without a number repeat nothing.

    >>> repeated(np.array([3, -1, 3, -1])).tolist()
    [False, False, True, False]
    """
    again = np.ones(len(codes), dtype=bool)
    _, first = np.unique(codes, return_index=True)
    again[first] = False
    return again & (codes != ABSENT)


def _report(
    ids: Sequence[str] | np.ndarray,
    codes: np.ndarray,
    splits: np.ndarray,
    column: str,
    kind: str,
    left_out: int = 0,
    distances: np.ndarray | None = None,
) -> DuplicateReport:
    rows = np.flatnonzero(codes != ABSENT)
    rows = rows[np.argsort(codes[rows], kind="stable")]
    labels, begin, sizes = np.unique(codes[rows], return_index=True, return_counts=True)
    if not len(rows):
        return DuplicateReport(column, kind, left_out=left_out)
    sides = splits[rows]
    several = np.minimum.reduceat(sides, begin) != np.maximum.reduceat(sides, begin)
    groups, across = np.flatnonzero(sizes > 1), np.flatnonzero(several)
    named = np.concatenate([across[:NAMED], groups[~several[groups]][: max(0, NAMED - len(across))]])
    examples = []
    for group in named.tolist():
        members = _members(rows[begin[group] : begin[group] + sizes[group]], splits)
        example: dict[str, Any] = {"rows": [str(ids[row]) for row in members], "splits": [SPLITS[splits[row]] for row in members]}
        example["size"] = int(sizes[group])
        if distances is not None:
            example["distance"] = round(float(distances[labels[group]]), 4)
        examples.append(example)
    return DuplicateReport(
        column, kind, len(groups), int(sizes[groups].sum()), len(across), int(sizes[across].sum()), left_out, tuple(examples)
    )


def _members(rows: np.ndarray, splits: np.ndarray) -> list[int]:
    """The first rows of a group, with at least one of each of its splits."""
    _, first = np.unique(splits[rows], return_index=True)
    chosen = list(dict.fromkeys([*first.tolist(), *range(min(SHOWN, len(rows)))]))[:SHOWN]
    return rows[sorted(chosen)].tolist()
