"""Any table as a Daft data frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omnifuse.data.sources.arrow_types import Types, column_array
from omnifuse.data.sources.places import temporary_folder
from omnifuse.data.table import LocalTable, Table, iterate_rows

if TYPE_CHECKING:
    import daft
    import pyarrow as pa

CHUNK_ROWS = 8192
CHUNK_BYTES = 16 << 20


def as_frame(table: Table, folder: Path | None = None) -> daft.DataFrame:
    """The table as a Daft data frame; one that is read in this process is first written to Parquet files, some rows at a time.

    Args:
        table: it is read through once.
        folder: where the files go; by default a temporary folder that is removed when this process ends. Workers of a
            cluster must see it.

    Raises:
        OmnifuseError: a column holds what a table cannot, such as Pillow images.
    """
    if not isinstance(table, LocalTable):
        return table
    import daft
    import pyarrow.parquet as pq

    folder = folder or temporary_folder()
    folder.mkdir(parents=True, exist_ok=True)
    types, files = Types(), []
    rows = iterate_rows(table)
    while chunk := _chunk(rows):
        part = _arrow(chunk, table.column_names)
        types.add_schema(part.schema)
        files.append(folder / f"{len(files):06}.parquet")
        pq.write_table(part, files[-1])
    schema = types.schema(table.column_names)
    if not files:
        files = [folder / "000000.parquet"]
        pq.write_table(schema.empty_table(), files[0])
    for file in files:  # chunks whose types differ from those of the whole
        if not pq.read_schema(file).equals(schema):
            _rewrite(file, schema)
    return daft.read_parquet([str(file) for file in files])


def _chunk(rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Some rows: few of them where they hold files."""
    chunk, size = [], 0
    for row in rows:
        chunk.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, bytes | str))
        if len(chunk) == CHUNK_ROWS or size >= CHUNK_BYTES:
            break
    return chunk


def _arrow(rows: list[dict[str, Any]], names: list[str], schema: pa.Schema | None = None) -> pa.Table:
    import pyarrow as pa

    kinds = {name: schema.field(name).type if schema else None for name in names}
    return pa.table({name: column_array([row[name] for row in rows], name, kinds[name]) for name in names}, schema)


def _rewrite(file: Path, schema: pa.Schema) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    try:
        table = table.cast(schema)
    except Exception:  # structs with other fields, numbers that became words
        table = _arrow(table.to_pylist(), schema.names, schema)
    pq.write_table(table, file)
