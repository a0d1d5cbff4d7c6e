"""Absence, by column and by pairs of columns: what is absent together often has one cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class MissingReport:
    """How many values are absent.

    Attributes:
        rows: rows looked at.
        absent: by column, rows without a value in it.
        pairs: of columns that both have absent values: `columns`, rows without a value in `both`, in `either`, and `expected`,
            what `both` would be if one absence said nothing about the other. The most surprising pairs first.
    """

    rows: int
    absent: dict[str, int]
    pairs: tuple[dict[str, Any], ...]

    def dump(self) -> dict[str, Any]:
        """The report as JSON."""
        return {"rows": self.rows, "absent": self.absent, "pairs": list(self.pairs)}


class MissingCounter:
    """Counts absence while rows stream by; memory does not grow with their number.

    >>> counter = MissingCounter(["age", "lab"])
    >>> counter.add(np.array([[True, True], [False, True], [False, False]]))
    >>> counter.report().pairs
    ({'columns': ['age', 'lab'], 'both': 1, 'either': 2, 'expected': 0.7},)
    """

    def __init__(self, columns: Sequence[str]) -> None:
        """Start with no rows of these columns."""
        self.columns = list(columns)
        self._rows = 0
        self._both = np.zeros((len(self.columns), len(self.columns)), dtype=np.int64)

    def add(self, absent: np.ndarray) -> None:
        """Count more rows: (N, columns) bool, whether the value is absent."""
        self._rows += len(absent)
        for at in range(0, len(absent), 1 << 20):  # float32 counts exactly up to 2^24
            part = absent[at : at + (1 << 20)].astype(np.float32)
            self._both += (part.T @ part).astype(np.int64)

    def report(self) -> MissingReport:
        """What has been counted so far."""
        absent = np.diag(self._both)
        pairs = []
        for i, j in zip(*np.triu_indices(len(self.columns), 1), strict=True):
            if absent[i] and absent[j]:
                both, expected = int(self._both[i, j]), float(absent[i] * absent[j] / self._rows)
                either = int(absent[i] + absent[j]) - both
                pairs.append(
                    {"columns": [self.columns[i], self.columns[j]], "both": both, "either": either, "expected": round(expected, 1)}
                )
        pairs.sort(key=lambda pair: -abs(pair["both"] - pair["expected"]))
        return MissingReport(self._rows, dict(zip(self.columns, absent.tolist(), strict=True)), tuple(pairs))
