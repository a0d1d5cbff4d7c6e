"""CSV and TSV files as words, read strictly: what cannot be read is told or set aside, never dropped.

Not by Daft: it makes undecodable cells absent without a word, does not come back from a cell of 140 kB, and drops one of
two columns of the same name (seen with daft 0.7.26).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.sources.bad_rows import BadRows
from omnifuse.data.sources.config import TableSourceConfig
from omnifuse.data.sources.formats import MAX_LINE_BYTES, numbered_lines, open_bytes, printable
from omnifuse.data.sources.part import Part

BLOCK = 16_000_000
HEADER_BYTES = 1 << 20
LINES_OF_A_ROW = 1000
csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))  # by itself it refuses cells over 131 kB


def open_csv(path: Path, delimiter: str, config: TableSourceConfig, bad: BadRows) -> Part:
    """Open a CSV file: UTF-8, a header, quotes as in RFC 4180, lines inside quotes allowed.

    Raises:
        OmnifuseError: no header, a column name twice or empty, and, while rows are read, a row of another length or bytes
            that are not UTF-8 (with the place), unless such rows are set aside.
    """
    names = list(config.column_names or _header(path, delimiter, config.skip_rows))
    for name in names:
        if names.count(name) > 1:
            raise OmnifuseError(f'{path}: the column "{name}" is there twice; rename one of them')

    def rows(_: Sequence[str] | None) -> Iterator[dict[str, Any]]:
        read = _strict_rows if config.bad_rows == "error" else _lenient_rows
        found = read(path, names, delimiter, config, bad)
        if config.column_names is None:
            next(found, None)  # the header is read as a row, for it may span lines
        return found

    return Part(path, printable(path.name), names, rows)


def _header(path: Path, delimiter: str, skip: int) -> list[str]:
    try:
        with open_bytes(path) as stream:
            lines = io.BytesIO(stream.read(HEADER_BYTES).removeprefix(b"\xef\xbb\xbf"))
        for _ in range(skip):
            lines.readline()
        names = next(csv.reader((line.decode("utf-8") for line in lines), delimiter=delimiter), [])
    except UnicodeDecodeError as error:
        raise OmnifuseError(f"{path}: is not UTF-8 text ({error.reason} near byte {error.start}); save it as UTF-8") from None
    except (csv.Error, OSError) as error:
        raise OmnifuseError(f"{path}: the header cannot be read ({error})") from None
    if not names:
        raise OmnifuseError(f"{path}: line {skip + 1} is empty; a header with the names of the columns is needed there")
    return names


def _strict_rows(path: Path, names: list[str], delimiter: str, config: TableSourceConfig, _: BadRows) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    try:
        with open_bytes(path) as stream:
            reader = arrow_csv.open_csv(
                stream,
                arrow_csv.ReadOptions(block_size=BLOCK, column_names=names, skip_rows=config.skip_rows, use_threads=False),
                arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=len(names) > 1),
                arrow_csv.ConvertOptions(column_types={name: pa.string() for name in names}, strings_can_be_null=False),
            )
            for batch in reader:
                yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        fault = " ".join(str(error).split())
        if "UTF8" in fault:
            fault = f"not UTF-8 text, line {_undecodable_line(path)}; save the file as UTF-8"
        elif "Expected" in fault:
            fault = f"{fault[:160]} (mend the line, or set `bad_rows: quarantine` of the source)"
        raise OmnifuseError(f"{path}: {fault[:240]}") from None


def _lenient_rows(path: Path, names: list[str], delimiter: str, config: TableSourceConfig, bad: BadRows) -> Iterator[dict[str, Any]]:
    """Rows line by line: what is broken is one line, even where its open quote would swallow those behind it."""
    lines = ((number, line.rstrip(b"\r\n")) for number, line in numbered_lines(path) if number > config.skip_rows)
    again: list[tuple[int, bytes]] = []
    while (found := again.pop() if again else next(lines, None)) is not None:
        number, line = found
        if not line and len(names) > 1:
            continue
        try:
            gathered = [found]
            fields = _fields(line, delimiter)
            while fields is None and len(gathered) < LINES_OF_A_ROW:  # a quote is open
                following = again.pop() if again else next(lines, None)
                if following is None:
                    break
                gathered.append(following)
                try:
                    fields = _fields(b"\n".join(text for _, text in gathered), delimiter)
                except (ValueError, csv.Error):  # a line behind it is broken, not this one
                    break
            if fields is None:
                raise ValueError("a quote is not closed")
            if len(fields) != len(names):
                raise ValueError(f"{len(fields)} fields where there are {len(names)} columns")
        except (ValueError, csv.Error) as error:
            again.extend(reversed(gathered[1:]))
            reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
            bad.add(printable(path), number, line.decode("utf-8", "replace"), reason)
            continue
        bad.read += 1
        yield dict(zip(names, fields, strict=True))


def _fields(text: bytes, delimiter: str) -> list[str] | None:
    """The fields of a row; `None` where it goes on in the next line."""
    try:
        rows = list(csv.reader(io.StringIO(text.decode("utf-8"), newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        if "unexpected end" in str(error):
            return None
        raise
    return list(chain.from_iterable(rows)) if rows else [""]


def _undecodable_line(path: Path) -> int | str:
    for number, line in numbered_lines(path):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            return number
    return "unknown"
