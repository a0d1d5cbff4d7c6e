"""Sensor series: bytes of many kinds of file → channels over time, with what is missing kept as missing."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omnifuse.data.decode.numpy_file import NPY, ZIP, read_npy, read_npz
from omnifuse.data.fetch import BadValue

MAX_VALUES = 20_000_000
MAX_CHANNELS = 10_000
LARGEST = 1e100  # squares of larger ones overflow


@dataclass(frozen=True)
class Series:
    """Channels over time.

    Attributes:
        values: (T, C) float64, NaN where a value is missing.
        names: of the channels; empty where the file tells none.
    """

    values: np.ndarray
    names: tuple[str, ...] = ()


def decode_series(data: bytes) -> Series:
    """Decode a series: `.npy`, `.npz`, Arrow, Parquet, or text with a separator (CSV, TSV), told by their content.

    Arrays are (T,) or (T, C). Moments become seconds since 1970. Columns of words are left out.

    Raises:
        BadValue: no such file, damaged (the line is named where there are lines), empty, or beyond the limits.
    """
    if data[: len(NPY)] == NPY:
        series = from_arrays({"": read_npy(data, MAX_VALUES)})
    elif data[: len(ZIP)] == ZIP:
        series = from_arrays(read_npz(data, MAX_VALUES))
    elif data[:4] == b"PAR1":
        from omnifuse.data.decode.arrow_file import read_parquet

        series = Series(*read_parquet(data, MAX_VALUES))
    elif data[:6] == b"ARROW1" or data[:4] == b"\xff\xff\xff\xff":
        from omnifuse.data.decode.arrow_file import read_arrow

        series = Series(*read_arrow(data, MAX_VALUES))
    else:
        from omnifuse.data.decode.text_table import read_text_table

        series = Series(*read_text_table(data, MAX_VALUES))
    return _checked(series)


def encode_series(names: Sequence[str], values: np.ndarray) -> bytes:
    """An Arrow IPC stream of float64 columns; NaN is missing. Without names the columns have empty ones."""
    import pyarrow as pa

    fields = names or [""] * values.shape[1]
    batch = pa.record_batch([pa.array(np.ascontiguousarray(column)) for column in values.T], names=list(fields))
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def series_of(value: Any) -> Series:
    """A series of an object of Python: an array or lists (T,) or (T, C), a mapping or a table from channel to its values."""
    if not isinstance(value, Mapping) and hasattr(value, "columns"):  # a data frame
        value = {str(name): value[name] for name in value.columns}
    if isinstance(value, Mapping):
        return _checked(from_arrays({str(name): _array(column) for name, column in value.items()}))
    return _checked(from_arrays({"": _array(value)}))


def from_arrays(arrays: Mapping[str, np.ndarray]) -> Series:
    """Put arrays side by side; those of more than one channel number them. An array with named fields gives their names."""
    columns: list[np.ndarray] = []
    names: list[str] = []
    for name, array in arrays.items():
        if array.dtype.names:
            inner = from_arrays({field: array[field] for field in array.dtype.names})
            columns, names = [*columns, inner.values], [*names, *inner.names]
            continue
        numbers = as_numbers(array)
        if numbers.ndim == 0 or numbers.ndim > 2 or (numbers.ndim == 2 and numbers.shape[1] > MAX_CHANNELS):
            raise BadValue(f"a series is an array (steps,) or (steps, channels), not {array.shape}")
        columns.append(numbers[:, None] if numbers.ndim == 1 else numbers)
        names += [name] if numbers.ndim == 1 else [f"{name}_{place + 1}" for place in range(numbers.shape[1])]
    if not columns or len({len(column) for column in columns}) != 1:
        raise BadValue(f"the channels have different lengths: {', '.join(f'{n} {len(a)}' for n, a in list(arrays.items())[:8])}")
    is_named = len(arrays) > 1 or "" not in arrays or bool(next(iter(arrays.values())).dtype.names)
    return Series(np.concatenate(columns, axis=1), tuple(names) if is_named else ())


def as_numbers(array: np.ndarray) -> np.ndarray:
    """Float64 of numbers, truth values and moments (seconds since 1970, NaN where there is none)."""
    if array.dtype.kind == "M":
        seconds = array.astype("datetime64[us]").astype(np.int64) / 1e6
        return np.where(np.isnat(array), np.nan, seconds)
    if array.dtype.kind not in "fiub":
        raise BadValue(f"the array holds {array.dtype}, not numbers")
    with np.errstate(over="ignore"):
        return array.astype(np.float64)


def _array(value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
        return array if array.dtype.kind in "fiubM" or array.dtype.names else np.asarray(value, dtype=np.float64)  # None is missing
    except (TypeError, ValueError, OverflowError) as error:
        reason = str(error).split(". ")[0]
        raise BadValue(f"expected a path, bytes, numbers (steps,) or (steps, channels) or channels by name ({reason})") from None


def _checked(series: Series) -> Series:
    values, names = series.values, series.names
    if not values.size:
        raise BadValue("the series has no steps or no channels of numbers")
    if names and not any(names):
        names = ()  # written by `encode_series`
    elif len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadValue(f'two channels have the name "{twice}"')
    too_large = np.abs(values) > LARGEST  # false for NaN
    if too_large.any():
        step, channel = np.argwhere(too_large)[0]
        name = names[channel] if names else channel + 1
        raise BadValue(f"step {step + 1}: {values[step, channel]} in channel {name} is no measured value")
    if np.isnan(values).all():
        raise BadValue("every value of the series is missing")
    return Series(values, names)
