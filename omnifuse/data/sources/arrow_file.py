"""Parquet and Arrow files, a few rows at a time and only the columns that are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omnifuse.core.errors import OmnifuseError, first_line
from omnifuse.data.sources.part import Part

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 256  # of whole rows, which may hold files
COLUMN_ROWS = 16_384  # of a few columns


def open_parquet(path: Path) -> Part:
    """Open a Parquet file; its footer is read, and no row."""
    import pyarrow.parquet as pq

    def batches(columns: Sequence[str] | None, size: int = COLUMN_ROWS) -> Iterator[pa.RecordBatch]:
        try:
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(size, columns=None if columns is None else list(columns))
        except Exception as error:  # damage shows in many ways
            raise _unreadable(path, "parquet", error) from None

    def rows(columns: Sequence[str] | None) -> Iterator[dict[str, Any]]:
        return (row for batch in batches(columns, BATCH_ROWS) for row in batch.to_pylist())

    try:
        schema = pq.read_schema(path)
    except Exception as error:
        raise _unreadable(path, "parquet", error) from None
    return Part(path, path.name, schema.names, rows, schema, batches)


def open_arrow(path: Path) -> Part:
    """Open an Arrow (Feather) file."""
    import pyarrow as pa

    def batches(columns: Sequence[str] | None, size: int = COLUMN_ROWS) -> Iterator[pa.RecordBatch]:
        try:
            with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
                for number in range(file.num_record_batches):
                    batch = file.get_batch(number)
                    batch = batch if columns is None else batch.select(list(columns))
                    yield from (batch.slice(start, size) for start in range(0, batch.num_rows, size))
        except Exception as error:
            raise _unreadable(path, "arrow", error) from None

    def rows(columns: Sequence[str] | None) -> Iterator[dict[str, Any]]:
        return (row for batch in batches(columns, BATCH_ROWS) for row in batch.to_pylist())

    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            schema = file.schema
    except Exception as error:
        raise _unreadable(path, "arrow", error) from None
    return Part(path, path.name, schema.names, rows, schema, batches)


def _unreadable(path: Path, kind: str, error: Exception) -> OmnifuseError:
    if isinstance(error, OmnifuseError):
        return error
    return OmnifuseError(f"{path}: cannot be read as {kind} ({first_line(error)})")
