"""One table joined to another: the first streams by, the other is held in memory, each row finds its partner by key or time.

Either table may stand in any order. Memory: the columns of the other table that are asked for, its keys and one integer a row
or two; of the first table a batch at a time.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.join.columns import Values, batches, listed, read_columns, require, take
from omnifuse.data.join.config import Asof, JoinConfig, Window
from omnifuse.data.join.keys import BETWEEN, MATCHED, STATES, WITHOUT_KEY, KeyMatcher, Keys, Match
from omnifuse.data.join.lookup import Lookup, attach
from omnifuse.data.join.moments import positions
from omnifuse.data.join.nearby import AsofMatcher, WindowMatcher
from omnifuse.data.join.partners import Picked, Spans, cells, collected
from omnifuse.data.join.report import JoinReport, LeftCounts, RightCounts
from omnifuse.data.join.scalars import numbers, words
from omnifuse.data.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLES = 5


def join_table(table: Table, config: JoinConfig, other: Table, *, name: str) -> tuple[Table, JoinReport]:
    """Join `other` to `table`: the same rows (with `how: inner` those with a partner) with more columns.

    Args:
        table: the rows, read a batch at a time.
        config: what matches; its `source` is `other`.
        name: of the other source, in messages and in the report.

    Raises:
        OmnifuseError: a column that is not there or is there twice, several partners where one is wanted, no readable time,
            more rows without a partner than `max_unmatched`.
    """
    try:
        lookup, report, kept = _prepare(table, config, other, name)
        _count(table, config, lookup, report, kept)
    except OmnifuseError as error:
        raise type(error)(f"{name}: {error}") from None
    return attach(table, lookup, inner=config.how == "inner"), report


def _prepare(table: Table, config: JoinConfig, other: Table, name: str) -> tuple[Lookup, JoinReport, np.ndarray | None]:
    """Read the other table and make it ready to be looked up."""
    timed = config.asof or config.window
    ours, theirs = list(config.keys), list(config.keys.values())
    if timed:
        ours, theirs = [*ours, timed.left], [*theirs, timed.right or timed.left]
    new = _new_columns(config, other, theirs)
    used = [*theirs, *([config.order] if config.order else []), *_sources(config, new)]
    require(table, ours, "this side")
    require(other, used, "the other side")
    _check_clashes(table, config, new)
    columns, rows = read_columns(other, used)
    report = JoinReport(name, "key", config.how, LeftCounts(), RightCounts())
    kept = None
    if timed:
        matcher, values = _by_time(timed, columns, new, config.absent, report)
    else:
        keys = Keys([words(columns[column], config.absent) for column in theirs], rows)
        matcher, values = KeyMatcher(keys, config.absent), {}
        if config.collect:
            report.way, kept = "collect", np.zeros(rows, bool)
            for into, collect in config.collect.items():
                values[into], took_part, found = collected(collect, columns, keys)
                kept |= took_part
                report.cells |= {f"{into}.{channel}": counts for channel, counts in found.items()}
        else:
            if config.order:
                place, there, _ = positions(columns[config.order])
                matcher.choose(place, there, [columns[column] for column in new.values()], last=config.duplicates == "last")
            values = {column: Picked(columns[source], matcher.rows) for column, source in new.items()}
    return Lookup(matcher, ours, values), report, kept


def _by_time(
    config: Asof | Window, columns: dict[str, Values], new: dict[str, str], absent: Sequence[str], report: JoinReport
) -> tuple[AsofMatcher | WindowMatcher, dict[str, Picked | Spans]]:
    by, time = [columns[column] for column in config.by], columns[config.right or config.left]
    if isinstance(config, Asof):
        report.way = "asof"
        matcher = AsofMatcher(config, by, time, [columns[source] for source in new.values()], absent)
        values: dict[str, Picked | Spans] = {column: Picked(columns[source], matcher.rows) for column, source in new.items()}
    else:
        report.way = "window"
        found = {channel: numbers(columns[channel]) for channel in config.columns}
        matcher = WindowMatcher(config, by, time, [columns[channel] for channel in config.columns], absent)
        values = {config.into: Spans({channel: v.values[matcher.rows] for channel, v in found.items()}, matcher.times)}
        report.cells = cells(found)
    _check_times(matcher.unreadable, time, "the other side", config.right or config.left, config.unit)
    return matcher, values


def _new_columns(config: JoinConfig, other: Table, theirs: Sequence[str]) -> dict[str, str]:
    """New column → theirs, where one partner is wanted."""
    if config.collect or config.window:
        return {}
    if isinstance(config.columns, dict):
        return config.columns
    names = config.columns if config.columns is not None else [column for column in other.column_names if column not in theirs]
    return {column: column for column in names}


def _sources(config: JoinConfig, new: dict[str, str]) -> list[str]:
    """Their columns that values are taken from."""
    if config.window:
        return list(config.window.columns)
    if config.collect:
        return [column for collect in config.collect.values() for column in (*collect.columns, *([collect.order] if collect.order else []))]
    return list(new.values())


def _check_clashes(table: Table, config: JoinConfig, new: dict[str, str]) -> None:
    for column in config.collect or ([config.window.into] if config.window else new):
        if column in table.column_names:
            mend = f'say columns: {{new_name: "{new[column]}"}}' if new else "give the new one another name"
            raise OmnifuseError(f'the column "{column}" is on both sides; {mend}')


def _count(table: Table, config: JoinConfig, lookup: Lookup, report: JoinReport, kept: np.ndarray | None) -> None:
    """Look up every row once, reading only the columns that decide, and fill in the report."""
    matcher, left = lookup.matcher, report.left
    edges, states = np.zeros(matcher.units + 1, np.int64), np.zeros(len(STATES), np.int64)
    examples: set[str] = set()
    far, total, first = 0, 0.0, None
    for batch in batches(table, lookup.reads):
        match = lookup.match(batch)
        found = match.state == MATCHED
        states += np.bincount(match.state, minlength=len(STATES))
        edges += np.bincount(match.start[found], minlength=len(edges)) - np.bincount(match.stop[found], minlength=len(edges))
        if match.distance is not None and found.any():
            far, total = max(far, int(match.distance[found].max())), total + float(match.distance[found].sum(dtype=np.float64))
        examples = set(heapq.nsmallest(EXAMPLES, examples | _examples(batch, match)))
        first = first or batch
    for state, rows in zip(STATES, states.tolist(), strict=True):
        setattr(left, state, rows)
    left.rows = int(states.sum())
    left.dropped = left.rows - left.matched if config.how == "inner" else 0
    covered = np.cumsum(edges)[:-1] > 0
    report.right = matcher.count(covered, kept)
    if examples:
        report.examples = {"left": sorted(examples)}
        if isinstance(matcher, KeyMatcher):
            report.examples["right"] = _first(matcher.keys.spelt(np.flatnonzero(~covered)))
    if report.way == "asof" and left.matched:
        report.distance_s = {"mean": total / left.matched / 1e9, "largest": far / 1e9}
    left.check()
    report.right.check()
    _stop(config, lookup, report, covered, first)


def _stop(config: JoinConfig, lookup: Lookup, report: JoinReport, covered: np.ndarray, batch: Sequence[Values] | None) -> None:
    """Stop where the join cannot be meant."""
    left, matcher = report.left, lookup.matcher
    timed = config.asof or config.window
    if timed and batch is not None and left.unreadable == left.rows:
        _check_times(np.ones(1, bool), batch[-1], "this side", timed.left, timed.unit)
    if isinstance(matcher, KeyMatcher) and not config.collect and config.duplicates == "error":
        several = np.flatnonzero(covered & (matcher.sizes > 1))
        if len(several):
            key, rows = matcher.keys.spelt(several[:1])[0], matcher.sizes[several[0]]
            raise OmnifuseError(
                f'{len(several)} of the keys wanted here have several rows on the other side, such as "{key}" with {rows};'
                f" say duplicates: first or last with order: COLUMN, or collect them"
            )
    share = (left.rows - left.matched) / left.rows if left.rows else 0.0
    if share > config.max_unmatched:
        shown = f", such as {', '.join(report.examples['left'])}" if report.examples else ""
        raise OmnifuseError(
            f"{left.rows - left.matched} of {left.rows} rows ({share:.1%}) found no partner{shown}; max_unmatched allows"
            f" {config.max_unmatched:.1%}: mend the keys or times, or raise it"
        )


def _check_times(unreadable: np.ndarray, time: Values, side: str, column: str, unit: str) -> None:
    if len(unreadable) and unreadable.all():
        raise OmnifuseError(
            f'no time in the column "{column}" of {side} can be read, such as {listed(time)[0]!r}; give ISO dates, timestamps or numbers'
            f" that count {unit} (`unit` says what they count)"
        )


def _examples(batch: Sequence[Values], match: Match) -> set[str]:
    """The first few keys, in the alphabet, of rows without a partner though they have a key."""
    import pyarrow as pa
    import pyarrow.compute as pc

    alone = np.flatnonzero((match.state != MATCHED) & (match.state != WITHOUT_KEY))
    if not len(alone):
        return set()
    parts = [pc.fill_null(words(take(column, alone)), "") for column in batch]
    return set(_first(pc.unique(pc.binary_join_element_wise(*parts, pa.scalar(BETWEEN, pa.large_string())))))


def _first(keys: pa.Array) -> list[str]:
    import pyarrow.compute as pc

    return keys.take(pc.sort_indices(keys)[:EXAMPLES]).to_pylist()
