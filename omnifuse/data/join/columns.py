"""Columns of a table in memory: Arrow where values are of one type, Python's objects as they are where not."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from omnifuse.core.errors import unknown
from omnifuse.data.table import READ_FROM, Table, iterate_rows

if TYPE_CHECKING:
    import pyarrow as pa

Values: TypeAlias = "pa.Array | list[Any]"
BATCH = 16_384
PLAIN = (str, bytes, bool, int, float)


def require(table: Table, columns: Sequence[str], where: str) -> None:
    """Name the first column that the table lacks."""
    for column in columns:
        if column not in table.column_names:
            raise unknown("column", column, table.column_names, where)


def batches(table: Table, columns: Sequence[str]) -> Iterator[list[Values]]:
    """The columns, a batch of rows at a time."""
    if table.arrow is not None and READ_FROM not in columns:
        for batch in table.arrow(list(columns)):
            yield [column.dictionary_decode() if hasattr(column, "dictionary") else column for column in map(batch.column, columns)]
        return
    rows = iterate_rows(table, columns)
    while some := list(islice(rows, BATCH)):
        yield [column_of(some, name, table.types) for name in columns]


def column_of(rows: Sequence[Mapping[str, Any]], name: str, types: pa.Schema | None) -> Values:
    """A column of some rows; numbers of 32 or 16 bits are such again, for as Python's they would be written 0.10000000149."""
    import pyarrow as pa

    values = [row[name] for row in rows]
    kind = types.field(name).type if types is not None and name in types.names else None
    is_short = kind is not None and (pa.types.is_float32(kind) or pa.types.is_float16(kind))
    return pa.array(values, kind) if is_short else values


def read_columns(table: Table, columns: Sequence[str]) -> tuple[dict[str, Values], int]:
    """Whole columns in memory, and the number of rows."""
    columns = list(dict.fromkeys(columns))
    kept: list[list[Values]] = [[] for _ in columns]
    rows = 0
    for batch in batches(table, columns or table.column_names[:1]):
        rows += len(batch[0])
        for parts, values in zip(kept, batch, strict=False):
            parts.append(_uniform(values) if isinstance(values, list) else values)
    return {name: _joined(parts) for name, parts in zip(columns, kept, strict=True)}, rows


def arrow(values: Values) -> pa.Array | None:
    """Values as an Arrow array, `None` when they are of too many kinds."""
    import pyarrow as pa

    if not isinstance(values, list):
        return values
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None


def take(values: Values, rows: np.ndarray) -> Values:
    """Values of some rows; absent where the row is below zero."""
    import pyarrow as pa

    if isinstance(values, list):
        return [values[row] if row >= 0 else None for row in rows.tolist()]
    return values.take(pa.array(rows, mask=rows < 0))


def listed(values: Values) -> list[Any]:
    """Values as Python's objects."""
    return values if isinstance(values, list) else values.to_pylist()


def ranks(values: Values, rows: np.ndarray) -> np.ndarray:
    """Rank of each row's value by its content, equal for equal values, whatever the order of rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    chosen = arrow(take(values, rows))
    if chosen is None or pa.types.is_nested(chosen.type) or pa.types.is_boolean(chosen.type) or pa.types.is_null(chosen.type):
        chosen = pa.array([_fingerprint(value) for value in listed(take(values, rows))], pa.large_string())
    return pc.rank(chosen, tiebreaker="dense").to_numpy(zero_copy_only=False)


def _fingerprint(value: Any) -> str:
    """A word that differs when the value does; the words of a picture would hold its place in memory."""
    if hasattr(value, "tobytes"):
        return hashlib.blake2b(value.tobytes(), digest_size=16).hexdigest() + str(getattr(value, "size", ""))
    return repr(value)


def _uniform(values: list[Any]) -> Values:
    """Arrow for words, bytes and numbers of one type; else the list, for Arrow would change 1 beside 2.5 into 1.0."""
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if len(kinds) > 1 or not kinds <= set(PLAIN):
        return values
    kind = {str: pa.large_string(), bytes: pa.large_binary()}.get(next(iter(kinds), type(None)))
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError):  # an integer beyond 64 bits, a lone surrogate
        return values


def _joined(parts: list[Values]) -> Values:
    """The parts of a column in one piece."""
    import pyarrow as pa

    arrays = [_large(part) for part in parts if not isinstance(part, list)]
    kinds = {array.type for array in arrays if not pa.types.is_null(array.type)}
    if len(arrays) < len(parts) or len(kinds) > 1:
        return [value for part in parts for value in listed(part)]
    if not kinds:
        return pa.nulls(sum(len(array) for array in arrays))
    kind = kinds.pop()
    return pa.concat_arrays([array if array.type == kind else array.cast(kind) for array in arrays])


def _large(array: pa.Array) -> pa.Array:
    """Words and bytes with 64-bit places, so that a column may hold more than 2 GB."""
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    large = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}.get(array.type)
    return array if large is None else array.cast(large)
