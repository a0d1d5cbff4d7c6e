"""Canonical rows on disk until their order and their splits are known."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.config import Split, SplitConfig
from omnifuse.data.dataset import GROUP, ID, ORIGIN, SPLIT, arrow_types
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import MODALITIES, DatetimeConfig
from omnifuse.data.modalities.processor import is_absent
from omnifuse.data.scan import row_ids
from omnifuse.data.table import READ_FROM

BATCH_ROWS = 4096
STRATUM, TIME = "__stratum__", "__time__"


class Staging:
    """Writes canonical rows as they are read.

    Args:
        path: the file.
        schema: the columns.
        split: which columns divide the rows.
    """

    def __init__(self, path: Path, schema: Schema, split: SplitConfig) -> None:
        """Open the file."""
        self.path, self.schema, self.split = path, schema, split
        self.columns = list(schema.stored)
        self._pattern = re.compile(split.pattern) if split.pattern else None
        words = [(name, pa.string()) for name in (ID, GROUP, SPLIT, STRATUM, ORIGIN)]
        self._arrow = pa.schema([*words, (TIME, pa.float64()), *arrow_types(schema).items()])
        self._times = ""  # what the column of time holds
        self._writer: pa.ipc.RecordBatchFileWriter | None = None

    def add(self, columns: dict[Any, list[Any]], split: Split | None) -> None:
        """Write some rows of a source."""
        if self._writer is None:
            self._writer = pa.ipc.new_file(pa.OSFile(str(self.path), "wb"), self._arrow)
        values = {name: columns[name] for name in self.columns}
        ids = row_ids(values, self.schema.used)  # a column kept beside a row does not move it to another split
        if not ids:
            return
        marks = {
            ID: ids,
            GROUP: self._mark(columns, self.split.by or self.split.column, len(ids), self._group),
            SPLIT: [split] * len(ids),
            STRATUM: self._mark(columns, self.split.stratify, len(ids), _word),
            TIME: self._mark(columns, self.split.time, len(ids), self._moment),
            ORIGIN: columns[READ_FROM],
        }
        batch = marks | values
        arrays = [pa.array(batch[field.name], type=field.type) for field in self._arrow]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._arrow))

    def sorted(self) -> SortedRows:
        """Finish writing; the rows in the order of their ids, equal ones by all that splits look at."""
        assert self._writer is not None, "rows were checked to be there"
        self._writer.close()
        table = pa.ipc.open_file(pa.memory_map(str(self.path))).read_all()
        marks = table.select([ID, GROUP, SPLIT, STRATUM, TIME, ORIGIN])
        order = pc.sort_indices(marks, sort_keys=[(name, "ascending") for name in marks.column_names if name != ORIGIN])
        marks = marks.take(order).combine_chunks()
        column = {name: marks.column(name).combine_chunks() for name in marks.column_names}
        return SortedRows(
            table,
            self.columns,
            order.to_numpy(),
            column[ID],
            column[GROUP],
            column[SPLIT],
            column[ORIGIN],
            column[STRATUM] if self.split.stratify else None,
            column[TIME].to_numpy(zero_copy_only=False) if self.split.time else None,
        )

    def _mark(self, columns: dict[Any, list[Any]], name: str | None, rows: int, read: Callable[[Any], Any]) -> list[Any]:
        """What splits look at: the canonical values of a column of the schema, or the words of another column."""
        if not name:
            return [None] * rows
        canonical = name in self.schema and self.schema[name].role != "ignore" and not self.split.pattern
        return [None if is_absent(value) else read(value) for value in columns[name if canonical else ("split", name)]]

    def _moment(self, value: Any) -> float | None:
        """A number as it is, anything else as microseconds since 1970; a column holds one of the two."""
        kind = "numbers"
        try:
            moment = float(value)
        except (TypeError, ValueError):
            kind = "dates"
            try:
                moment = MODALITIES.build(DatetimeConfig()).canonical(value)
            except BadValue as error:
                raise OmnifuseError(f"data.split.time: {error}") from None
        if moment is None:
            return None
        if not math.isfinite(moment):
            raise OmnifuseError(f"data.split.time: {value} is no moment")
        self._times = self._times or kind
        if self._times != kind:
            mixed = f"{self.split.time} holds {self._times}, and {value!r}, which is one of the {kind}"
            raise OmnifuseError(f"data.split.time: {mixed}; mend it, or leave it empty")
        return moment

    def _group(self, value: Any) -> str | None:
        """What keeps rows together; without a value, or where the pattern finds nothing, a row stays alone."""
        word = _word(value)
        if word is None or self._pattern is None:
            return word
        found = self._pattern.search(word)
        return found and (found.group(1) if self._pattern.groups else found.group())


@dataclass(frozen=True)
class SortedRows:
    """Rows in the order of their ids.

    Memory: id, group, split, origin and place of every row; values stay on disk.
    """

    table: pa.Table
    columns: list[str]
    order: np.ndarray
    ids: pa.Array
    groups: pa.Array
    splits: pa.Array
    origins: pa.Array
    strata: pa.Array | None = None
    times: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.order)

    def keep(self, kept: np.ndarray) -> SortedRows:
        """The rows where `kept` (N,) is true."""
        mask = pa.array(kept)
        return replace(
            self,
            order=self.order[kept],
            ids=self.ids.filter(mask),
            groups=self.groups.filter(mask),
            splits=self.splits.filter(mask),
            origins=self.origins.filter(mask),
            strata=None if self.strata is None else self.strata.filter(mask),
            times=None if self.times is None else self.times[kept],
        )

    def values(self, name: str) -> pa.ChunkedArray:
        """A column in the order of the rows, in memory."""
        return self.table.column(name).take(pa.array(self.order))

    def batches(self, columns: Sequence[str] | None = None, size: int = BATCH_ROWS) -> Iterator[dict[str, pa.Array]]:
        """The rows, a few at a time: their marks and these columns (all by default)."""
        names = list(self.columns if columns is None else columns)
        for start in range(0, len(self), size):
            places = self.order[start : start + size]
            part = self.table.select(names).take(pa.array(places))
            marks = {ID: self.ids, SPLIT: self.splits, GROUP: self.groups, ORIGIN: self.origins}
            yield {name: mark.slice(start, len(places)) for name, mark in marks.items()} | {
                n: part.column(n).combine_chunks() for n in names
            }


def _word(value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 7 and 7.0 are one patient
    return str(value).strip() or None
