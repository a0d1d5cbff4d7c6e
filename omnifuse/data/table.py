"""Tables: rows by column name, read one after another. Nothing is interpreted here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

READ_FROM: Any = ("read from",)  # beside the columns of a row, where it was read; no column can be called so


@dataclass(frozen=True, eq=False)
class Table:
    """Rows, read one after another as often as they are asked for.

    Attributes:
        column_names: its columns.
        rows: begins to read; a row may leave columns out.
        bad_rows: what the last reading set aside: dicts of `source`, `row` (the line, where there are lines), `column`, `value`
            and `reason`.
        notes: counts worth a report, such as `files without metadata`.
        types: Arrow types of columns where they are known.
        select: begins to read only some columns, where that is less work.
        arrow: begins to read some columns as Arrow batches, where they lie in such.
        has_origins: whether `select` gives, asked for `READ_FROM`, the file and the number of the row in it, such as `a.csv:17`.
    """

    column_names: list[str]
    rows: Callable[[], Iterator[Mapping[str, Any]]]
    bad_rows: Callable[[], list[dict[str, Any]]] = list
    notes: Callable[[], dict[str, int]] = dict
    types: pa.Schema | None = None
    select: Callable[[Sequence[str]], Iterator[Mapping[str, Any]]] | None = None
    arrow: Callable[[Sequence[str]], Iterator[pa.RecordBatch]] | None = None
    has_origins: bool = False


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
    names = table.column_names if columns is None else columns
    rows = table.rows() if columns is None or table.select is None else table.select(columns)
    return ({name: row.get(name) for name in names} for row in rows)


def with_origins(table: Table, name: str, folder: str = "") -> Table:
    """The table, whose rows say under `READ_FROM`, when that is asked for, where they were read.

    Args:
        table: rows that do not say it themselves are numbered from 1.
        name: of the source, for those.
        folder: what stands before the names of files, where the same name is in several folders.
    """

    def select(columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        if READ_FROM not in columns:
            return iterate_rows(table, columns)
        asked = columns if table.has_origins else [column for column in columns if column != READ_FROM]
        rows = enumerate(table.rows() if table.select is None else table.select(asked), start=1)
        return ({**row, READ_FROM: f"{folder}{row.get(READ_FROM) or f'{name}:{number}'}"} for number, row in rows)

    return replace(table, select=select, has_origins=True)


def with_absent(table: Table, names: Collection[str]) -> Table:
    """The table with these columns, too; those that it does not have are absent in every row."""
    missing = [name for name in names if name not in table.column_names]

    def select(columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        return iterate_rows(table, [column for column in columns if column not in missing])

    return replace(table, column_names=[*table.column_names, *missing], select=select, arrow=None) if missing else table


def select_columns(table: Table, names: Sequence[str]) -> Table:
    """The table with these columns alone."""
    return replace(table, column_names=list(names))


def count_rows(source: Any) -> int:
    """Number of rows of a table, or of what `read_table` takes."""
    return sum(1 for _ in iterate_rows(source if isinstance(source, Table) else read_table(source), []))


def written_schema(table: Table) -> pa.Schema:
    """Arrow types of the columns that can be written as a table again: all but those that hold bytes or objects."""
    import pyarrow as pa

    known = table.types or pa.schema([])
    types = {name: known.field(name).type if name in known.names else pa.string() for name in table.column_names}
    return pa.schema([(n, kind) for n, kind in types.items() if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind))])
