"""Rows near in time: the nearest one within a tolerance, or all within a span.

Daft's `join_asof` (0.7.26) knows no tolerance, takes the first row of the file among those of one time, and copies every
column through a sort; here the other table's times are sorted once and looked up, so that the first table streams by.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.join.columns import Values
from omnifuse.data.join.config import Asof, Window
from omnifuse.data.join.keys import ABSENT, MATCHED, TOO_FAR, TOO_FEW, UNMATCHED, UNREADABLE, WITHOUT_KEY, Keys, Match, in_order
from omnifuse.data.join.moments import LIMIT, Instants, instants
from omnifuse.data.join.report import RightCounts
from omnifuse.data.join.scalars import words


class Timeline:
    """The other table's rows by key and time. A unit is a place in this order; `rows` are the rows there.

    Rows of equal key and time stand in the order of their content, and the first of them is the one that is taken.
    """

    def __init__(self, config: Asof | Window, by: Sequence[Values], time: Values, ties: Sequence[Values], absent: Sequence[str]):
        """Sort; the clock's offset is added to the times here."""
        self.config, self.absent = config, absent
        moments = instants(time, config.unit)
        self.keys = Keys([words(column, absent) for column in by], len(moments.values))
        times, outside = _shifted(moments, config.offset_s)
        self.without_key = moments.absent | (self.keys.codes == ABSENT)
        self.unreadable = (moments.unreadable | outside) & ~self.without_key
        there = ~(self.without_key | self.unreadable)
        self.rows = in_order(np.flatnonzero(there), self.keys.codes, times, ties)
        self.times, codes = times[self.rows], self.keys.codes[self.rows]
        self.ends = np.searchsorted(codes, np.arange(self.keys.count), side="right")
        self.starts = np.insert(self.ends, 0, 0)[:-1]
        new = np.append(True, (np.diff(codes) != 0) | (np.diff(self.times) != 0))[: len(codes)]
        self.run = np.cumsum(new) - 1  # units of one key and time are one run
        self.first = np.flatnonzero(new)
        self.units = len(self.rows)

    def times_of(self, columns: Sequence[Values], rows: int) -> tuple[Instants, np.ndarray, np.ndarray, np.ndarray]:
        """Times of a batch (its keys, then its time), its states so far, and where the units of its keys start and end."""
        *by, time = columns
        codes = self.keys.find([words(column, self.absent) for column in by], rows)
        moments = instants(time, self.config.unit)
        state = np.select(
            [moments.absent | (codes == ABSENT), moments.unreadable, codes < 0], [WITHOUT_KEY, UNREADABLE, UNMATCHED], MATCHED
        )
        known = codes >= 0
        codes = np.where(known, codes, self.keys.count)  # of an unknown key: the empty interval at the end
        return moments, state, np.append(self.starts, 0)[codes], np.append(self.ends, 0)[codes]

    def bound(self, moment: np.ndarray, low: np.ndarray, high: np.ndarray, *, after: bool) -> np.ndarray:
        """The first unit at or after a time, or, with `after`, the first one after it; each between its own low and high."""
        low, high = low.copy(), high.copy()
        while (open_ := low < high).any():  # all rows halve their own interval at once
            middle = (low + high) // 2
            times = self.times[np.minimum(middle, self.units - 1)]
            onward = open_ & (times <= moment if after else times < moment)
            low = np.where(onward, middle + 1, low)
            high = np.where(open_ & ~onward, middle, high)
        return low

    def count(self, covered: np.ndarray, kept: np.ndarray | None = None) -> RightCounts:
        """What became of the other table's rows, when these units were taken; tied with one that was, they are duplicated."""
        used = int(covered.sum())
        taken = np.zeros(len(self.first), bool)
        taken[self.run[covered]] = True
        duplicated = int(taken[self.run].sum()) - used
        without, unreadable = int(self.without_key.sum()), int(self.unreadable.sum())
        return RightCounts(len(self.keys.codes), used, duplicated, 0, self.units - used - duplicated, without, unreadable)


class AsofMatcher(Timeline):
    """The nearest row in time, no further away than the tolerance; of two equally near ones, the earlier."""

    config: Asof

    def match(self, columns: Sequence[Values], rows: int) -> Match:
        """Find the partners of a batch."""
        moments, state, low, high = self.times_of(columns, rows)
        before = self.bound(moments.values, low, high, after=True) - 1
        later = self.bound(moments.values, low, high, after=False)
        has_before, has_later = before >= low, later < high
        near = self._distance(before, moments.values, has_before & (self.config.direction != "forward"))
        far = self._distance(later, moments.values, has_later & (self.config.direction != "backward"))
        found, distance = np.where(near <= far, before, later), np.minimum(near, far)
        none = distance == np.iinfo(np.int64).max
        tolerance = nanoseconds(self.config.tolerance_s)
        state = np.select([state != MATCHED, none, distance > tolerance], [state, UNMATCHED, TOO_FAR], MATCHED)
        found = np.where(state == MATCHED, found, 0)
        start = self.first[self.run[found]] if self.units else found
        return Match(state, start, start + 1, moments.values, distance)

    def _distance(self, unit: np.ndarray, moment: np.ndarray, there: np.ndarray) -> np.ndarray:
        if not self.units:
            return np.full(len(unit), np.iinfo(np.int64).max)
        times = self.times[np.clip(unit, 0, self.units - 1)]
        return np.where(there, np.abs(times - moment), np.iinfo(np.int64).max)


class WindowMatcher(Timeline):
    """All rows from `before_s` before to `after_s` after a row, both ends included."""

    config: Window

    def match(self, columns: Sequence[Values], rows: int) -> Match:
        """Find the spans of a batch."""
        moments, state, low, high = self.times_of(columns, rows)
        start = self.bound(_less(moments.values, nanoseconds(self.config.before_s)), low, high, after=False)
        stop = self.bound(-_less(-moments.values, nanoseconds(self.config.after_s)), low, high, after=True)
        steps = stop - start
        state = np.select([state != MATCHED, steps == 0, steps < self.config.min_steps], [state, UNMATCHED, TOO_FEW], MATCHED)
        return Match(state, start, stop, moments.values)

    def count(self, covered: np.ndarray, kept: np.ndarray | None = None) -> RightCounts:
        """A span takes all rows of one time, so none is duplicated."""
        counts = super().count(covered)
        counts.unmatched, counts.duplicated = counts.unmatched + counts.duplicated, 0
        return counts


def nanoseconds(seconds: float) -> int:
    """Whole nanoseconds, at most what two times can differ by."""
    return min(round(seconds * 1e9), 2 * LIMIT - 2)


def _less(moment: np.ndarray, span: int) -> np.ndarray:
    """Earlier by a span, but no earlier than any time there is."""
    return np.where(moment < span - LIMIT, -LIMIT, moment - span)


def _shifted(moments: Instants, offset_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Times plus the offset of their clock, and which of them leave the range of times."""
    offset = round(offset_s * 1e9)
    if abs(offset) >= LIMIT:
        raise OmnifuseError(f"offset_s: {offset_s:g} s is more than a century; give the offset of the clock in seconds")
    times = moments.values + offset
    outside = np.abs(times) >= LIMIT
    return np.where(outside, 0, times), outside
