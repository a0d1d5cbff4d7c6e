"""Rows to be labelled, a few at a time: those of a prepared dataset, or of a table that was never prepared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError, nearest
from omnifuse.core.schema import Schema
from omnifuse.data.annotate.cells import table_cell
from omnifuse.data.dataset import Dataset
from omnifuse.data.loader import RawRows
from omnifuse.data.memory import MemoryRows
from omnifuse.data.modalities.config import MODALITIES, column_config
from omnifuse.data.modalities.fitting import Processors, processor_class
from omnifuse.data.scan import row_ids
from omnifuse.data.table import Table, iterate_rows

CHUNK = 1024


class Subset:
    """Some rows of a dataset, read like a dataset of their own: for folds, and for rows that are chosen."""

    def __init__(self, rows: Dataset, index: Sequence[int] | np.ndarray) -> None:
        """Args: rows: of a dataset or a split of it; index: places among them."""
        self.rows, self.index = rows, np.asarray(index, dtype=np.int64)
        self.schema, self.manifest, self.store = rows.schema, rows.manifest, rows.store

    def __len__(self) -> int:
        return len(self.index)

    def take(self, index: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
        """Canonical values of the rows at `index` of this subset, by column."""
        return self.rows.take(self.index[np.asarray(index, dtype=np.int64)], columns)

    def media(self, keys: Sequence[str]) -> list[bytes]:
        """Files by key."""
        return self.rows.media(keys)

    def present(self, name: str) -> Iterator[Any]:
        """Values of a column that are there, in order; files for media columns."""
        is_media = processor_class(self.schema[name].modality).is_media
        for start in range(0, len(self), CHUNK):
            there = [value for value in self._values(name, start) if value is not None]
            if not is_media:
                yield from there
                continue
            for at in range(0, len(there), 64):
                yield from self.media(there[at : at + 64])

    def absent(self, name: str) -> int:
        """How many rows have no value in the column."""
        return sum(value is None for start in range(0, len(self), CHUNK) for value in self._values(name, start))

    def _values(self, name: str, start: int) -> list[Any]:
        return self.take(range(start, min(start + CHUNK, len(self))), [name])[name]


@dataclass(frozen=True)
class Chunk:
    """A few rows.

    Attributes:
        ids: of the rows.
        rows: their canonical values, and files by key.
        cells: what a table of the rows shows: words and numbers by column; no bytes.
    """

    ids: list[str]
    rows: RawRows
    cells: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.ids)

    def pick(self, places: Sequence[int]) -> Chunk:
        """Some of the rows."""
        return Chunk([self.ids[i] for i in places], _Picked(self.rows, places), [self.cells[i] for i in places])


class _Picked:
    """Some of the rows of a chunk."""

    def __init__(self, rows: RawRows, places: Sequence[int]) -> None:
        self.rows, self.places = rows, list(places)

    def __len__(self) -> int:
        return len(self.places)

    def take(self, index: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
        return self.rows.take([self.places[i] for i in index], columns)

    def media(self, keys: Sequence[str]) -> list[bytes]:
        return self.rows.media(keys)


def dataset_chunks(dataset: Dataset, index: Sequence[int] | np.ndarray | None = None) -> Iterator[Chunk]:
    """Rows of a prepared dataset, with the ids it gave them."""
    ids = dataset.ids()
    places = np.arange(len(dataset)) if index is None else np.asarray(index, dtype=np.int64)
    modalities = {name: dataset.schema[name].modality for name in dataset.schema.used}
    for start in range(0, len(places), CHUNK):
        subset = Subset(dataset, places[start : start + CHUNK])
        values = subset.take(range(len(subset)), list(modalities))
        cells = [{name: table_cell(values[name][i], modality) for name, modality in modalities.items()} for i in range(len(subset))]
        yield Chunk([ids[place] for place in subset.index], subset, cells)


def table_chunks(
    table: Table, schema: Schema, root: Path, processors: Processors | None = None, bad: list[str] | None = None
) -> Iterator[Chunk]:
    """Rows of a table that was never prepared; equal rows come once.

    The id of a row is a hash of the values the model would read, so it does not depend on the order of the table.

    Args:
        table: the rows.
        schema: which columns are read.
        root: folder of relative media paths.
        processors: of a trained model; columns that are not among them get unfitted ones, which is enough to show rows.
        bad: rows with a value that cannot be read are left out, and what is wrong with them is added here.

    Raises:
        OmnifuseError: none of the columns is there, or a value cannot be read and `bad` is not given.
    """
    known = [name for name in schema.inputs if schema[name].source in table.column_names]
    if not known:
        wanted = schema[schema.inputs[0]].source
        raise OmnifuseError(f'the table has none of the columns that are shown, such as "{wanted}"; {nearest(wanted, table.column_names)}')
    missing = [name for name in schema.inputs if name not in (processors or {})]
    processors = {**(processors or {}), **{name: MODALITIES.build(column_config(schema[name])) for name in missing}}
    seen: set[str] = set()
    each = iterate_rows(table)
    first = 1
    while part := list(islice(each, CHUNK)):
        raws = [{name: row.get(schema[name].source) for name in known} for row in part]
        try:
            parts = [(part, MemoryRows(raws, processors, schema.inputs, root=root, first=first))]
        except OmnifuseError:
            if bad is None:
                raise
            parts = list(_readable(part, raws, processors, schema, root, first, bad))
        for rows, memory in parts:
            ids = row_ids(memory.take(range(len(rows)), schema.inputs), schema.inputs)
            new = [place for place, row in enumerate(ids) if not (row in seen or seen.add(row))]
            cells = [{name: value for name, value in row.items() if not isinstance(value, bytes | dict)} for row in rows]
            yield Chunk(ids, memory, cells).pick(new)
        first += len(part)


def _readable(
    part: list[dict[str, Any]],
    raws: list[dict[str, Any]],
    processors: Processors,
    schema: Schema,
    root: Path,
    first: int,
    bad: list[str],
) -> Iterator[tuple[list[dict[str, Any]], MemoryRows]]:
    """The rows of a part that can be read, one by one."""
    for place, raw in enumerate(raws):
        try:
            yield [part[place]], MemoryRows([raw], processors, schema.inputs, root=root, first=first + place)
        except OmnifuseError as error:
            bad.append(str(error))


def only(chunks: Iterable[Chunk], ids: Sequence[str] | None = None, limit: int | None = None) -> Iterator[Chunk]:
    """The rows with these ids, and no more of them than `limit`.

    Raises:
        OmnifuseError: an id that no row has.
    """
    missing = None if ids is None else set(ids)
    left = limit
    for chunk in chunks:
        places = [place for place, row in enumerate(chunk.ids) if missing is None or row in missing]
        places = places if left is None else places[:left]
        if missing is not None:
            missing -= {chunk.ids[place] for place in places}
        if left is not None:
            left -= len(places)
        if places:
            yield chunk.pick(places)
        if left == 0 or missing == set():
            return
    if missing:
        raise OmnifuseError(
            f"{len(missing)} of {len(ids or ())} ids are not in these rows, such as {min(missing)}; do they come from the same data?"
        )


def gather(chunks: Iterable[Chunk], ids: Sequence[str]) -> Chunk:
    """The rows with these ids as one chunk, in the order of the ids; they are held in memory."""
    parts = list(only(chunks, ids))
    where = {row: (part, place) for part in parts for place, row in enumerate(part.ids)}
    return Chunk(list(ids), _Gathered([where[row] for row in ids]), [where[row][0].cells[where[row][1]] for row in ids])


class _Gathered:
    """Rows of several chunks."""

    def __init__(self, places: list[tuple[Chunk, int]]) -> None:
        self.places = places
        self.owners: dict[Any, Chunk] = {}

    def __len__(self) -> int:
        return len(self.places)

    def take(self, index: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
        values: dict[str, list[Any]] = {}
        for i in index:
            chunk, place = self.places[i]
            for name, found in chunk.rows.take([place], columns).items():
                values.setdefault(name, []).append(found[0])
                self.owners[found[0]] = chunk
        return values or {name: [] for name in columns or ()}

    def media(self, keys: Sequence[str]) -> list[bytes]:
        return [self.owners[key].rows.media([key])[0] for key in keys]


def read_ids(path: Path) -> list[str]:
    """Ids of rows: the column `id` of a CSV file, or one id a line."""
    from omnifuse.data.table import read_table

    try:
        head = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OmnifuseError(f"{path}: cannot be read as a list of ids ({error})") from None
    if head and "id" in head[0].split(","):
        return list(dict.fromkeys(str(row["id"]) for row in iterate_rows(read_table(path), ["id"]) if row["id"]))
    return list(dict.fromkeys(line.strip() for line in head if line.strip()))


def cell_names(chunks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of all cells, in order."""
    return list(dict.fromkeys(name for cells in chunks for name in cells))
