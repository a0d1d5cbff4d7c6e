"""Point Cloud Data files (PCD 0.7 of the Point Cloud Library): ascii, binary and binary_compressed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from omnifuse.data.decode.lzf import unpack_lzf
from omnifuse.data.decode.rows_of_text import read_rows
from omnifuse.data.fetch import BadValue

MAX_HEADER = 8192
MAX_UNPACKED = 800_000_000
TYPES = {f"{kind}{size}" for kind, sizes in (("F", "48"), ("I", "1248"), ("U", "1248")) for size in sizes}
MAX_COUNT = 4096  # numbers of one field, such as a histogram


def read_pcd(data: bytes, max_points: int) -> dict[str, np.ndarray]:
    """Columns by name; a field of several numbers gives `name_1`, `name_2`, …; fields named `_` pad and are left out.

    Raises:
        BadValue: a header that contradicts itself or says more than is there, or more than `max_points`.
    """
    header, start = _header(data)
    try:
        words = [kind + size for kind, size in zip(header["TYPE"], header["SIZE"], strict=True)]
        if not TYPES.issuperset(words):  # NumPy would read many more words as types
            raise ValueError
        kinds = [np.dtype("<" + word.lower()) for word in words]
        counts = [int(count) for count in header.get("COUNT", ["1"] * len(kinds))]
        if len(counts) != len(header["FIELDS"]) or len(kinds) != len(counts) or not all(0 < count <= MAX_COUNT for count in counts):
            raise ValueError
        points = int(header["POINTS"][0]) if "POINTS" in header else int(header["WIDTH"][0]) * int(header["HEIGHT"][0])
        way = header["DATA"][0].lower()
    except (KeyError, ValueError, TypeError, IndexError):
        raise BadValue("damaged: the header of this .pcd file contradicts itself") from None
    if not 0 < points <= max_points:
        raise BadValue(f"the header says {points} points; 1 to {max_points} can be read")
    layout = np.dtype([(str(place), kind, (count,)) for place, (kind, count) in enumerate(zip(kinds, counts, strict=True))])
    if way == "ascii":
        table = read_rows(data, start, points, sum(counts), len(header["line"]))
        parts = np.split(table, np.cumsum(counts)[:-1], axis=1)
        with np.errstate(invalid="ignore"):  # a packed colour has its meaning in the bits of its type
            parts = [part.astype(kind) if "rgb" in name else part for name, part, kind in zip(header["FIELDS"], parts, kinds, strict=True)]
    elif way == "binary":
        _check_there(points * layout.itemsize, len(data) - start)
        rows = np.frombuffer(data, layout, points, start)
        parts = [rows[str(place)] for place in range(len(kinds))]
    elif way == "binary_compressed":
        parts = _unpacked(data, start, points, kinds, counts, layout.itemsize)
    else:
        raise BadValue(f'the points are stored as "{way[:20]}"; ascii, binary and binary_compressed can be read')
    return _columns(header["FIELDS"], parts)


def write_pcd(names: Sequence[str], values: np.ndarray) -> bytes:
    """A binary file of (N, len(names)) float32."""
    words = [name.replace(" ", "_") for name in names]
    ones = " ".join("1" * len(words))
    header = (
        f"# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS {' '.join(words)}\nSIZE {ones.replace('1', '4')}\n"
        f"TYPE {ones.replace('1', 'F')}\nCOUNT {ones}\nWIDTH {len(values)}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\n"
        f"POINTS {len(values)}\nDATA binary\n"
    )
    return header.encode() + np.ascontiguousarray(values, dtype="<f4").tobytes()


def _header(data: bytes) -> tuple[dict[str, list[str]], int]:
    """Words of each line by its first one, and where the points begin; `line` holds as many entries as the header has lines."""
    entries: dict[str, list[str]] = {"line": []}
    start = 0
    while start < min(len(data), MAX_HEADER):
        end = data.find(b"\n", start, start + MAX_HEADER)
        if end < 0:
            break
        words = data[start:end].decode("latin-1").split()
        start = end + 1
        entries["line"].append("")
        if words and not words[0].startswith("#"):
            entries[words[0].upper()] = words[1:]
            if words[0].upper() == "DATA":
                return entries, start
    raise BadValue("damaged: the header of this .pcd file has no end")


def _unpacked(data: bytes, start: int, points: int, kinds: Sequence[np.dtype], counts: Sequence[int], stride: int) -> list[np.ndarray]:
    """Compressed points lie field after field."""
    _check_there(8, len(data) - start)
    packed_size, size = (int.from_bytes(data[start + at : start + at + 4], "little") for at in (0, 4))
    if size != points * stride:
        raise BadValue(f"damaged: {points} points of {stride} bytes are not the {size} bytes that the file says")
    _check_there(packed_size, len(data) - start - 8)
    if size > 132 * packed_size or size > MAX_UNPACKED:  # a repetition of 264 bytes takes 3 at least
        raise BadValue(f"{packed_size} bytes that unpack to {size}; at most 132 times as many and {MAX_UNPACKED} are read")
    unpacked = unpack_lzf(data[start + 8 : start + 8 + packed_size], size)
    parts, place = [], 0
    for kind, count in zip(kinds, counts, strict=True):
        parts.append(np.frombuffer(unpacked, kind, points * count, place).reshape(points, count))
        place += points * count * kind.itemsize
    return parts


def _columns(fields: Sequence[str], parts: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    for name, part in zip(fields, parts, strict=True):
        for place in range(part.shape[1]):
            if name != "_":
                columns[name if part.shape[1] == 1 else f"{name}_{place + 1}"] = part[:, place]
    return columns


def _check_there(wanted: int, there: int) -> None:
    if wanted > there:
        raise BadValue(f"damaged: the header says {wanted} bytes of points and {there} are there")
