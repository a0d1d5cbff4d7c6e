"""A long table of samples cut into windows: a row for each, with the channels as one series.

Memory: the columns of the table, channels as 64-bit numbers; windows are made while they are read, so overlap costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.join.columns import Values, listed, ranks, read_columns, require, take
from omnifuse.data.join.config import WindowsConfig
from omnifuse.data.join.keys import Keys
from omnifuse.data.join.moments import positions
from omnifuse.data.join.partners import cells
from omnifuse.data.join.report import WindowsReport
from omnifuse.data.join.scalars import numbers, words
from omnifuse.data.table import READ_FROM, Table

SLICE = 512


def cut_windows(table: Table, config: WindowsConfig) -> tuple[Table, WindowsReport]:
    """Cut a table of samples into windows, a row each.

    A row has the columns of `by`, the number of the window in its recording, where it starts, the series under `into` (channel →
    numbers, NaN where a cell is missing or no number), and the other columns. Windows are numbered from 0; each counts as read
    where its first sample was.

    Raises:
        OmnifuseError: a column that is not there or has the name of a new one, or one that changes within a window and of
            which `keep` does not say which value counts.
    """
    try:
        samples = _read(table, config)
        starts, stops = _cut(samples, config)
        samples.keep |= _constant(samples, starts, stops)
    except OmnifuseError as error:
        raise type(error)(f"windows: {error}") from None
    names = [*config.by, config.number_column, config.start_column, *samples.others, config.into]
    return Table(names, lambda: _rows(samples, config, starts, stops), has_origins=table.has_origins), samples.report


@dataclass
class _Samples:
    """The table in memory.

    Attributes:
        order: rows by recording and place; what the windows are cut from.
        recordings: where each recording starts and ends in it.
        channels: numbers in that order.
        others: columns beside the channels.
        keep: which value of each of them counts in a window.
    """

    order: np.ndarray
    recordings: np.ndarray
    channels: dict[str, np.ndarray]
    columns: Mapping[str, Values]
    others: list[str]
    keep: dict[str, str]
    report: WindowsReport
    numbers: np.ndarray = field(default_factory=lambda: np.array([], np.int64))


def _read(table: Table, config: WindowsConfig) -> _Samples:
    others = [name for name in table.column_names if name not in {*config.by, *config.columns, config.order}]
    require(table, [*config.by, *config.columns, *config.keep, *([config.order] if config.order else [])], "")
    taken = {*config.by, *others}
    for name in (config.number_column, config.start_column, config.into):
        if name in taken:
            raise OmnifuseError(f'the new column "{name}" has the name of another; say `into`, `number_column` or `start_column`')
        taken.add(name)
    columns, rows = read_columns(table, [*table.column_names, *([READ_FROM] if table.has_origins else [])])
    keys = Keys([words(columns[name]) for name in config.by], rows)
    place, there = np.zeros(rows, np.int64), np.ones(rows, bool)
    if config.order:
        place, there, _ = positions(columns[config.order])
    report = WindowsReport(rows, without_key=int((keys.codes < 0).sum()), without_order=int(((keys.codes >= 0) & ~there).sum()))
    order, codes = _in_recordings(keys.codes, place, there)
    if config.order:
        report.repeated_order = int(((np.diff(place[order]) == 0) & (np.diff(codes) == 0)).sum())
    found = {name: numbers(columns[name]) for name in config.columns}
    report.cells = cells(found)
    ends = np.flatnonzero(np.append(np.diff(codes) != 0, True)) + 1 if len(order) else np.array([], np.int64)
    recordings = np.stack([np.insert(ends, 0, 0)[:-1], ends], axis=1)
    report.recordings = len(recordings)
    channels = {name: values.values[order] for name, values in found.items()}
    return _Samples(order, recordings, channels, columns, others, dict(config.keep), report)


def _in_recordings(codes: np.ndarray, place: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows by recording (in the order in which they first appear) and place, and the recording of each."""
    chosen = np.flatnonzero((codes >= 0) & there)
    known, seen, recording = np.unique(codes[chosen], return_index=True, return_inverse=True)
    number = np.empty(len(known), np.int64)
    number[np.argsort(seen)] = np.arange(len(known))
    recording = number[recording]
    order = np.lexsort((place[chosen], recording))  # stable: ties keep the order of the file
    return chosen[order], recording[order]


def _cut(samples: _Samples, config: WindowsConfig) -> tuple[np.ndarray, np.ndarray]:
    """Where windows start and stop; counts what they use."""
    stride, report = config.stride or config.length, samples.report
    starts, stops, counts = [], [], []
    for first, end in samples.recordings.tolist():
        whole = (end - first - config.length) // stride + 1 if end - first >= config.length else 0
        begin = first + stride * np.arange(whole)
        stop = begin + config.length
        rest = first + stride * whole
        if config.partial == "keep" and rest < end and (not whole or stop[-1] < end):
            begin, stop = np.append(begin, rest), np.append(stop, end)
            report.partial += 1
        starts.append(begin)
        stops.append(stop)
        counts.append(len(begin))
    report.short, report.windows = counts.count(0), sum(counts)
    samples.numbers = np.concatenate([np.arange(count) for count in counts] or [samples.numbers])
    start, stop = (np.concatenate(parts).astype(np.int64) if parts else np.array([], np.int64) for parts in (starts, stops))
    edges = np.bincount(start, minlength=len(samples.order) + 1) - np.bincount(stop, minlength=len(samples.order) + 1)
    report.used = int((np.cumsum(edges) > 0).sum())
    report.left_over = report.rows - report.used - report.without_key - report.without_order
    assert report.left_over == len(samples.order) - report.used
    report.check()
    return start, stop


def _constant(samples: _Samples, starts: np.ndarray, stops: np.ndarray) -> dict[str, str]:
    """Columns that `keep` does not name: they must be the same throughout each window."""
    for name in samples.others:
        if name in samples.keep or not len(starts):
            continue
        rank = ranks(samples.columns[name], samples.order).astype(np.int64)
        changes = np.append(0, np.cumsum(np.diff(rank) != 0))
        changed = np.flatnonzero(changes[starts] != changes[stops - 1])
        if len(changed):
            start, stop = int(starts[changed[0]]), int(stops[changed[0]])
            here = start + int(np.flatnonzero(np.diff(rank[start:stop]))[0])
            one, other = listed(take(samples.columns[name], samples.order[[here, here + 1]]))
            raise OmnifuseError(
                f'the column "{name}" changes within {len(changed)} of {len(starts)} windows, such as from {one!r} to {other!r};'
                f" say which value counts, such as keep: {{{name}: majority}}"
            )
    return {name: "first" for name in samples.others if name not in samples.keep}


def _rows(samples: _Samples, config: WindowsConfig, starts: np.ndarray, stops: np.ndarray) -> Iterator[dict[str, Any]]:
    """The windows, a few at a time."""
    for some in range(0, len(starts), SLICE):
        start, stop = starts[some : some + SLICE], stops[some : some + SLICE]
        number = samples.numbers[some : some + SLICE].tolist()
        head = samples.order[start]
        by = {name: listed(take(samples.columns[name], head)) for name in (*config.by, READ_FROM) if name in samples.columns}
        if config.order:
            first = listed(take(samples.columns[config.order], head))
        else:
            begins = np.searchsorted(samples.recordings[:, 0], start, side="right") - 1
            first = (start - samples.recordings[begins, 0]).tolist()
        kept = {name: _kept(samples, name, start, stop) for name in samples.others}
        for row, (a, b) in enumerate(zip(start.tolist(), stop.tolist(), strict=True)):
            yield {
                **{name: values[row] for name, values in by.items()},
                config.number_column: number[row],
                config.start_column: first[row],
                **{name: values[row] for name, values in kept.items()},
                config.into: {name: values[a:b].tolist() for name, values in samples.channels.items()},
            }


def _kept(samples: _Samples, name: str, start: np.ndarray, stop: np.ndarray) -> Sequence[Any]:
    """The value of a column in each window."""
    how, values = samples.keep[name], samples.columns[name]
    if how != "majority":
        return listed(take(values, samples.order[start if how == "first" else stop - 1]))
    return [_majority(listed(take(values, samples.order[a:b]))) for a, b in zip(start.tolist(), stop.tolist(), strict=True)]


def _majority(values: list[Any]) -> Any:
    """The most frequent value that is there; of equally frequent ones, the first."""
    there = [value for value in values if value is not None and value != ""]
    counts = Counter(map(repr, there))  # lists and mappings cannot be counted by themselves
    return max(there, key=lambda value: counts[repr(value)], default=None)
