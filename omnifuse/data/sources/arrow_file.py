"""Parquet and Arrow files, a few rows at a time and only the columns that are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.sources.part import Part

BATCH_ROWS = 256


def open_parquet(path: Path) -> Part:
    """Open a Parquet file; its footer is read, and no row."""
    import pyarrow.parquet as pq

    def rows(columns: Sequence[str] | None) -> Iterator[dict[str, Any]]:
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(BATCH_ROWS, columns=None if columns is None else list(columns)):
                    yield from batch.to_pylist()
        except Exception as error:  # damage shows in many ways
            raise _unreadable(path, "parquet", error) from None

    try:
        schema = pq.read_schema(path)
    except Exception as error:
        raise _unreadable(path, "parquet", error) from None
    return Part(path, schema.names, rows, schema)


def open_arrow(path: Path) -> Part:
    """Open an Arrow (Feather) file."""
    import pyarrow as pa

    def rows(columns: Sequence[str] | None) -> Iterator[dict[str, Any]]:
        try:
            with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
                for number in range(file.num_record_batches):
                    batch = file.get_batch(number)
                    batch = batch if columns is None else batch.select(list(columns))
                    for start in range(0, batch.num_rows, BATCH_ROWS):
                        yield from batch.slice(start, BATCH_ROWS).to_pylist()
        except Exception as error:
            raise _unreadable(path, "arrow", error) from None

    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            schema = file.schema
    except Exception as error:
        raise _unreadable(path, "arrow", error) from None
    return Part(path, schema.names, rows, schema)


def _unreadable(path: Path, kind: str, error: Exception) -> OmnifuseError:
    if isinstance(error, OmnifuseError):
        return error
    return OmnifuseError(f"{path}: cannot be read as {kind} ({(str(error) or type(error).__name__).splitlines()[0][:160]})")
