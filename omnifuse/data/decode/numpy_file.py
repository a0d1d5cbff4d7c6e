"""Arrays in `.npy` and `.npz` files, read without unpickling and never larger than their bytes and the limit allow."""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from typing import IO

import numpy as np
from numpy.lib import format as npy

from omnifuse.data.fetch import BadValue

NPY, ZIP = b"\x93NUMPY", b"PK\x03\x04"
MAX_MEMBERS = 1000
MAX_DIMENSIONS = 32
ENTRY = b"PK\x01\x02"  # begins each entry in the list of contents of a zip
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of others zipfile unpacks more than it is asked for


def read_npy(data: bytes, max_values: int) -> np.ndarray:
    """The array of an `.npy` file.

    Raises:
        BadValue: not such a file, objects in it, fewer bytes than the header says, or more than `max_values` numbers.
    """
    stream = io.BytesIO(data)
    shape, fortran, dtype = _header(stream, max_values)
    size = math.prod(shape) * dtype.itemsize
    there = len(data) - stream.tell()
    if size > there:
        raise BadValue(f"damaged: the header says {size} bytes of numbers and {there} are there")
    flat = np.frombuffer(data, dtype, math.prod(shape), stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def read_npz(data: bytes, max_values: int) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name; no more is unpacked than their headers say.

    Raises:
        BadValue: as for `read_npy`; `max_values` holds for all arrays together.
    """
    arrays: dict[str, np.ndarray] = {}
    if data.count(ENTRY) > MAX_MEMBERS:  # before the list is made
        raise BadValue(f"more than {MAX_MEMBERS} arrays in one file")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                if member.compress_type not in PACKINGS:
                    raise BadValue(f"{member.filename} is packed in a way that NumPy does not write; save it with numpy.savez")
                with archive.open(member) as stream:
                    array = _read_stream(stream, member.filename, max_values)
                max_values -= array.size
                arrays[member.filename.removesuffix(".npy")] = array
    except BadValue:  # which is a ValueError
        raise
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise BadValue(f"not a readable .npz file ({error})") from None
    if not arrays:
        raise BadValue("there is no array in this .npz file")
    return arrays


def _read_stream(stream: IO[bytes], name: str, max_values: int) -> np.ndarray:
    shape, fortran, dtype = _header(stream, max_values)
    size = math.prod(shape) * dtype.itemsize
    packed = stream.read(size)
    if len(packed) < size or stream.read(1):
        raise BadValue(f"damaged: the header of {name} says {size} bytes of numbers and {'fewer' if len(packed) < size else 'more'} follow")
    return np.frombuffer(packed, dtype).reshape(shape, order="F" if fortran else "C")


def _header(stream: IO[bytes], max_values: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type, checked before anything is allocated."""
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except Exception as error:  # the header is a Python literal: whatever its parser raises
        raise BadValue(f"not a readable .npy file ({(str(error).splitlines() or [''])[0][:120]})") from None
    if dtype.hasobject:
        raise BadValue("the array holds Python objects, which are not read; save it as numbers")
    count = math.prod(shape)
    is_sound = len(shape) <= MAX_DIMENSIONS and all(0 <= length <= 8 * max_values for length in shape) and dtype.itemsize > 0
    is_sound = is_sound and math.prod(filter(None, shape)) <= 8 * max_values  # NumPy counts so where a length is 0
    if not is_sound or count * max(1, len(dtype.names or ())) > max_values or count * dtype.itemsize > 8 * max_values:
        raise BadValue(f"the header says an array of {shape}; at most {max_values} numbers can be read")
    return shape, fortran, dtype
