"""Tables: rows by column name, as a Daft data frame or read in this process. Nothing is interpreted here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from omnifuse.core.errors import OmnifuseError

if TYPE_CHECKING:
    import daft
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class LocalTable:
    """A table that is read in this process, row by row.

    Attributes:
        column_names: its columns.
        rows: begins to read; a row may leave columns out.
        bad_rows: what the last reading set aside: dicts of `source`, `row` (the line, where there are lines), `column`, `value`
            and `reason`.
        notes: counts worth a report, such as `files without metadata`.
        types: Arrow types of columns where they are known.
        select: begins to read only some columns, where that is less work.
    """

    column_names: list[str]
    rows: Callable[[], Iterator[Mapping[str, Any]]]
    bad_rows: Callable[[], list[dict[str, Any]]] = list
    notes: Callable[[], dict[str, int]] = dict
    types: pa.Schema | None = None
    select: Callable[[Sequence[str]], Iterator[Mapping[str, Any]]] | None = None


Table: TypeAlias = "daft.DataFrame | LocalTable"


def read_table(source: Any) -> Table:
    """Open a table without reading its rows: what `data.source` of a recipe takes, or an object; paths are relative to here.

    Args:
        source: path of a file or folder, an address, a mapping with the `name` of a source and its options; a list of dicts, a
            dict of lists, a pandas, PyArrow or Daft table, a Hugging Face dataset. Fields of CSV and TSV files come as words,
            so that `007` stays `007`.

    Raises:
        OmnifuseError: no such file, unknown format, an empty table, or damage.
    """
    from omnifuse.data.sources import read_source

    return read_source(source, Path())


def iterate_rows(table: Table, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows in the order of the table, a few at a time in memory."""
    if isinstance(table, LocalTable):
        names = table.column_names if columns is None else columns
        rows = table.rows() if columns is None or table.select is None else table.select(columns)
        yield from ({name: row.get(name) for name in names} for row in rows)
        return
    try:
        for batch in (table if columns is None else table.select(*columns)).to_arrow_iter():
            yield from batch.to_pylist()
    except Exception as error:  # Daft raises many kinds, and finds damage only when it reads
        raise OmnifuseError(f"the table cannot be read ({str(error).splitlines()[0][:160]})") from None


def select_columns(table: Table, names: Sequence[str]) -> Table:
    """The table with these columns alone."""
    return replace(table, column_names=list(names)) if isinstance(table, LocalTable) else table.select(*names)


def count_rows(source: Any) -> int:
    """Number of rows of a table, or of what `read_table` takes."""
    table = source if isinstance(source, LocalTable) else read_table(source)
    return sum(1 for _ in iterate_rows(table, [])) if isinstance(table, LocalTable) else table.count_rows()


def written_schema(table: Table) -> pa.Schema:
    """Arrow types of the columns that can be written as a table again: all but those that hold bytes or objects."""
    import pyarrow as pa

    if isinstance(table, LocalTable):
        known = table.types or pa.schema([])
        types = {name: known.field(name).type if name in known.names else pa.string() for name in table.column_names}
        schema = pa.schema(list(types.items()))
    else:
        schema = table.schema().to_pyarrow_schema()
    return pa.schema([field for field in schema if not (pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type))])
