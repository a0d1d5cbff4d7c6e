"""Rows of numbers in text whose header says how many there are (ascii `.pcd` and `.ply`)."""

from __future__ import annotations

import io
from collections.abc import Sized
from itertools import islice

import numpy as np

from omnifuse.data.fetch import BadValue

CHUNK = 4096


def read_rows(text: bytes, rows: int, columns: int, before: Sized = (), may_go_on: bool = False) -> np.ndarray:
    """(rows, columns) float64 of lines of numbers separated by blanks.

    Args:
        text: the lines.
        rows, columns: how many there should be.
        before: as long as the number of lines in front of them, so that a broken one is named rightly.
        may_go_on: whether a line may have more cells, which are left out.

    Raises:
        BadValue: fewer lines than the header says (as far as bytes tell, before anything is allocated), or a broken line.
    """
    if rows * 2 * columns - 1 > len(text):
        raise BadValue(f"damaged: the header says {rows} points, and {len(text)} bytes are too few for them")
    lines = io.BytesIO(text)
    parts: list[np.ndarray] = []
    done = 0
    while done < rows:
        chunk = [line.split() for line in islice(lines, min(CHUNK, rows - done))]
        for place, cells in enumerate(chunk):
            if len(cells) != columns and not (may_go_on and len(cells) > columns):
                raise BadValue(f"line {len(before) + done + place + 1}: {len(cells)} numbers where {columns} are expected")
        if not chunk:
            raise BadValue(f"damaged: the header says {rows} points and {done} are there")
        try:
            parts.append(np.array([cells[:columns] for cells in chunk], dtype="S").astype(np.float64))
        except ValueError as error:
            raise BadValue(f"after line {len(before) + done}: {error}") from None
        done += len(chunk)
    return np.concatenate(parts)
