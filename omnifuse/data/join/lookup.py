"""The new columns of a join beside the first table's, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from omnifuse.data.join.columns import BATCH, Values, column_of, listed
from omnifuse.data.join.keys import MATCHED, KeyMatcher, Match
from omnifuse.data.join.nearby import AsofMatcher, WindowMatcher
from omnifuse.data.join.partners import Picked, Spans
from omnifuse.data.table import READ_FROM, Table, iterate_rows

if TYPE_CHECKING:
    import pyarrow as pa


class Lookup:
    """Finds the new columns of a batch of rows.

    Attributes:
        reads: columns of the first table that decide.
        columns: new column → what it is taken from.
    """

    def __init__(self, matcher: KeyMatcher | AsofMatcher | WindowMatcher, reads: Sequence[str], columns: Mapping[str, Picked | Spans]):
        """Take the parts."""
        self.matcher, self.reads, self.columns = matcher, list(reads), columns

    def match(self, batch: Sequence[Values]) -> Match:
        """Partners of a batch of `reads`."""
        return self.matcher.match(batch, len(batch[0]))


def attach(table: Table, lookup: Lookup, *, inner: bool) -> Table:
    """The first table with the new columns."""
    names = [*table.column_names, *lookup.columns]

    def select(columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        return _rows(table, lookup, columns, inner)

    return Table(names, lambda: select(names), types=_types(table, lookup), select=select, has_origins=table.has_origins)


def _rows(table: Table, lookup: Lookup, columns: Sequence[str], inner: bool) -> Iterator[dict[str, Any]]:
    """Rows with some of the columns; only those are read and looked up."""
    ours = [name for name in (*table.column_names, READ_FROM) if name in columns]
    new = {name: column for name, column in lookup.columns.items() if name in columns}
    rows = iterate_rows(table, list(dict.fromkeys([*ours, *lookup.reads])) if new or inner else ours)
    while some := list(islice(rows, BATCH)):
        if not new and not inner:
            yield from some
            continue
        match = lookup.match([column_of(some, name, table.types) for name in lookup.reads])
        taken = {name: listed(column.take(match)) for name, column in new.items()}
        for number, row in enumerate(some):
            if match.state[number] == MATCHED or not inner:
                yield {**{name: row[name] for name in ours}, **{name: values[number] for name, values in taken.items()}}


def _types(table: Table, lookup: Lookup) -> pa.Schema | None:
    """Arrow types of the columns, where those of the first table are known."""
    import pyarrow as pa

    if table.types is None:
        return None
    known = list(table.types)
    for name, column in lookup.columns.items():
        kind = column.values.type if isinstance(column, Picked) and not isinstance(column.values, list) else None
        if isinstance(column, Spans):
            kind = pa.struct({channel: pa.large_list(pa.float64()) for channel in ("time", *column.channels)})
        if kind is not None and not pa.types.is_null(kind):
            known.append(pa.field(name, kind))
    return pa.schema(known)
