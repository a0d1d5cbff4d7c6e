"""Numbers in lines of text (CSV, TSV and their kin) → columns; a broken line is named, a blank cell is missing."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

import numpy as np

from omnifuse.data.decode.rows_of_text import lines_of
from omnifuse.data.fetch import BadValue

MISSING = frozenset(("", "-", "na", "n/a", "nan", "null", "none", "?"))
CHUNK_CELLS = 1 << 17
MAX_COLUMNS = 10_000
BEGINS_AS_NUMBER = re.compile(r"\s*[-+]?[.,]?\d")
COMMENT = re.compile(r"^\s*#\s*((columns|fields)\s*:)?\s*", re.IGNORECASE)

Row = tuple[int, list[str]]


def read_text_table(data: bytes, max_values: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """(T, C) float64 and the names of the columns, empty where no line names them.

    The separator (tab, semicolon, comma or blanks) is that of the first line. Lines that begin with `#` are comments; the
    last one before the numbers names the columns where it fits. Columns of words and an unnamed column that counts the rows
    are left out; dates and times become seconds since 1970.

    Raises:
        BadValue: a line with too few or too many cells, or with a cell that is no number, by its number.
    """
    lines = _Lines(_plain(data), max_values)
    rows = iter(lines)
    first = next(rows, None)
    if first is None:
        raise BadValue("the file holds no lines")
    has_header = not any(_is_number(cell) or BEGINS_AS_NUMBER.match(cell) for cell in first[1])
    header = first[1] if has_header else None
    width = len(first[1])
    if width > MAX_COLUMNS:
        raise BadValue(f"{width} columns are more than {MAX_COLUMNS}")
    columns = [_Column(place) for place in range(width)]
    pending: Iterator[Row] = rows if has_header else _chain(first, rows)
    count = 0
    while chunk := list(islice(pending, max(1, CHUNK_CELLS // max(1, width)))):
        count += len(chunk)
        if count * width > max_values:
            raise BadValue(f"more than {max_values} numbers")
        numbers = [number for number, _ in chunk]
        cells = zip(*(_fitting(row, width) for row in chunk), strict=True)
        for column, column_cells in zip(columns, cells, strict=True):
            column.add(numbers, column_cells, lines.has_decimal_comma)
    if not count:
        raise BadValue("there are names of columns and no numbers")
    if header is None and len(lines.comment) == width:
        header = lines.comment
    kept = [column for column in columns if column.kind != "words" and not _counts_rows(column, header)]
    values = np.stack([column.values() for column in kept], axis=1) if kept else np.zeros((count, 0))
    return values, _names(header, kept)


class _Lines:
    """Rows of cells with their line numbers, without comments and blank lines."""

    def __init__(self, data: bytes, max_values: int) -> None:
        self.data, self.max_values = data, max_values
        self.comment: list[str] = []
        self.has_decimal_comma = False

    def __iter__(self) -> Iterator[Row]:
        separator, is_first = None, True
        for number, line in enumerate(lines_of(io.BytesIO(self.data)), start=1):
            text = _decoded(line)
            if not text.strip():
                continue
            if text.lstrip().startswith("#"):
                if is_first:
                    self.comment = _cells(COMMENT.sub("", text).strip(), _separator(text))
                continue
            if is_first:
                separator, is_first = _separator(text), False
                self.has_decimal_comma = separator == ";"
                if separator and self.data.count(separator.encode()) + self.data.count(b"\n") > self.max_values:
                    raise BadValue(f"more than {self.max_values} numbers")
            try:
                yield number, _cells(text.rstrip("\r\n"), separator)
            except csv.Error as error:
                raise BadValue(f"line {number}: {error}") from None


class _Column:
    """The numbers of one column, and whether it holds numbers, moments or words."""

    def __init__(self, place: int) -> None:
        self.place, self.kind, self.parts = place, "", list[np.ndarray]()

    def add(self, numbers: Sequence[int], cells: Sequence[str], has_decimal_comma: bool) -> None:
        """Read the next cells; `numbers` are the lines they stand in."""
        if has_decimal_comma:
            cells = [cell.replace(",", ".") for cell in cells]
        if self.kind in ("", "numbers"):
            try:
                part = np.array(cells, dtype=np.float64)
                if not any("_" in cell for cell in cells):
                    self.kind = "numbers"
                    self.parts.append(self._finite(part, numbers, cells))
                    return
            except ValueError:
                pass
        self.parts.append(np.array([self._read(number, cell) for number, cell in zip(numbers, cells, strict=True)]))

    def values(self) -> np.ndarray:
        """(T,) float64."""
        return np.concatenate(self.parts)

    def _read(self, number: int, cell: str) -> float:
        if cell.strip().lower() in MISSING:
            return np.nan
        if _is_number(cell):
            if self.kind not in ("", "numbers"):
                raise BadValue(f"line {number}: {cell.strip()!r} in cell {self.place + 1} among {self.kind}")
            self.kind = "numbers"
            return float(self._finite(np.array([float(cell)]), [number], [cell])[0])
        moment = _moment(cell) if self.kind in ("", "moments") else None
        if moment is not None:
            self.kind = "moments"
            return moment
        if self.kind in ("numbers", "moments") or BEGINS_AS_NUMBER.match(cell):
            raise BadValue(f"line {number}: {cell.strip()[:40]!r} in cell {self.place + 1} is not a number")
        self.kind = "words"
        return np.nan

    def _finite(self, part: np.ndarray, numbers: Sequence[int], cells: Sequence[str]) -> np.ndarray:
        infinite = np.flatnonzero(np.isinf(part))
        if len(infinite):
            raise BadValue(f"line {numbers[infinite[0]]}: {cells[int(infinite[0])].strip()!r} in cell {self.place + 1} is not finite")
        return part


def _plain(data: bytes) -> bytes:
    """The file in UTF-8 with line feeds, whatever it was written with; a file that is no text is refused."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.decode("utf-16", errors="replace").encode()
    if b"\x00" in data:
        raise BadValue("neither text nor a known kind of file (npy, npz, Arrow, Parquet)")
    return data.removeprefix(b"\xef\xbb\xbf") if b"\n" in data else data.replace(b"\r", b"\n")


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _separator(line: str) -> str | None:
    """Tab, semicolon or comma, whichever is there first in this order; `None` for blanks."""
    return next((mark for mark in "\t;," if mark in line), None)


def _cells(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return line.split()
    return next(csv.reader([line], delimiter=separator)) if '"' in line else line.split(separator)


def _fitting(row: Row, width: int) -> list[str]:
    number, cells = row
    if len(cells) == width + 1 and not cells[-1].strip():
        return cells[:-1]  # a separator at the end of each line
    if len(cells) != width:
        raise BadValue(f"line {number}: {len(cells)} cells where {width} are expected")
    return cells


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell and cell.strip().lower() != "nan"


def _moment(cell: str) -> float | None:
    """Seconds since 1970 of a date or a moment in ISO 8601; without a zone it is taken as UTC."""
    try:
        moment = datetime.fromisoformat(cell.strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _counts_rows(column: _Column, header: Sequence[str] | None) -> bool:
    """Whether a column without a name just counts 0, 1, 2, …, as tables are often saved."""
    if header is None or header[column.place].strip():
        return False
    values = column.values()
    return bool((values == np.arange(len(values)) + values[0]).all()) and values[0] in (0, 1)


def _names(header: Sequence[str] | None, kept: Sequence[_Column]) -> tuple[str, ...]:
    if header is None:
        return ()
    words = [COMMENT.sub("", header[column.place]).strip() for column in kept]
    return tuple(word or f"column_{column.place + 1}" for word, column in zip(words, kept, strict=True))


def _chain(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rows
