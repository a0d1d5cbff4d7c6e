"""Lines of numbers, of which no more is read than needed; and rows whose header says how many there are (ascii `.pcd`, `.ply`)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import count, islice

import numpy as np

from omnifuse.data.fetch import BadValue

CHUNK_CELLS = 1 << 17
MAX_LINE = 1 << 20
MAX_CELL = 100


def lines_of(stream: io.BytesIO) -> Iterator[bytes]:
    """Line by line; one of more than a megabyte is refused before it is read."""
    for number in count(1):
        line = stream.readline(MAX_LINE + 1)
        if not line:
            return
        if len(line) > MAX_LINE:
            raise BadValue(f"line {number} has more than {MAX_LINE} bytes")
        yield line


def read_rows(data: bytes, start: int, rows: int, columns: int, lines_before: int) -> np.ndarray:
    """(rows, columns) float64 of lines of numbers separated by blanks.

    Args:
        data: the file.
        start: where the lines begin.
        rows, columns: how many there should be.
        lines_before: how many lines stand in front of them, so that a broken one is named rightly.

    Raises:
        BadValue: fewer lines than the header says (as far as bytes tell, before anything is allocated), or a broken line.
    """
    if rows * 2 * columns - 1 > len(data) - start:
        raise BadValue(f"damaged: the header says {rows} points, and {len(data) - start} bytes are too few for them")
    stream = io.BytesIO(data)
    stream.seek(start)
    lines = lines_of(stream)
    parts: list[np.ndarray] = []
    done = 0
    while done < rows:
        chunk = [line.split() for line in islice(lines, min(max(1, CHUNK_CELLS // columns), rows - done))]
        for place, cells in enumerate(chunk):
            if len(cells) != columns:
                raise BadValue(f"line {lines_before + done + place + 1}: {len(cells)} numbers where {columns} are expected")
            if max(map(len, cells)) > MAX_CELL:  # all would be made as long as the longest
                raise BadValue(f"line {lines_before + done + place + 1}: a word of more than {MAX_CELL} characters is not a number")
        if not chunk:
            raise BadValue(f"damaged: the header says {rows} points and {done} are there")
        parts.append(_numbers(chunk, lines_before + done))
        done += len(chunk)
    return np.concatenate(parts)


def _numbers(chunk: list[list[bytes]], lines_before: int) -> np.ndarray:
    try:
        return np.array(chunk, dtype="S").astype(np.float64)
    except ValueError:
        for place, cells in enumerate(chunk):
            for cell in cells:
                try:
                    float(cell)
                except ValueError:
                    raise BadValue(f"line {lines_before + place + 1}: {cell[:40].decode('latin-1')!r} is not a number") from None
        raise BadValue(f"a line behind {lines_before} holds what is not a number") from None
