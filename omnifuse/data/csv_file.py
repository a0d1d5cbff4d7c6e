"""CSV and TSV files as words, read strictly: what cannot be read is told, never dropped.

Not by Daft: it makes undecodable cells absent without a word, does not come back from a cell of 140 kB, and drops one of
two columns of the same name (seen with daft 0.7.26).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omnifuse.core.errors import OmnifuseError

if TYPE_CHECKING:
    from omnifuse.data.table import LocalTable

BLOCK = 16_000_000


def read_csv(path: Path, delimiter: str) -> LocalTable:
    """Open a CSV file: UTF-8, a header, quotes as in RFC 4180, lines inside quotes allowed.

    Raises:
        OmnifuseError: no header, a column name twice or empty, and, while rows are read, a row of another length or bytes
            that are not UTF-8 (with the place).
    """
    from omnifuse.data.table import LocalTable

    names = _header(path, delimiter)
    for name in names:
        if names.count(name) > 1:
            raise OmnifuseError(f'{path}: the column "{name}" is there twice; rename one of them')
    return LocalTable(names, lambda: _rows(path, names, delimiter))


def _header(path: Path, delimiter: str) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            names = next(csv.reader(file, delimiter=delimiter), [])
    except UnicodeDecodeError as error:
        raise OmnifuseError(f"{path}: is not UTF-8 text ({error.reason} near byte {error.start}); save it as UTF-8") from None
    except csv.Error as error:
        raise OmnifuseError(f"{path}: the header cannot be read ({error})") from None
    if not names:
        raise OmnifuseError(f"{path}: the first line is empty; a header with the names of the columns is needed")
    return names


def _rows(path: Path, names: list[str], delimiter: str) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    try:
        reader = arrow_csv.open_csv(
            path,
            arrow_csv.ReadOptions(block_size=BLOCK, column_names=names, skip_rows=0, use_threads=False),
            arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=len(names) > 1),
            arrow_csv.ConvertOptions(column_types={name: pa.string() for name in names}, strings_can_be_null=False),
        )
        first = True
        for batch in reader:
            rows = batch.to_pylist()
            yield from rows[1:] if first else rows  # the header is read as a row, for it may span lines
            first = False
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        fault = " ".join(str(error).split())
        if "UTF8" in fault:
            fault = f"not UTF-8 text, line {_undecodable_line(path)}; save the file as UTF-8"
        raise OmnifuseError(f"{path}: {fault[:200]}") from None


def _undecodable_line(path: Path) -> int | str:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return "unknown"
