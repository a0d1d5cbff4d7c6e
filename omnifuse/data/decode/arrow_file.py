"""Columns of numbers in Arrow IPC and Parquet files, counted before they are unpacked."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from omnifuse.data.fetch import BadValue

Columns = tuple[np.ndarray, tuple[str, ...]]
MAX_FIELDS = 10_000  # of a Parquet file; Arrow's reader overruns its stack where very many lie in each other
FILE_START = 8  # `ARROW1` and two bytes; what follows is a stream
DICTIONARY, BATCH = 2, 3  # kinds of message (Arrow's Message.fbs)


def read_arrow(data: bytes, max_values: int) -> Columns:
    """(T, C) float64 and the names of the columns of numbers of an Arrow IPC stream or file (Feather).

    Raises:
        BadValue: damaged, cut off, or more than `max_values` numbers.
    """
    import pyarrow as pa

    stream = data[FILE_START:] if data[:6] == b"ARROW1" else data
    if data[:6] == b"ARROW1" and data[-6:] != b"ARROW1":
        raise BadValue("cut off: the end of the Arrow file is missing")
    try:
        _check_messages(stream, max_values)
        with pa.ipc.open_stream(stream) as reader:
            return _columns(list(reader), reader.schema, max_values)
    except BadValue:  # which is a ValueError
        raise
    except (pa.ArrowException, OSError, struct.error, IndexError, ValueError) as error:
        raise BadValue(f"not a readable Arrow file ({_reason(error)})") from None


def read_parquet(data: bytes, max_values: int) -> Columns:
    """(T, C) float64 and the names of the columns of numbers of a Parquet file.

    Raises:
        BadValue: damaged, cut off, or more than `max_values` numbers.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_schema(data)
    try:
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
            schema, told = file.schema_arrow, file.metadata
            names = [field.name for field in schema if _is_number(field.type)]
            # of all columns: to ask for one ends the process where its statistics are damaged (pyarrow 25)
            size = sum(told.row_group(group).total_byte_size for group in range(told.num_row_groups))
            if told.num_rows * len(names) > max_values or size > 16 * max_values:
                raise BadValue(f"{told.num_rows} rows of {len(names)} numbers; at most {max_values} numbers can be read")
            batches = list(file.iter_batches(batch_size=65_536, columns=names, use_threads=False))
            return _columns(batches, schema, max_values)
    except BadValue:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadValue(f"not a readable Parquet file ({_reason(error)})") from None


def _check_schema(data: bytes) -> None:
    """Count the fields before they are read: the footer (Thrift, compact) begins with the version and the list of them."""
    size = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - size : -8][:16] if data[-4:] == b"PAR1" and size + 8 <= len(data) else b""
    place = 1
    while place < len(footer) and footer[place] & 128:  # the version, a number of any length
        place += 1
    head = footer[place + 1 : place + 8]
    if footer[:1] != b"\x15" or len(head) < 3 or head[0] != 0x19:
        raise BadValue("not a readable Parquet file (its end is missing or damaged)")
    count, shift = head[1] >> 4, 0
    if count == 15:
        count = 0
        for byte in head[2:]:
            count, shift = count | (byte & 127) << shift, shift + 7
            if byte < 128:
                break
    if count > MAX_FIELDS:
        raise BadValue(f"{count} fields are more than {MAX_FIELDS}")


def _columns(batches: list[Any], schema: Any, max_values: int) -> Columns:
    names = [field.name for field in schema if _is_number(field.type)]
    places = [place for place, field in enumerate(schema) if _is_number(field.type)]
    if sum(batch.num_rows for batch in batches) * max(1, len(names)) > max_values:
        raise BadValue(f"more than {max_values} numbers")
    parts = []
    for batch in batches:
        batch.validate(full=True)
        found = range(len(names)) if batch.num_columns == len(names) else places
        parts.append(np.stack([_numbers(batch.column(place)) for place in found], axis=1) if names else np.zeros((0, 0)))
    return (np.concatenate(parts) if parts else np.zeros((0, len(names)))), tuple(names)


def _numbers(column: Any) -> np.ndarray:
    """Float64, NaN where missing; moments in seconds since 1970."""
    import pyarrow as pa
    import pyarrow.compute as pc

    scale = 1.0
    if pa.types.is_timestamp(column.type):
        scale = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[column.type.unit]
        column = column.cast(pa.int64())
    values = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values if scale == 1.0 else values / scale


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return any(is_kind(kind) for is_kind in (types.is_integer, types.is_floating, types.is_boolean, types.is_timestamp, types.is_decimal))


def _check_messages(stream: bytes, max_values: int) -> None:
    """Add up what the messages say they unpack to, before one of them is unpacked."""
    import pyarrow as pa

    total, values, numbers = 0, 0, 1
    for message in pa.ipc.MessageReader.open_stream(stream):
        if message.type == "schema":
            numbers = sum(_is_number(field.type) for field in pa.ipc.read_schema(message))
            continue
        body = memoryview(message.body) if message.body is not None else memoryview(b"")
        rows, size = _unpacked_size(message.metadata.to_pybytes(), body)
        total, values = total + size, values + abs(rows) * numbers
        if values > max_values or total > 16 * max_values:
            raise BadValue(f"the file unpacks to more than {max_values} numbers or {16 * max_values // 10**6} MB")


def _unpacked_size(metadata: bytes, body: memoryview) -> tuple[int, int]:
    """Rows of one message (its FlatBuffers table, read by hand), and the bytes of its buffers after decompression."""
    root = struct.unpack_from("<I", metadata)[0]
    kind_at, header_at = _field(metadata, root, 1), _field(metadata, root, 2)
    if not kind_at or not header_at or metadata[kind_at] not in (DICTIONARY, BATCH):
        return 0, 0
    table = header_at + struct.unpack_from("<I", metadata, header_at)[0]
    if metadata[kind_at] == DICTIONARY:
        inner = _field(metadata, table, 1)
        table = inner + struct.unpack_from("<I", metadata, inner)[0]
    length_at = _field(metadata, table, 0)
    rows = struct.unpack_from("<q", metadata, length_at)[0] if length_at and metadata[kind_at] == BATCH else 0
    buffers_at, compression_at = _field(metadata, table, 2), _field(metadata, table, 3)
    if not buffers_at or not compression_at:
        return rows, len(body)
    vector = buffers_at + struct.unpack_from("<I", metadata, buffers_at)[0]
    total = 0
    for place in range(struct.unpack_from("<I", metadata, vector)[0]):
        start, size = struct.unpack_from("<qq", metadata, vector + 4 + 16 * place)
        unpacked = struct.unpack_from("<q", body, start)[0] if size >= 8 else 0
        total += unpacked if unpacked >= 0 else size  # −1: this one is not compressed
    return rows, total


def _field(metadata: bytes, table: int, slot: int) -> int:
    """Where a field of a FlatBuffers table lies; 0 where it is left out."""
    slots = table - struct.unpack_from("<i", metadata, table)[0]
    if 4 + 2 * slot >= struct.unpack_from("<H", metadata, slots)[0]:
        return 0
    offset = struct.unpack_from("<H", metadata, slots + 4 + 2 * slot)[0]
    return table + offset if offset else 0


def _reason(error: Exception) -> str:
    return ((str(error) or type(error).__name__).splitlines() or [""])[0][:120]
