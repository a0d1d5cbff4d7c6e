"""Rows of which one column is damaged, value by value, when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from omnifuse.core.seeds import seed_of
from omnifuse.data.dataset import GROUP, ID, Dataset
from omnifuse.data.loader import RawRows
from omnifuse.data.runner import cores
from omnifuse.evaluation.robustness.corruptions import Corruption, Known, corrupt

MARK = "#"  # behind the key of a damaged file; keys are hexadecimal


class FirstRows:
    """The first rows of a dataset or of rows in memory, with their ids (in memory: their places) and the groups they were split by."""

    def __init__(self, rows: RawRows, count: int) -> None:
        """Args: rows: all of them; count: how many at most."""
        self._rows, self._count = rows, min(count, len(rows))
        everything = range(self._count)
        self.ids: list[str] = [str(place) for place in everything]
        self.groups: list[str | None] = [None] * self._count
        if isinstance(rows, Dataset):
            marks = rows.take(everything, [ID, GROUP])
            self.ids, self.groups = marks[ID], marks[GROUP]

    def __len__(self) -> int:
        return self._count

    def take(self, index: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
        """Canonical values of the rows at `index`, by column."""
        return self._rows.take(index, columns)

    def media(self, keys: Sequence[str]) -> list[bytes]:
        """Files by key."""
        return self._rows.media(keys)


class Corrupted:
    """Rows with one damaged column; it may stand wherever rows are read, such as in `pipeline.loader`.

    What is drawn for a row depends on the seed, the column, the damage and the id of the row (in memory: its place), not on the level,
    nor on the model. A damage that draws nothing gives equal values of equal ones.

    Args:
        rows: which are damaged.
        column: of them.
        corruption: how.
        level: how strong.
        known: of the column.
        seed: of what is drawn.
    """

    def __init__(self, rows: FirstRows, column: str, corruption: Corruption, level: float, known: Known, seed: int = 0) -> None:
        """Nothing is damaged yet."""
        corruption.check(level)
        self._rows, self.column, self.corruption, self.level = rows, column, corruption, level
        self._known, self._seed = known, seed
        self._is_media = known.processor is not None and known.processor.is_media

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, index: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
        """Values of the rows at `index`, by column; of a damaged file the key with a mark."""
        taken = self._rows.take(index, columns)
        if self.column in taken:
            places = [int(place) for place in index]
            damage = self._marked if self._is_media else self._damaged
            taken[self.column] = [
                None if raw is None else damage(raw, place) for raw, place in zip(taken[self.column], places, strict=True)
            ]
        return taken

    def media(self, keys: Sequence[str]) -> list[bytes]:
        """Files by key, those with a mark damaged."""
        parts = [key.partition(MARK) for key in keys]
        files = self._rows.media([key for key, _, _ in parts])
        if len(files) < 2:
            return [self._file(data, *part[1:]) for data, part in zip(files, parts, strict=True)]
        with ThreadPoolExecutor(min(8, cores()), thread_name_prefix="damage") as pool:  # decoders release the interpreter lock
            return list(pool.map(lambda data, part: self._file(data, *part[1:]), files, parts))

    def _file(self, data: bytes, mark: str, place: str) -> bytes:
        return self._damaged(data, int(place) if place else None) if mark else data

    def _marked(self, key: str, place: int) -> str:
        return f"{key}{MARK}{place if self.corruption.draws else ''}"

    def _damaged(self, raw: Any, place: int | None) -> Any:
        row = "" if place is None else self._rows.ids[place]
        seed = seed_of(self._seed, self.column, row)
        return corrupt(raw, self._known.modality, self.corruption.name, self.level, seed=seed, known=self._known)
