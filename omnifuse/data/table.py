"""Tables: files and Python objects as Daft data frames. Nothing is interpreted here."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.csv_file import read_csv

if TYPE_CHECKING:
    import daft
    import pyarrow as pa

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


@dataclass(frozen=True)
class LocalTable:
    """A table that is read in this process, row by row: Python objects such as Pillow images, or a CSV file."""

    column_names: list[str]
    rows: Callable[[], Iterator[Mapping[str, Any]]]


Table: TypeAlias = "daft.DataFrame | LocalTable"


def read_table(source: Any) -> Table:
    """Open a table without reading its rows.

    Args:
        source: path of a CSV, TSV, JSONL or Parquet file; a list of dicts, a dict of lists, a pandas, PyArrow or
            Daft table. Fields of CSV and TSV files come as words, so that `007` stays `007`.

    Raises:
        OmnifuseError: no such file, unknown format, an empty table, or damage.
    """
    if isinstance(source, str | Path):
        return _read_file(Path(source))
    if isinstance(source, Mapping):
        lengths = {name: len(values) for name, values in source.items()}
        if len(set(lengths.values())) > 1:
            raise OmnifuseError(f"the columns have different lengths ({', '.join(f'{n}: {c}' for n, c in lengths.items())})")
        return _listed([dict(zip(source, row, strict=True)) for row in zip(*source.values(), strict=True)], list(source))
    if isinstance(source, Sequence):
        if not source or not all(isinstance(row, Mapping) for row in source):
            raise OmnifuseError("the list of rows is empty or holds something that is not a dict")
        return _listed(source, list(dict.fromkeys(name for row in source for name in row)))
    kind = f"{type(source).__module__}.{type(source).__name__}"
    if kind.startswith("pandas."):
        if not source.columns.is_unique:
            raise OmnifuseError("the data frame has two columns of one name; rename one of them")
        return _listed(source.to_dict("records"), list(source.columns))
    if kind.startswith("pyarrow."):
        import daft

        return daft.from_arrow(source)
    if kind.startswith("daft."):
        return source
    raise OmnifuseError(f"cannot read a table from {kind}; give a path, a list of dicts, a pandas or PyArrow table")


def iterate_rows(table: Table, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows in the order of the table, a few at a time in memory."""
    if isinstance(table, LocalTable):
        names = columns or table.column_names
        yield from ({name: row.get(name) for name in names} for row in table.rows())
        return
    try:
        for batch in (table.select(*columns) if columns else table).to_arrow_iter():
            yield from batch.to_pylist()
    except Exception as error:  # Daft raises many kinds, and finds damage only when it reads
        raise OmnifuseError(f"the table cannot be read ({str(error).splitlines()[0][:160]})") from None


def count_rows(source: Any) -> int:
    """Number of rows of a table."""
    table = read_table(source)
    return sum(1 for _ in table.rows()) if isinstance(table, LocalTable) else table.count_rows()


def written_schema(table: Table) -> pa.Schema:
    """Arrow types of the columns that can be written as a table again: all but those that hold bytes or objects."""
    import pyarrow as pa

    if isinstance(table, LocalTable):
        return pa.schema([(name, pa.string()) for name in table.column_names])
    schema = table.schema().to_pyarrow_schema()
    return pa.schema([field for field in schema if not (pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type))])


def fingerprint(source: Any) -> str:
    """A word that changes when the table does: path, size and time of a file, content of an object."""
    if isinstance(source, str | Path):
        path = Path(source)
        stat = path.stat()
        return f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
    digest = hashlib.blake2b(digest_size=16)
    for row in iterate_rows(read_table(source)):
        for name in sorted(row, key=str):
            digest.update(str(name).encode() + b"\x1f" + _content(row[name]) + b"\x1e")
    return digest.hexdigest()


def _content(value: Any) -> bytes:
    """Bytes that differ when the value does."""
    if isinstance(value, bytes):
        return value
    if hasattr(value, "tobytes"):  # an array or a Pillow image, whose words leave out most of it
        return f"{type(value).__name__}{getattr(value, 'shape', getattr(value, 'size', ''))}".encode() + value.tobytes()
    return repr(value).encode()


def _read_file(path: Path) -> Table:
    if "://" in str(path):
        raise OmnifuseError(f"{path}: tables are read from files; download it and give its path")
    if not path.exists():
        near = sorted(p.name for p in path.parent.glob("*") if p.suffix in SUFFIXES)[:5] if path.parent.is_dir() else []
        hint = f"; this folder holds {', '.join(near)}" if near else ""
        raise OmnifuseError(f"{path}: no such file{hint}")
    if path.is_dir():
        raise OmnifuseError(f"{path}: is a folder; give the table inside it (CSV, TSV, JSONL or Parquet)")
    if not path.is_file():
        raise OmnifuseError(f"{path}: is not a regular file")
    if path.stat().st_size == 0:
        raise OmnifuseError(f"{path}: the file is empty")
    kind = _format(path)
    if kind in ("csv", "tsv"):
        return read_csv(path, "\t" if kind == "tsv" else ",")
    import daft

    pattern = glob.escape(str(path))  # Daft takes paths as patterns
    try:
        return daft.read_parquet(pattern) if kind == "parquet" else daft.read_json(pattern)
    except Exception as error:  # Daft raises many kinds
        raise OmnifuseError(f"{path}: cannot be read as {kind} ({str(error).splitlines()[0][:160]})") from None


def _listed(rows: Sequence[Mapping[Any, Any]], names: list[Any]) -> LocalTable:
    """Rows of Python objects; column names become words, scalars of NumPy become Python's."""
    words = [str(name) for name in names]
    for word in words:
        if words.count(word) > 1:
            raise OmnifuseError(f'the column "{word}" is there twice; rename one of them')

    def each() -> Iterator[dict[str, Any]]:
        for row in rows:
            yield {
                word: value.item() if isinstance(value := row.get(name), np.generic) else value
                for word, name in zip(words, names, strict=True)
            }

    return LocalTable(words, each)


def _format(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(512)
    if head[:4] == b"PAR1":
        return "parquet"
    start = head.lstrip()[:1]
    for suffix in reversed(path.suffixes):
        if suffix.lower() in SUFFIXES and SUFFIXES[suffix.lower()] != "parquet":
            if SUFFIXES[suffix.lower()] == "jsonl" and start == b"[":
                raise OmnifuseError(f"{path}: holds one JSON array; write one object a line (JSONL) instead")
            return SUFFIXES[suffix.lower()]
    if start == b"{":
        return "jsonl"
    raise OmnifuseError(f"{path}: unknown format; use CSV, TSV, JSONL or Parquet, with that ending")
