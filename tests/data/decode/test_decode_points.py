"""Point clouds: every kind of file gives the same points, headers that lie are refused."""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnifuse.data.decode.lzf import unpack_lzf
from omnifuse.data.decode.points import decode_points, encode_points, points_of
from omnifuse.data.fetch import BadValue

COLUMNS = ("x", "y", "z", "intensity")
CLOUD = (np.random.default_rng(0).normal(size=(50, 4)) * [30, 20, 2, 1]).astype(np.float32)
HEADER = "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\n"


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def packed(data: bytes) -> bytes:
    """LZF by the book: what was seen before is repeated, the rest is written out."""
    out, place, literal, seen = bytearray(), 0, bytearray(), {}

    def flush() -> None:
        for start in range(0, len(literal), 32):
            piece = literal[start : start + 32]
            out.append(len(piece) - 1)
            out.extend(piece)
        literal.clear()

    while place < len(data):
        start = seen.get(data[place : place + 3], -1)
        seen[data[place : place + 3]] = place
        if start < 0 or place - start > 8191:
            literal.append(data[place])
            place += 1
            continue
        length = 3
        while length < 264 and place + length < len(data) and data[start + length] == data[place + length]:
            length += 1
        if place + length > len(data):
            literal.append(data[place])
            place += 1
            continue
        flush()
        back = place - start - 1
        out.append(min(length - 2, 7) << 5 | back >> 8)
        if length - 2 >= 7:
            out.append(length - 2 - 7)
        out.append(back & 255)
        place += length
    flush()
    return bytes(out)


def pcd(way: str, cloud: np.ndarray = CLOUD, points: int | None = None) -> bytes:
    count = len(cloud) if points is None else points
    head = f"{HEADER}FIELDS x y z intensity\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\nWIDTH {count}\nHEIGHT 1\n"
    head += f"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS {count}\nDATA {way}\n"
    if way == "ascii":
        return head.encode() + "\n".join(" ".join(map(repr, row)) for row in cloud.tolist()).encode()
    if way == "binary":
        return head.encode() + cloud.tobytes()
    body = packed(np.ascontiguousarray(cloud.T).tobytes())
    return head.encode() + struct.pack("<II", len(body), 16 * count) + body


def ply(way: str, cloud: np.ndarray = CLOUD, points: int | None = None, before: str = "", front: bytes = b"") -> bytes:
    count = len(cloud) if points is None else points
    properties = "".join(f"property {kind} {name}\n" for kind, name in zip(["float", "float32", "double", "float"], COLUMNS, strict=True))
    head = f"ply\nformat {way} 1.0\ncomment made up\n{before}element vertex {count}\n{properties}"
    head += "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    if way == "ascii":
        return head.encode() + front + "\n".join(" ".join(map(repr, row)) for row in cloud.tolist()).encode() + b"\n3 0 1 2\n"
    order = "<" if "little" in way else ">"
    kinds = np.dtype([(name, order + ("f8" if name == "z" else "f4")) for name in COLUMNS])
    rows = np.array([tuple(row) for row in cloud.tolist()], dtype=kinds)
    return head.encode() + front + rows.tobytes() + b"\x03" + struct.pack(order + "iii", 0, 1, 2)


FILES = {
    "bin": CLOUD.tobytes(),
    "npy": npy(CLOUD),
    "npy of doubles": npy(CLOUD.astype(np.float64)),
    "npy with names": npy(np.array([tuple(row) for row in CLOUD.tolist()], dtype=[(name, "f4") for name in COLUMNS])),
    "npz": npz(points=CLOUD, labels=np.zeros(50, np.int64)),
    "npz of columns": npz(**{name: CLOUD[:, place] for place, name in enumerate(COLUMNS)}),
    "pcd ascii": pcd("ascii"),
    "pcd binary": pcd("binary"),
    "pcd compressed": pcd("binary_compressed"),
    "ply ascii": ply("ascii"),
    "ply little": ply("binary_little_endian"),
    "ply big": ply("binary_big_endian"),
    "ply after another element": ply("ascii", before="element camera 2\nproperty float f\n", front=b"1\n2\n"),
    "ply after another element, binary": ply(
        "binary_big_endian", before="element camera 2\nproperty double f\nproperty uchar n\n", front=bytes(18)
    ),
    "our own": encode_points(COLUMNS, CLOUD),
}


def fault(data: bytes, columns: tuple[str, ...] = COLUMNS) -> str:
    with pytest.raises(BadValue) as caught:
        decode_points(data, columns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_points_come_out_alike_from_every_kind_of_file(data: bytes):
    values, names = decode_points(data, COLUMNS)
    assert names == COLUMNS
    assert values.dtype == np.float32
    assert np.allclose(values, CLOUD, rtol=1e-6)


def test_columns_name_what_a_bin_holds_in_any_order():
    values, names = decode_points(CLOUD.tobytes(), ("intensity", "z", "x", "y"))
    assert names == ("x", "y", "z", "intensity")
    assert np.array_equal(values, CLOUD[:, [2, 3, 1, 0]])
    assert decode_points(npy(CLOUD[:, :3]), COLUMNS)[1] == ("x", "y", "z")


def test_a_point_that_did_not_come_back_is_left_out_and_a_feature_that_is_no_number_is_zero():
    cloud = CLOUD.copy()
    cloud[3, 1], cloud[4, 2], cloud[5, 3] = np.nan, np.inf, np.nan
    for data in (
        cloud.tobytes(),
        pcd("binary", cloud),
        pcd("binary_compressed", cloud),
        pcd("ascii", cloud),
        ply("binary_big_endian", cloud),
    ):
        values, _ = decode_points(data, COLUMNS)
        assert len(values) == 48
        assert values[3, 3] == 0
        assert np.isfinite(values).all()
    assert "no point" in fault(pcd("binary", np.full((5, 4), np.nan, np.float32)))


@pytest.mark.parametrize("way", ["binary", "ascii"])
def test_packed_colours_fields_of_several_numbers_and_paddings_are_followed(way: str):
    rows = np.zeros(2, dtype=[("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4"), ("_", "u1", 3), ("n", "<i2", 2)])
    rows["x"], rows["rgb"], rows["n"] = [1, 2], [0x0A0B0C, 0xFF8000], [[1, -2], [3, 4]]
    head = f"{HEADER}FIELDS x y z rgb _ n\nSIZE 4 4 4 4 1 2\nTYPE F F F U U I\nCOUNT 1 1 1 1 3 2\nWIDTH 2\nHEIGHT 1\nPOINTS 2\nDATA {way}\n"
    text = b"1 0 0 658188 0 0 0 1 -2\n2 0 0 16744448 0 0 0 3 4\n"
    values, names = decode_points(head.encode() + (rows.tobytes() if way == "binary" else text), COLUMNS)
    assert names == ("x", "y", "z", "n_1", "n_2", "red", "green", "blue")
    assert values.tolist() == [[1, 0, 0, 1, -2, 10, 11, 12], [2, 0, 0, 3, 4, 255, 128, 0]]


def test_lzf_follows_its_description():
    assert unpack_lzf(b"\x02abc", 3) == b"abc"
    assert unpack_lzf(b"\x02abc\x60\x02", 8) == b"abcabcab", "length 3 + 2, distance 2 + 1"
    assert unpack_lzf(b"\x00a\xe0\xff\x00", 265) == b"a" * 265, "length 7 + 255 + 2, distance 1"
    data = np.random.default_rng(0).integers(0, 4, 5000, dtype=np.uint8).tobytes() + bytes(9000)
    assert len(packed(data)) < len(data) / 2
    assert unpack_lzf(packed(data), len(data)) == data
    for bad, size in [(b"\x02ab", 3), (b"\x20\x05", 3), (b"\x02abc", 4), (b"\x02abc", 2), (b"\x00a\xe0", 9), (b"\x00a\xe0\xff\x00", 100)]:
        with pytest.raises(BadValue):
            unpack_lzf(bad, size)


BROKEN = {
    "empty": b"",
    "text": b"this is a text, whatever its name says" * 8,
    "page": b"<!DOCTYPE html><html><body>404 not found</body></html>  ",
    "zeros": bytes(1600),
    "noise": np.random.default_rng(0).bytes(1600),
    "bin cut off": CLOUD.tobytes()[:-5],
    "bin of integers": np.arange(400, dtype=np.int32).tobytes(),
    "npy cut off": npy(CLOUD)[:-5],
    "npy of five columns": npy(np.zeros((4, 5))),
    "npy of one axis": npy(np.zeros(12)),
    "npy of words": npy(np.array([["a", "b", "c"]])),
    "npy with a name for words": npy(np.array([(1, 2, 3, "a")], dtype=[("x", "f4"), ("y", "f4"), ("z", "f4"), ("w", "U1")])),
    "npy with a name for several numbers": npy(np.zeros(3, dtype=[("x", "f4"), ("y", "f4"), ("z", "f4"), ("n", "f4", 2)])),
    "npz of columns without z": npz(x=CLOUD[:, 0], y=CLOUD[:, 1]),
    "pcd cut off": pcd("binary")[:-5],
    "pcd text cut off": pcd("ascii")[:-200],
    "pcd text with a word": pcd("ascii").replace(b"\n-", b"\nx", 1),
    "pcd compressed cut off": pcd("binary_compressed")[:-5],
    "pcd says more": pcd("binary", points=51),
    "pcd text says more": pcd("ascii", points=51),
    "pcd says nothing": pcd("binary", points=0),
    "pcd says less than nothing": pcd("binary", points=-4),
    "pcd without fields": pcd("binary").replace(b"FIELDS", b"FOLDS"),
    "pcd without z": pcd("binary").replace(b"x y z", b"x y w"),
    "pcd of another way": pcd("binary").replace(b"DATA binary", b"DATA zipped"),
    "pcd of another type": pcd("binary").replace(b"TYPE F F", b"TYPE Q F"),
    "pcd with a huge field": pcd("binary").replace(b"COUNT 1", b"COUNT 999999999"),
    "pcd header alone": pcd("binary")[:60],
    "ply cut off": ply("binary_little_endian")[:700],
    "ply text cut off": ply("ascii")[:-1500],
    "ply says more": ply("binary_big_endian", points=60),
    "ply of another format": ply("ascii").replace(b"ascii", b"morse"),
    "ply of another type": ply("ascii").replace(b"float32", b"quaternion"),
    "ply without points": ply("ascii").replace(b"element vertex", b"element corner"),
    "ply with one name twice": ply("binary_big_endian").replace(b"float32 y", b"float32 x"),
    "ply header alone": ply("ascii")[:60],
    "ply after an element that never ends": ply("ascii", before="element camera 4000000000\nproperty float f\n"),
    "far away": (CLOUD * 1e9).tobytes(),
    "far away, pcd": pcd("binary", CLOUD * np.float32(1e9)),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_damage_is_told(data: bytes):
    assert len(fault(data)) < 200


@settings(max_examples=400, deadline=None)
@given(data=st.data(), kind=st.sampled_from(list(FILES)))
def test_damage_anywhere_gives_points_or_a_reason(data: st.DataObject, kind: str):
    file = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, min(len(file) - 1, 400)))] = data.draw(st.integers(0, 255))
    with suppress(BadValue):
        values, names = decode_points(bytes(file[: data.draw(st.integers(len(file) // 2, len(file)))]), COLUMNS)
        assert names[:3] == ("x", "y", "z")
        assert np.isfinite(values).all()
        assert len(values)


@pytest.mark.parametrize(
    "value", [CLOUD, CLOUD.tolist(), {name: CLOUD[:, place] for place, name in enumerate(COLUMNS)}], ids=["array", "lists", "by name"]
)
def test_clouds_of_python_come_back_as_they_were(value: Any):
    values, names = points_of(value, COLUMNS)
    back, back_names = decode_points(encode_points(names, values), ())
    assert back_names == COLUMNS
    assert np.array_equal(back, CLOUD)


@pytest.mark.parametrize("value", [7, "word", [], [[1, 2], [3]], {"x": [1]}, {}, np.zeros((2, 2)), [None]], ids=str)
def test_what_is_no_cloud_of_python_is_refused(value: Any):
    with pytest.raises(BadValue):
        points_of(value, COLUMNS)


@pytest.mark.parametrize("size", ["4,f4", "2", "16", "4)", "-4"])
def test_types_that_pcd_does_not_know_are_refused(size: str):
    sizes = f"SIZE 4 4 {size}"
    header = f"{HEADER}FIELDS x y z\n{sizes}\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 9\nHEIGHT 1\nPOINTS 9\nDATA binary\n"
    with pytest.raises(BadValue, match="contradicts itself"):
        decode_points(header.encode() + bytes(1000), COLUMNS)


@pytest.mark.parametrize("shape", [(1,) * 80, (0, 2**62), (0, 2**63), (2**40, 0, 2**40)])
def test_shapes_that_numpy_cannot_make_are_refused(shape: tuple[int, ...]):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with pytest.raises(BadValue, match="the header says"):
        decode_points(buffer.getvalue() + bytes(100), COLUMNS)
