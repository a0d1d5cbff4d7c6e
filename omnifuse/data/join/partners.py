"""The new columns of a join: the value of one partner, or those of several as a set, a sequence or a series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from omnifuse.data.join.columns import Values, ranks, take
from omnifuse.data.join.config import Collect
from omnifuse.data.join.keys import MATCHED, Keys, Match, in_order
from omnifuse.data.join.moments import positions
from omnifuse.data.join.scalars import numbers, words

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Picked:
    """The value of the one unit that was found.

    Attributes:
        values: a column of the other table, or one value a key.
        rows: for each unit where its value stands; its own place by default.
    """

    values: Values
    rows: np.ndarray | None = None

    def take(self, match: Match) -> Values:
        """Values of a batch, absent where nothing was found."""
        found = match.state == MATCHED
        units = np.where(found, match.start, 0)
        places = units if self.rows is None else self.rows[units] if len(self.rows) else units
        return take(self.values, np.where(found, places, -1))


@dataclass(frozen=True)
class Spans:
    """The numbers of all units of a span as a series, with their time in seconds relative to the row.

    Attributes:
        channels: name → numbers in the order of units.
        times: of the units, in nanoseconds.
    """

    channels: Mapping[str, np.ndarray]
    times: np.ndarray

    def take(self, match: Match) -> pa.Array:
        """Series of a batch, absent where nothing was found."""
        assert match.moment is not None
        found = match.state == MATCHED
        steps = np.where(found, match.stop - match.start, 0)
        ends = np.cumsum(steps)
        units = np.arange(steps.sum()) + np.repeat(match.start - (ends - steps), steps)
        time = (self.times[units] - np.repeat(match.moment, steps)) / 1e9
        channels = {"time": time, **{name: values[units] for name, values in self.channels.items()}}
        return series(channels, np.insert(ends, 0, 0), found)


def series(channels: Mapping[str, np.ndarray], bounds: np.ndarray, found: np.ndarray) -> pa.Array:
    """Runs of each channel as one value: name → numbers (NaN where missing)."""
    import pyarrow as pa

    lists = [pa.LargeListArray.from_arrays(pa.array(bounds, pa.int64()), pa.array(values, pa.float64())) for values in channels.values()]
    return pa.StructArray.from_arrays(lists, names=list(channels), mask=pa.array(~found))


def collected(config: Collect, columns: Mapping[str, Values], keys: Keys) -> tuple[Picked, np.ndarray, dict[str, dict[str, int]]]:
    """One value a key out of all its rows; which rows took part; missing and unreadable cells of the channels of a series."""
    order, time = _ordered(config, columns, keys)
    kept = np.zeros(len(keys.codes), bool)
    kept[order] = True
    codes = keys.codes[order]
    if config.into == "series":
        found = {name: numbers(columns[name]) for name in config.columns}
        channels = {name: values.values[order] for name, values in found.items()}
        if time is not None and "time" not in channels:
            channels = {"time": time[order], **channels}
        bounds = np.searchsorted(codes, np.arange(keys.count + 1))
        return Picked(series(channels, bounds, np.diff(bounds) > 0)), kept, cells(found)
    spelt = words(columns[config.columns[0]])
    if config.into == "set" and len(order):
        rank = ranks(spelt, order).astype(np.int64)
        by_label = np.lexsort((rank, codes))
        new = np.append(True, (np.diff(codes[by_label]) != 0) | (np.diff(rank[by_label]) != 0))
        order = order[by_label[new]]
    order = order[spelt.is_valid().to_numpy(zero_copy_only=False)[order]]
    return Picked(_lists(spelt, order, keys)), kept, {}


def cells(found: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Missing and unreadable cells of each channel."""
    return {name: {"missing": int(v.missing.sum()), "unreadable": int(v.unreadable.sum())} for name, v in found.items()}


def _ordered(config: Collect, columns: Mapping[str, Values], keys: Keys) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows with a key, by key and place, of each key only the last few if so asked."""
    rows, place, time = keys.codes >= 0, np.zeros(len(keys.codes), np.int64), None
    if config.order:
        place, there, time = positions(columns[config.order])
        rows = rows & there
    order = in_order(np.flatnonzero(rows), keys.codes, place, [columns[name] for name in config.columns] if config.order else [])
    if config.last:
        codes = keys.codes[order]
        ends = np.searchsorted(codes, codes, side="right")
        order = order[np.arange(len(order)) >= ends - config.last]
    return order, time


def _lists(spelt: pa.Array, order: np.ndarray, keys: Keys) -> pa.Array:
    """Words of each key, absent where it has none."""
    import pyarrow as pa

    bounds = np.searchsorted(keys.codes[order], np.arange(keys.count + 1))
    empty = np.diff(bounds) == 0
    return pa.LargeListArray.from_arrays(pa.array(bounds, pa.int64()), spelt.take(pa.array(order)), mask=pa.array(empty))
