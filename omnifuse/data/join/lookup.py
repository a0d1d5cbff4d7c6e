"""The new columns of a join beside the first table's, a batch at a time, wherever that table is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from omnifuse.data.join.columns import BATCH, Values, arrow, listed
from omnifuse.data.join.keys import MATCHED, KeyMatcher, Match
from omnifuse.data.join.nearby import AsofMatcher, WindowMatcher
from omnifuse.data.join.partners import Picked, Spans
from omnifuse.data.join.shared import Shared
from omnifuse.data.table import LocalTable, Table, iterate_rows

if TYPE_CHECKING:
    import daft
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

    def struct(self, batch: Sequence[Values]) -> pa.Array:
        """Whether there is a partner, and the new columns, as fields `found`, `0`, `1`, …"""
        import pyarrow as pa

        match = self.match(batch)
        taken = [arrow(column.take(match)) for column in self.columns.values()]
        return pa.StructArray.from_arrays([pa.array(match.state == MATCHED), *taken], names=["found", *map(str, range(len(taken)))])


def attach(table: Table, lookup: Lookup, *, inner: bool) -> Table:
    """The first table with the new columns."""
    if isinstance(table, LocalTable):
        names = [*table.column_names, *lookup.columns]

        def select(columns: Sequence[str]) -> Iterator[dict[str, Any]]:
            return _rows(table, lookup, columns, inner)

        return LocalTable(names, lambda: select(names), types=_types(table, lookup), select=select)
    columns: dict[str, Picked | Spans] = {}
    for name, column in lookup.columns.items():
        if isinstance(column, Picked):
            values = arrow(column.values)
            if values is None:  # Python's objects, which a frame cannot hold
                return attach(LocalTable(table.column_names, lambda: iterate_rows(table)), lookup, inner=inner)
            column = Picked(values, column.rows)
        columns[name] = column
    return _attach_to_frame(table, Lookup(lookup.matcher, lookup.reads, columns), inner)


def _attach_to_frame(frame: daft.DataFrame, lookup: Lookup, inner: bool) -> daft.DataFrame:
    """The lookup as a function of the frame, so that it runs where the frame does and media never pass through here."""
    import daft

    shared = Shared(lookup)
    kind = lookup.struct([[] for _ in lookup.reads]).type

    def partners(*columns: daft.Series) -> pa.Array:
        return shared.value.struct([column.to_arrow() for column in columns])

    field = "_partners"
    while field in frame.column_names:
        field += "_"
    function = daft.func.batch(return_dtype=daft.DataType.from_arrow_type(kind), use_process=False)(partners)
    joined = frame.with_column(field, function(*(daft.col(name) for name in lookup.reads)))
    if inner:
        joined = joined.where(daft.col(field)["found"])
    new = [daft.col(field)[str(number)].alias(name) for number, name in enumerate(lookup.columns)]
    return joined.select(*frame.column_names, *new)


def _rows(table: LocalTable, lookup: Lookup, columns: Sequence[str], inner: bool) -> Iterator[dict[str, Any]]:
    """Rows with some of the columns; only those are read and looked up."""
    ours = [name for name in table.column_names if name in columns]
    new = {name: column for name, column in lookup.columns.items() if name in columns}
    rows = iterate_rows(table, list(dict.fromkeys([*ours, *lookup.reads])) if new or inner else ours)
    while some := list(islice(rows, BATCH)):
        if not new and not inner:
            yield from some
            continue
        match = lookup.match([[row[name] for row in some] for name in lookup.reads])
        taken = {name: listed(column.take(match)) for name, column in new.items()}
        for number, row in enumerate(some):
            if match.state[number] == MATCHED or not inner:
                yield {**{name: row[name] for name in ours}, **{name: values[number] for name, values in taken.items()}}


def _types(table: LocalTable, lookup: Lookup) -> pa.Schema | None:
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
