"""Rows that were read → rows of a dataset: duplicates found, splits assigned, what deserves a look told."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.clean.config import CleanConfig
from omnifuse.data.clean.duplicates import (
    DuplicateReport,
    find_duplicates,
    find_near_duplicates,
    near_labels,
    near_values,
    number_rows,
    number_values,
    repeated,
)
from omnifuse.data.clean.labels import find_odd_labels
from omnifuse.data.clean.missing import MissingCounter
from omnifuse.data.clean.near import NearPairs
from omnifuse.data.config import SPLITS, DataConfig, Split
from omnifuse.data.groups import group_keys, merge_groups
from omnifuse.data.leak import SAMPLE, SplitLeak, check_splits_leak, leaks_among
from omnifuse.data.modalities.config import column_config
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.data.split import check_splits, divide_rows, read_splits, split_by_time
from omnifuse.data.staging import SortedRows
from omnifuse.data.store import MediaReader, reader_of

MANY_TEXTS, LETTERS = 100_000, 4_000  # where near duplicates are only told: so many rows, and so much of each text
MANY_STRATA = 20
REPEATING = 0.5  # texts with fewer different ones than this share are phrases that repeat, such as questions
SHORT = 40  # letters; shorter texts, such as titles, are near one another without meaning the same


@dataclass(frozen=True)
class Values:
    """Which rows hold the same value of a column: (N,) number of the value, −1 where absent, and which values are near."""

    codes: np.ndarray
    near: NearPairs | None


def arrange(
    rows: SortedRows, schema: Schema, config: DataConfig, seed: int, given: set[Any], store: Path
) -> tuple[SortedRows, dict[str, Any]]:
    """Number or drop duplicates, divide the rows, and tell what was found.

    Args:
        rows: sorted by id.
        schema: the columns.
        config: its `clean` and `split` count.
        seed: of the splits.
        given: splits that sources stand for; `None` for a source that is to be divided.
        store: where media and their fingerprints are.

    Returns:
        The rows, each with its own id, its group and its split, and a part of the manifest.
    """
    dropped = {"duplicates": 0, "near_duplicates": 0}
    first = _first_of_equals(rows.ids)
    if config.clean.duplicates == "drop" and not first.all():
        dropped["duplicates"] = int((~first).sum())
        rows = rows.keep(first)
    values = _compare(rows, schema, config.clean, store)
    if config.clean.near_duplicates == "drop":
        kept = ~_near_repeats(rows, schema, values)
        dropped["near_duplicates"] = int((~kept).sum())
        rows, values = rows.keep(kept), {name: Values(v.codes[kept], v.near) for name, v in values.items()}
    first = _first_of_equals(rows.ids)
    same = np.cumsum(first) - 1
    by_column = rows.groups if config.split.column else None
    named = None if by_column is not None else rows.groups
    groups = rows.ids if named is None else pc.if_else(pc.is_null(named), rows.ids, named)
    rows = replace(rows, ids=_numbered(rows.ids, first), groups=groups)
    codes = _divide(rows, by_column, values, config, seed, given)
    timeless = {} if rows.times is None else {"rows without a time": int(np.isnan(rows.times).sum())}
    rows = replace(rows, splits=pa.array(np.array(SPLITS, dtype=object)[codes], type=pa.string()))
    sizes: dict[Split, int] = {split: int((codes == place).sum()) for place, split in enumerate(SPLITS)}
    check_splits(sizes, config.split)
    told = _tell(rows, codes, same, named, values, schema, config)
    return rows, {"splits": sizes, "dropped": dropped, **timeless, **told}


def _compare(rows: SortedRows, schema: Schema, config: CleanConfig, store: Path) -> dict[str, Values]:
    """The values of media and texts: which are equal, which are near."""
    media, result = MediaReader(store), {}
    for name in schema.used:
        modality, is_media = schema[name].modality, processor_class(schema[name].modality).is_media
        if not is_media and (modality != "text" or config.near_duplicates == "off"):
            continue
        only_told = not is_media and config.near_duplicates == "report"
        codes, different = _numbered_beginnings(rows, name) if only_told else _numbered_values(rows, name)
        near = None
        if config.near_duplicates != "off" and (is_media or _says_much(different, int((codes >= 0).sum()))):
            words = different.to_pylist()
            compared = [fact.fingerprint for fact in media.facts(reader_of(column_config(schema[name])), words)] if is_media else words
            near = near_values(modality, compared, config)
            if near is not None and only_told and len(rows) > MANY_TEXTS:
                near = replace(near, left_out=near.left_out + len(rows) - MANY_TEXTS)
        if is_media or near is not None:
            result[name] = Values(codes, near)
    return result


def _near_repeats(rows: SortedRows, schema: Schema, values: Mapping[str, Values]) -> np.ndarray:
    """(N,) bool: rows that nearly repeat an earlier one in what was compared, and are equal to it in all other columns."""
    columns = []
    for name in schema.used:
        near = values[name].near if name in values else None
        codes = values[name].codes if name in values else _numbered_values(rows, name)[0]
        columns.append(codes if near is None else near_labels(codes, near))
    return repeated(number_rows(*columns))


def _numbered_values(rows: SortedRows, name: str) -> tuple[np.ndarray, pa.Array]:
    """(N,) number of the value of each row, −1 where absent, and the different values."""
    column = rows.values(name).combine_chunks()
    if pa.types.is_list(column.type):
        codes, different = number_values(None if value is None else tuple(value) for value in column.to_pylist())
        return codes, pa.array(different, type=column.type)
    encoded = column.dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary


def _numbered_beginnings(rows: SortedRows, name: str) -> tuple[np.ndarray, pa.Array]:
    """The same for the beginnings of the texts in the first rows, which ids put in random order; −1 for the other rows."""
    parts: list[pa.Array] = []
    for part in rows.batches([name]):
        parts.append(pc.utf8_slice_codeunits(part[name], 0, LETTERS))
        if sum(map(len, parts)) >= MANY_TEXTS:
            break
    encoded = pa.concat_arrays(parts).slice(0, MANY_TEXTS).dictionary_encode()
    codes = np.full(len(rows), -1, dtype=np.int64)
    codes[: len(encoded)] = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes, encoded.dictionary


def _says_much(texts: pa.Array, rows: int) -> bool:
    """Whether nearly equal texts mean something: they are long enough, and not phrases that repeat, such as questions."""
    if len(texts) < REPEATING * max(1, rows):
        return False
    return float(np.median(pc.utf8_length(texts.slice(0, 10_000)).to_numpy(zero_copy_only=False))) >= SHORT


def _divide(
    rows: SortedRows, by_column: pa.Array | None, values: Mapping[str, Values], config: DataConfig, seed: int, given: set[Any]
) -> np.ndarray:
    """(N,) places in `SPLITS`: said by the source or a column, or drawn."""
    if by_column is not None:
        assert config.split.column
        said = np.array([SPLITS.index(split) for split in read_splits(by_column.to_pylist(), config.split.column)])
        given = {SPLITS[code] for code in np.unique(said)}
    else:
        said = np.array([SPLITS.index(split or "train") for split in rows.splits.to_pylist()])
    shares: dict[Split, float] = {}
    if "test" not in given:
        shares["test"] = config.split.test
    if "validation" not in given:
        shares["validation"] = config.split.validation
    free = said == SPLITS.index("train")
    groups = group_keys(rows.groups)
    if config.clean.near_duplicates == "together":
        groups = merge_groups(groups, *(near_labels(v.codes, v.near) for v in values.values() if v.near is not None))
    if rows.times is not None:
        said[free] = split_by_time(rows.times[free], shares).codes
    else:
        strata = None if rows.strata is None else rows.strata.filter(pa.array(free))
        if strata is not None and (different := len(strata.unique())) > max(MANY_STRATA, len(strata) // 10):
            raise OmnifuseError(
                f"data.split.stratify: {config.split.stratify} has {different} different values in {len(strata)} rows;"
                " name a column of a few labels"
            )
        said[free] = divide_rows(groups[free], shares, seed, strata)
    return said.astype(np.int8)


def _tell(
    rows: SortedRows,
    codes: np.ndarray,
    same: np.ndarray,
    named: pa.Array | None,
    values: Mapping[str, Values],
    schema: Schema,
    config: DataConfig,
) -> dict[str, Any]:
    """Duplicates, odd labels, absence by pairs, leaks."""
    ids: Any = rows.ids.to_pylist()
    duplicates = [find_duplicates(ids, same, codes)]
    for name, value in values.items():
        if processor_class(schema[name].modality).is_media:
            duplicates.append(find_duplicates(ids, value.codes, codes, column=name))
        if value.near is not None:
            duplicates.append(find_near_duplicates(ids, value.codes, codes, value.near, column=name))
    labels = {}
    for name in schema.stored:
        if schema[name].modality == "category":
            counted = rows.values(name).drop_null().value_counts().to_pylist()
            counts = {pair["values"]: pair["counts"] for pair in counted}
            labels[name] = find_odd_labels(counts, config.clean.rare_labels, column=name).dump()
    missing = MissingCounter(list(schema.stored))
    for part in rows.batches():
        missing.add(np.stack([part[name].is_null().to_numpy(zero_copy_only=False) for name in missing.columns], axis=1))
    sample = next(rows.batches(size=SAMPLE))
    known = {name: sample[name].to_pylist() for name in schema.used}
    leaks: list[dict[str, Any]] = [asdict(leak) | {"says": str(leak)} for leak in leaks_among(known, schema)]
    groups = None
    if named is not None and config.split.by:
        groups = (config.split.by, named.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False))
    files = {name: value.codes for name, value in values.items() if processor_class(schema[name].modality).is_media}
    times = None if rows.times is None else (str(config.split.time), rows.times)
    across = check_splits_leak(ids, codes, groups=groups, rows=same, values=files, times=times)
    _name_origins([*duplicates, *across], rows)
    leaks += [leak.dump() for leak in across]
    return {
        "duplicates": [report.dump() for report in duplicates if report.groups or report.left_out],
        "labels": labels,
        "missing": missing.report().dump(),
        "leaks": leaks,
    }


def _name_origins(found: Sequence[DuplicateReport | SplitLeak], rows: SortedRows) -> None:
    """Say beside the id of each row that is named where it was read."""
    examples = [example for each in found for example in each.examples]
    named = pa.array(sorted({row for example in examples for row in example["rows"]}), type=rows.ids.type)
    places = pc.index_in(named, rows.ids)
    origins = dict(zip(named.to_pylist(), rows.origins.take(places).to_pylist(), strict=True))
    for example in examples:
        example["from"] = [origins[row] for row in example["rows"]]


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
