"""Some rows of many, drawn so that no two of them belong together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from omnifuse.core.seeds import seed_of
from omnifuse.data.dataset import GROUP, Dataset
from omnifuse.data.loader import RawRows
from omnifuse.data.memory import MemoryRows
from omnifuse.data.modalities.config import MODALITIES, column_config
from omnifuse.data.sources import source_base
from omnifuse.data.table import count_rows, iterate_rows, read_table
from omnifuse.pipeline.pipeline import Pipeline

SPARE = 4  # times as many rows are looked at, where some of a group may be left out


class DrawnRows:
    """Some rows of others."""

    def __init__(self, rows: RawRows, index: np.ndarray) -> None:
        """Args: rows: all of them; index: (N,) which."""
        self._rows, self._index = rows, index
        store = getattr(rows, "store", None)
        if store is not None:
            self.store: Path = store  # where features of frozen encoders are kept

    def __len__(self) -> int:
        return len(self._index)

    def take(self, index: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
        """Canonical values of the rows at `index`, by column."""
        return self._rows.take(self._index[np.asarray(index, dtype=np.int64)], columns)

    def media(self, keys: Sequence[str]) -> list[bytes]:
        """Files by key."""
        return self._rows.media(keys)


class TableRows:
    """Rows of a table, each read by itself, so that a bad value is told with its own number."""

    def __init__(self, rows: Sequence[MemoryRows]) -> None:
        """Args: rows: one in each."""
        self._rows = list(rows)
        self._home: dict[str, MemoryRows] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, index: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
        """Canonical values of the rows at `index`, by column."""
        parts = [(self._rows[i], self._rows[i].take([0], columns)) for i in index]
        for row, values in parts:
            self._home.update((value[0], row) for value in values.values() if isinstance(value[0], str))
        names = list(parts[0][1]) if parts else list(columns or ())
        return {name: [values[name][0] for _, values in parts] for name in names}

    def media(self, keys: Sequence[str]) -> list[bytes]:
        """Files by key, of rows that were taken."""
        return [self._home[key].media([key])[0] for key in keys]


def draw_rows(data: RawRows, most: int, seed: int) -> DrawnRows:
    """At most so many rows in random order; of a dataset one of each group, such as one of each patient."""
    order = np.random.default_rng(seed_of(seed, "drift rows")).permutation(len(data))[: SPARE * most]
    if isinstance(data, Dataset) and len(order):
        groups = data.take(order, [GROUP])[GROUP]
        first = dict(zip(reversed(groups), reversed(order.tolist()), strict=True))
        order = np.array([first[group] for group in dict.fromkeys(groups)], dtype=np.int64)
    return DrawnRows(data, order[:most])


def draw_table(pipeline: Pipeline, data: Any, most: int, seed: int, root: str | Path | None = None) -> TableRows:
    """At most so many rows of a table, with all columns of the pipeline that it has.

    Raises:
        OmnifuseError: no such table, or a value that cannot be read, with its row.
    """
    table, schema = read_table(data), pipeline.schema
    total = count_rows(table)
    chosen = set(np.random.default_rng(seed_of(seed, "drift table")).permutation(total)[:most].tolist())
    names = [name for name in schema.stored if name in schema.inputs or schema[name].source in table.column_names]
    processors = {name: pipeline.processors.get(name) or MODALITIES.build(column_config(schema[name])) for name in names}
    base = Path(root) if root else source_base(data, Path.cwd()) if isinstance(data, str | Path) else Path.cwd()
    wanted = [name for name in dict.fromkeys(schema[name].source for name in names) if name in table.column_names]
    options: dict[str, Any] = {"sources": schema.sources, "root": base, "max_bytes": int(pipeline.max_file_mb * 1e6)}
    return TableRows(
        [
            MemoryRows([row], processors, names, first=number, **options)
            for number, row in enumerate(iterate_rows(table, wanted), start=1)
            if number - 1 in chosen
        ]
    )
