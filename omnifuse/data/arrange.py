"""Rows that were read → rows of a dataset: duplicates found, splits assigned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from omnifuse.data.config import SPLITS, DataConfig, Split
from omnifuse.data.split import assign_splits, check_splits, read_splits
from omnifuse.data.staging import SortedRows


def arrange(rows: SortedRows, config: DataConfig, seed: int, given: set[Any]) -> tuple[SortedRows, dict[str, Any]]:
    """Number or drop duplicates, divide the rows, and tell what was found.

    Args:
        rows: sorted by id.
        config: its `clean` and `split` count.
        seed: of the splits.
        given: splits that sources stand for; `None` for a source that is to be divided.

    Returns:
        The rows, each with its own id, its group and its split, and a part of the manifest.
    """
    first = _first_of_equals(rows.ids)
    repeated = len(rows) - int(first.sum())
    report: dict[str, Any] = {"duplicates": {"exact": repeated, "dropped": 0}}
    if config.clean.duplicates == "drop" and repeated:
        rows, report["duplicates"]["dropped"] = rows.keep(first), repeated
        first = np.ones(len(rows), dtype=bool)
    by_column = rows.groups if config.split.column else None
    groups = rows.ids if by_column is not None else pc.if_else(pc.is_null(rows.groups), rows.ids, rows.groups)
    rows = replace(rows, ids=_numbered(rows.ids, first), groups=groups)
    rows = replace(rows, splits=_divide(rows, by_column, config, seed, given))
    sizes: dict[Split, int] = {split: pc.sum(pc.equal(rows.splits, split)).as_py() or 0 for split in SPLITS}
    check_splits(sizes, config.split)
    return rows, report | {"splits": sizes}


def _first_of_equals(ids: pa.Array) -> np.ndarray:
    """(N,) bool: rows that differ from the one before, among rows sorted by id."""
    first = np.ones(len(ids), dtype=bool)
    if len(ids) > 1:
        first[1:] = pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1)).to_numpy(zero_copy_only=False)
    return first


def _numbered(ids: pa.Array, first: np.ndarray) -> pa.Array:
    """Different ids for equal rows: the second is called `…-1`."""
    if first.all():
        return ids
    starts = np.maximum.accumulate(np.where(first, np.arange(len(ids)), 0))
    count = np.arange(len(ids)) - starts
    words = ids.to_pylist()
    for place in np.flatnonzero(count):
        words[place] = f"{words[place]}-{count[place]}"
    return pa.array(words, type=ids.type)


def _divide(rows: SortedRows, by_column: pa.Array | None, config: DataConfig, seed: int, given: set[Any]) -> pa.Array:
    """The split of every row: said by its source or a column, or drawn."""
    said = rows.splits.to_pylist()
    if by_column is not None:
        assert config.split.column
        said = read_splits(by_column.to_pylist(), config.split.column)
        given = given | set(said)
    shares: dict[Split, float] = {}
    if "test" not in given:
        shares["test"] = config.split.test
    if "validation" not in given:
        shares["validation"] = config.split.validation
    free = [place for place, split in enumerate(said) if split in (None, "train")]
    drawn = assign_splits(rows.groups.take(pa.array(free, type=pa.int64())).to_pylist(), shares, seed)
    for place, split in zip(free, drawn, strict=True):
        said[place] = split
    return pa.array(said, type=pa.string())
