"""Rows of equal key, found whatever the order of either table."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from omnifuse.data.join.columns import Values, ranks
from omnifuse.data.join.report import RightCounts
from omnifuse.data.join.scalars import words
from omnifuse.data.join.vocabulary import ABSENT, UNKNOWN, Vocabulary

if TYPE_CHECKING:
    import pyarrow as pa


BETWEEN = " · "  # the parts of a key, in messages
MATCHED, UNMATCHED, TOO_FAR, TOO_FEW, WITHOUT_KEY, UNREADABLE = range(6)
STATES = ("matched", "unmatched", "too_far", "too_few", "without_key", "unreadable")


@dataclass(frozen=True)
class Match:
    """Partners of a batch of rows: the units from `start` to before `stop`, where `state` is MATCHED.

    A unit is what the matcher looks for: a key, or a row in the order of time.

    Attributes:
        moment: the time of the row, where time decides.
        distance: nanoseconds between the row and its one partner.
    """

    state: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    moment: np.ndarray | None = None
    distance: np.ndarray | None = None


class Keys:
    """Numbers the different keys of one table; `codes` are those of its rows, ABSENT where any part of the key is."""

    def __init__(self, columns: Sequence[pa.Array], rows: int):
        """Take the words of each column of the key; without columns all rows have the same one."""
        self._parts = [Vocabulary(column) for column in columns]
        self._pairs: list[np.ndarray] = []
        self.codes = self._parts[0].codes if columns else np.zeros(rows, np.int64)
        for part in self._parts[1:]:
            codes = _combined(self.codes, part.codes, len(part))
            self._pairs.append(np.unique(codes[codes >= 0]))
            self.codes = _placed(codes, self._pairs[-1])
        for part in self._parts:
            part.codes = part.codes[:0]  # only the joint ones are needed from here
        self.count = len(self._pairs[-1]) if self._pairs else len(self._parts[0]) if self._parts else 1

    def find(self, columns: Sequence[pa.Array], rows: int) -> np.ndarray:
        """Codes of the keys of another table; UNKNOWN where this one has none such."""
        found = np.zeros(rows, np.int64)
        for number, (part, column) in enumerate(zip(self._parts, columns, strict=True)):
            codes = part.find(column)
            found = _placed(_combined(found, codes, len(part)), self._pairs[number - 1]) if number else codes
        return found

    def spelt(self, codes: np.ndarray) -> pa.Array:
        """The words of some keys."""
        import pyarrow as pa
        import pyarrow.compute as pc

        parts = []
        for number in range(len(self._parts) - 1, -1, -1):
            part = codes
            if number:
                codes, part = np.divmod(self._pairs[number - 1][codes], len(self._parts[number]))
            parts.append(self._parts[number].words.take(pa.array(part)))
        return pc.binary_join_element_wise(*reversed(parts), pa.scalar(BETWEEN, pa.large_string()))


class KeyMatcher:
    """One partner a key.

    Attributes:
        keys: the keys of the other table.
        sizes: rows of each key.
        rows: for each key its row.
    """

    def __init__(self, keys: Keys, absent: Sequence[str] = ()):
        """Without an order, any row of a key stands for it: only keys of one row may then be taken."""
        self.keys, self.absent = keys, absent
        there = np.flatnonzero(keys.codes >= 0)
        self.sizes = np.bincount(keys.codes[there], minlength=keys.count)
        self.rows = np.zeros(keys.count, np.int64)
        self.rows[keys.codes[there]] = there
        self.units = keys.count

    def choose(self, place: np.ndarray, there: np.ndarray, ties: Sequence[Values], *, last: bool) -> None:
        """Take the first or the last row of each key; those without a place only where a key has no other."""
        rows = np.flatnonzero(self.keys.codes >= 0)
        outside = np.where(there, 0, -1 if last else 1)
        codes = self.keys.codes * 3 + 1 + outside  # rows without a place stand at the end that is not asked for
        order = in_order(rows, codes, np.where(there, place, place.dtype.type(0)), ties)
        ends = np.cumsum(self.sizes)
        self.rows = order[ends - 1 if last else ends - self.sizes]

    def match(self, columns: Sequence[Values], rows: int) -> Match:
        """Find the keys of a batch."""
        codes = self.keys.find([words(column, self.absent) for column in columns], rows)
        return Match(np.select([codes >= 0, codes == ABSENT], [MATCHED, WITHOUT_KEY], UNMATCHED), codes, codes + 1)

    def count(self, covered: np.ndarray, kept: np.ndarray | None = None) -> RightCounts:
        """What became of the other table's rows, when these units found a match; `kept` are the rows that were collected."""
        codes = self.keys.codes
        wanted = (codes >= 0) & np.append(covered, False)[codes]
        used = int((wanted & kept).sum()) if kept is not None else int(covered.sum())
        rest = int(wanted.sum()) - used
        without = int((codes == ABSENT).sum())
        duplicated, left_out = (rest, 0) if kept is None else (0, rest)
        return RightCounts(len(codes), used, duplicated, left_out, len(codes) - without - used - rest, without)


def in_order(rows: np.ndarray, codes: np.ndarray, place: np.ndarray, ties: Sequence[Values]) -> np.ndarray:
    """These rows by code and place; rows equal in both by the content of `ties`, so that the order of a file decides nothing."""
    order = rows[np.lexsort((place[rows], codes[rows]))]
    equal = (np.diff(codes[order]) == 0) & (np.diff(place[order]) == 0)
    tied = np.flatnonzero(np.append(equal, False) | np.insert(equal, 0, False)) if len(order) else np.array([], np.int64)
    if len(tied) and ties:
        some = order[tied]
        contents = [ranks(values, some) for values in ties]
        order[tied] = some[np.lexsort((*reversed(contents), place[some], codes[some]))]
    return order


def _combined(first: np.ndarray, second: np.ndarray, size: int) -> np.ndarray:
    """One code for a pair of codes."""
    absent = (first == ABSENT) | (second == ABSENT)
    return np.where(absent, ABSENT, np.where((first < 0) | (second < 0), UNKNOWN, first * size + second))


def _placed(codes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Codes as places among the known ones, so that they stay small however many columns a key has."""
    if not len(known):
        return np.where(codes >= 0, UNKNOWN, codes)
    place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return np.where(codes < 0, codes, np.where(known[place] == codes, place, UNKNOWN))
