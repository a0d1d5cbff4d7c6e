"""Point clouds: bytes of many kinds of file → x, y, z and features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omnifuse.data.decode.numpy_file import NPY, ZIP, read_npy, read_npz
from omnifuse.data.decode.pcd import read_pcd, write_pcd
from omnifuse.data.decode.ply import read_ply
from omnifuse.data.fetch import BadValue

MAX_POINTS = 50_000_000
MAX_FEATURES = 253
MAX_VALUES = 4 * MAX_POINTS
PLACES = ("x", "y", "z")
FARTHEST = 1e7  # ten thousand kilometres; bytes that are no numbers look larger
NEAREST = 1e-30  # or smaller

Points = tuple[np.ndarray, tuple[str, ...]]


def decode_points(data: bytes, columns: Sequence[str]) -> Points:
    """Decode a cloud: `.pcd`, `.ply`, `.npy`, `.npz`, told by their content; anything else is taken for KITTI's `.bin`.

    Points without finite x, y, z are echoes that did not come back and are left out; features that are not finite become 0.
    A packed colour (`rgb` of `.pcd`) becomes `red`, `green` and `blue`.

    Args:
        data: the file.
        columns: names of the columns of `.bin` (float32) and of arrays without names.

    Returns:
        (N, 3 + F) float32 and its names, of which x, y, z are the first.

    Raises:
        BadValue: damaged, a header that says more than is there (before anything is allocated), no point, or too many.
    """
    if data[: len(NPY)] == NPY:
        named = _named({"": read_npy(data, MAX_VALUES)}, columns)
    elif data[: len(ZIP)] == ZIP:
        named = _named(read_npz(data, MAX_VALUES), columns)
    elif data[:3] == b"ply":
        named = read_ply(data, MAX_POINTS)
    elif data[:5] in (b"# .PC", b"VERSI", b"FIELD"):
        named = read_pcd(data, MAX_POINTS)
    else:
        named = _read_bin(data, columns)
    return _cloud(named)


def encode_points(names: Sequence[str], values: np.ndarray) -> bytes:
    """A binary `.pcd` of (N, 3 + F) float32."""
    return write_pcd(names, values)


def points_of(value: Any, columns: Sequence[str]) -> Points:
    """A cloud of an object of Python: an array (N, 3) or (N, as many as `columns`), or arrays by name."""
    try:
        arrays = {str(n): np.asarray(a) for n, a in value.items()} if isinstance(value, Mapping) else {"": np.asarray(value)}
    except ValueError as error:
        raise BadValue(f"the points differ in how many numbers they have ({str(error).split('. ')[0]})") from None
    return _cloud(_named(arrays, columns))


def _read_bin(data: bytes, columns: Sequence[str]) -> dict[str, np.ndarray]:
    stride = 4 * len(columns)
    if not data or len(data) % stride:
        layout = f"{len(columns)} float32 ({', '.join(columns)})"
        raise BadValue(f"neither .pcd, .ply, .npy nor .npz, and {len(data)} bytes are not whole points of {layout}")
    if len(data) // stride > MAX_POINTS:
        raise BadValue(f"{len(data) // stride} points are more than {MAX_POINTS}")
    values = np.frombuffer(data, "<f4").reshape(-1, len(columns))
    sizes = np.abs(values[np.isfinite(values)])
    if not (sizes > 0).any() or (sizes > FARTHEST).any() or ((sizes > 0) & (sizes < NEAREST)).any():
        raise BadValue("neither .pcd, .ply, .npy nor .npz, and its bytes are no measured float32")
    return dict(zip(columns, values.T, strict=True))


def _named(arrays: Mapping[str, np.ndarray], columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns by name, of one array with or without named fields or of several arrays."""
    if not arrays:
        raise BadValue("there are no points")
    only = next(iter(arrays.values()))
    if len(arrays) == 1 and only.dtype.names:
        return {name: _plain(only[name]).reshape(-1) for name in only.dtype.names}
    if set(PLACES) <= set(arrays):
        arrays = {name: array.reshape(-1) for name, array in arrays.items() if array.size == arrays["x"].size}
        return {name: _plain(array) for name, array in arrays.items()}
    if len(arrays) > 1:
        only = next((array for name, array in arrays.items() if name in ("points", "xyz", "data", "arr_0")), only)
    if only.ndim != 2 or only.shape[1] not in (3, len(columns)):
        raise BadValue(f"an array of points is (N, 3) or (N, {len(columns)}) with the columns {', '.join(columns)}, not {only.shape}")
    return dict(zip(PLACES if only.shape[1] == 3 else columns, _plain(only).T, strict=True))


def _plain(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "fiub":
        raise BadValue(f"the array holds {array.dtype}, not numbers")
    return array


def _cloud(named: dict[str, np.ndarray]) -> Points:
    """Check and order the columns, and leave out what did not come back."""
    for name in PLACES:
        if name not in named:
            raise BadValue(f'there is no column "{name}"; the file has {", ".join(list(named)[:12])}')
    for packed in ("rgb", "rgba"):
        if packed in named and named[packed].dtype.itemsize == 4:
            bits = np.ascontiguousarray(named.pop(packed)).view(np.uint32)
            named |= {colour: (bits >> shift) & 255 for colour, shift in (("red", 16), ("green", 8), ("blue", 0))}
    names = (*PLACES, *(name for name in named if name not in PLACES))
    if len(names) > 3 + MAX_FEATURES:
        raise BadValue(f"{len(names)} columns are more than {3 + MAX_FEATURES}")
    count = len(named["x"])
    if any(len(column) != count for column in named.values()):
        raise BadValue("the columns have different lengths")
    if count > MAX_POINTS or count * len(names) > MAX_VALUES:
        raise BadValue(f"{count} points of {len(names)} numbers are more than {MAX_POINTS} of 4")
    values = np.empty((count, len(names)), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # what does not fit becomes infinite and is looked for below
        for place, name in enumerate(names):
            values[:, place] = named[name]
    is_there = np.isfinite(values[:, :3]).all(axis=1)
    values = values if is_there.all() else values[is_there]
    if not len(values):
        raise BadValue("there is no point with finite x, y and z")
    if np.abs(values[:, :3]).max() > FARTHEST:
        raise BadValue(f"a point lies {np.abs(values[:, :3]).max():.3g} away, farther than {FARTHEST:.0e}")
    values[:, 3:][~np.isfinite(values[:, 3:])] = 0
    return values, names
