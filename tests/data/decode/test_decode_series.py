"""Series: every kind of file gives the same channels, what is missing stays missing, a broken line is named."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnifuse.data.decode.series import decode_series, encode_series, series_of
from omnifuse.data.fetch import BadValue

VALUES = np.array([[1.5, -2.0], [np.nan, 4.25], [3.0, 1e-3]])
TABLE = pa.table({"a": pa.array(VALUES[:, 0], from_pandas=True), "word": ["x", "y", "z"], "b": VALUES[:, 1]})


def npy(array: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def parquet(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def arrow(table: pa.Table, compression: str = "uncompressed") -> bytes:
    buffer = io.BytesIO()
    feather.write_feather(table, buffer, compression=compression, chunksize=2)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def fault(data: bytes) -> str:
    with pytest.raises(BadValue) as caught:
        decode_series(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


NAMED = {
    "csv": b"a,b\n1.5,-2\n,4.25\n3,1e-3\n",
    "csv with other missing words": b"a,b\n1.5,-2\nNA,4.25\n3,0.001\n",
    "csv with a column of words": b"a,word,b\n1.5,x,-2\n,y,4.25\n3,,1e-3\n",
    "csv with a count of rows": b",a,b\n0,1.5,-2\n1,,4.25\n2,3,1e-3\n",
    "csv with comments": b"# made by a logger\n\na,b\n# begin\n1.5,-2\n,4.25\n3,1e-3",
    "csv with the names in a comment": b"# made by a logger\n# Columns: a,b\n1.5,-2\n,4.25\n3,1e-3\n",
    "csv of windows": b"\xef\xbb\xbfa,b\r\n1.5,-2\r\n,4.25\r\n3,1e-3\r\n",
    "csv of the old mac": b"a,b\r1.5,-2\r,4.25\r3,1e-3\r",
    "csv in utf-16": "a,b\n1.5,-2\n,4.25\n3,1e-3\n".encode("utf-16"),
    "csv with quotes": b'"a","b"\n"1.5","-2"\n"",4.25\n3,1e-3\n',
    "csv with a separator at the end": b"a,b\n1.5,-2,\n,4.25,\n3,1e-3,\n",
    "csv of europe": b"a;b\n1,5;-2\n;4,25\n3;0,001\n",
    "tsv": b"a\tb\n1.5\t-2\n\t4.25\n3\t1e-3\n",
    "blanks": b"# a b\n1.5   -2\nnan 4.25\n 3 1e-3\n",
    "npz of channels": npz(a=VALUES[:, 0], b=VALUES[:, 1]),
    "npy with names": npy(np.array([tuple(row) for row in VALUES], dtype=[("a", "f8"), ("b", "f8")])),
    "parquet": parquet(TABLE),
    "parquet in parts": parquet(TABLE, row_group_size=1, compression="zstd"),
    **{f"arrow file, {packing}": arrow(TABLE, packing) for packing in ("uncompressed", "lz4", "zstd")},
    "arrow with a dictionary": arrow(TABLE.set_column(1, "word", TABLE["word"].dictionary_encode())),
    "our own": encode_series(("a", "b"), VALUES),
}
NAMELESS = {
    "csv": b"1.5,-2\n,4.25\n3,1e-3\n",
    "npy": npy(VALUES),
    "npy in the order of fortran": npy(np.asfortranarray(VALUES)),
    "npy of big-endian": npy(VALUES.astype(">f8")),
    "our own": encode_series((), VALUES),
}


@pytest.mark.parametrize("data", NAMED.values(), ids=NAMED.keys())
def test_channels_with_names_come_out_alike_from_every_kind_of_file(data: bytes):
    series = decode_series(data)
    assert series.names == ("a", "b")
    assert series.values.dtype == np.float64
    assert np.array_equal(series.values, VALUES, equal_nan=True)


@pytest.mark.parametrize("data", NAMELESS.values(), ids=NAMELESS.keys())
def test_channels_without_names_come_out_alike_from_every_kind_of_file(data: bytes):
    series = decode_series(data)
    assert series.names == ()
    assert np.array_equal(series.values, VALUES, equal_nan=True)


def test_one_array_of_several_channels_in_an_npz_numbers_them():
    assert decode_series(npz(acc=VALUES, mic=VALUES[:, 0])).names == ("acc_1", "acc_2", "mic")


def test_moments_become_seconds():
    expected = [1704067200.0, 1704067200.5]
    text = b"t,v\n2024-01-01T00:00:00Z,1\n2024-01-01 01:00:00.5+01:00,2\n"
    stamps = pa.table({"t": pa.array([1704067200000, 1704067200500], pa.timestamp("ms")), "v": [1, 2]})
    for data in (text, arrow(stamps), parquet(stamps), npz(t=np.array(expected), v=np.arange(2))):
        assert decode_series(data).values[:, 0].tolist() == expected
    frame = pd.DataFrame({"t": pd.to_datetime(expected, unit="s"), "v": [1, None]})
    assert series_of(frame).values[:, 0].tolist() == expected


def test_an_empty_column_with_a_name_is_a_channel_that_is_missing():
    series = decode_series(b"a,b\n1,\n2,\n")
    assert series.names == ("a", "b")
    assert np.isnan(series.values[:, 1]).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,2\n3\n", "line 3: 1 cells where 2"),
        ("a,b\n1,2\n# so\n\n3,4,5\n", "line 5: 3 cells where 2"),
        ("a,b\n1,2\n3,x\n", "line 3: 'x' in cell 2"),
        ("a,b\nx,2\ny,2\n3,2\n", "line 4: '3' in cell 1"),
        ("a,b\n1 2,2\n3 4,2\n", "line 2: '1 2' in cell 1"),
        ("a,b\n1,inf\n", "line 2: 'inf' in cell 2"),
        ("a,b\n1,2\n3,1e999\n", "line 3: '1e999' in cell 2"),
        ("a,b\n1,1_000\n", "line 2: '1_000' in cell 2"),
        ("t,a\n2024-01-01,1\n2024-13-01,2\n", "line 3: '2024-13-01'"),
        ("\n".join(["a,b", *["1,2"] * 70_000, "1,?x"]), "line 70002: '?x'"),
        ("a,b\n", "no numbers"),
        ("", "no lines"),
        ("hello\nworld\n", "no steps or no channels"),
        ("a,a\n1,2\n", 'two channels have the name "a"'),
        ("a,b\n,\n,\n", "every value of the series is missing"),
        ("1e200,1\n", "no measured value"),
    ],
)
def test_a_broken_line_is_named(text: str, expected: str):
    assert expected in fault(text.encode())


BROKEN = {
    "bytes": bytes(range(256)) * 20,
    "zeros": bytes(100),
    "page": b"<!DOCTYPE html>\n<html><body>\n404, not found\n</body></html>",
    "npy cut off": npy(VALUES)[:-8],
    "npy header alone": npy(VALUES)[:40],
    "npy of objects": npy(np.array([1, None]), allow_pickle=True),
    "npy of words": npy(np.array(["a", "b"])),
    "npy of complex numbers": npy(np.array([1j])),
    "npy of four axes": npy(np.zeros((2, 2, 2))),
    "npy of one number": npy(np.array(1.0)),
    "npy of nothing": npy(np.zeros((0, 3))),
    "npz cut off": npz(a=VALUES)[:-30],
    "npz of unequal channels": npz(a=VALUES[:, 0], b=VALUES[:2, 1]),
    "npz of nothing": npz(),
    "npz whose list of contents points before its beginning": npz(a=VALUES)[:-4] + b"\x01" + npz(a=VALUES)[-3:],
    "parquet cut off": parquet(TABLE)[:-10],
    "parquet without its end": parquet(TABLE)[: len(parquet(TABLE)) // 2],
    "parquet of words": parquet(TABLE.select(["word"])),
    "arrow cut off": arrow(TABLE)[:-10],
    "arrow cut in half": encode_series(("a", "b"), VALUES)[: len(encode_series(("a", "b"), VALUES)) // 2],
    "arrow without its last numbers": encode_series(("a", "b"), VALUES)[:-20],
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_damage_is_told(data: bytes):
    assert len(fault(data)) < 200


EVERY_BYTE = """
import io, sys
from omnifuse.data.decode.series import decode_series
from omnifuse.data.fetch import BadValue

file, told = sys.stdin.buffer.read(), 0
for place in range(len(file)):
    for byte in {0, 1, 21, 255} - {file[place]}:
        try:
            decode_series(file[:place] + bytes([byte]) + file[place + 1 :])
        except BadValue:
            told += 1
print(told)
"""


@pytest.mark.parametrize(
    "file", [parquet(TABLE), arrow(TABLE), encode_series(("a", "b"), VALUES)], ids=["parquet", "arrow file", "our own"]
)
def test_no_damaged_byte_ends_the_process(file: bytes):
    """Damaged statistics of a Parquet file made a library of C++ abort, so this runs in a process of its own."""
    done = subprocess.run([sys.executable, "-c", EVERY_BYTE], input=file, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-1000:]
    assert int(done.stdout) > 100, "most damage is told"


@settings(max_examples=300, deadline=None)
@given(
    data=st.data(),
    kind=st.sampled_from(["npy", "npz of channels", "parquet", "arrow file, zstd", "arrow with a dictionary", "our own", "csv"]),
)
def test_damage_anywhere_gives_a_series_or_a_reason(data: st.DataObject, kind: str):
    file = bytearray({**NAMELESS, **NAMED}[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BadValue):
        values = decode_series(bytes(file[: data.draw(st.integers(len(file) // 2, len(file)))])).values
        assert values.size
        assert not np.isinf(values).any()


@pytest.mark.parametrize(
    "value",
    [VALUES, VALUES.tolist(), [[1.5, -2.0], [None, 4.25], [3.0, 1e-3]], VALUES.astype(np.float32)],
    ids=["array", "lists", "with None", "float32"],
)
def test_series_of_python_come_back_as_they_were(value: Any):
    series = series_of(value)
    assert series.names == ()
    back = decode_series(encode_series(series.names, series.values))
    assert np.allclose(back.values, VALUES, equal_nan=True)


@pytest.mark.parametrize("wrap", [dict, pd.DataFrame])
def test_channels_of_python_keep_their_names(wrap: Any):
    series = series_of(wrap({"left": [1, None, 3], "right": [True, False, True]}))
    assert series.names == ("left", "right")
    assert np.array_equal(series.values, [[1, 1], [np.nan, 0], [3, 1]], equal_nan=True)


@pytest.mark.parametrize(
    "value", [7, "word", [], [[1, 2], [3]], {"a": [1, 2], "b": [1]}, {}, np.zeros((2, 2, 2)), [np.inf], [None]], ids=str
)
def test_what_is_no_series_of_python_is_refused(value: Any):
    with pytest.raises(BadValue):
        series_of(value)


def test_recordings_of_activities_are_read_and_the_broken_one_is_named(shared_data: Path):
    files = sorted((shared_data / "sensors" / "arem").glob("*/*.csv"))
    if not files:
        pytest.skip("the AReM recordings are not there")
    steps: Counter[int] = Counter()
    faults = {}
    for file in files:
        try:
            series = decode_series(file.read_bytes())
        except BadValue as error:
            faults["/".join(file.parts[-2:])] = str(error)
            continue
        steps[len(series.values)] += 1
        assert series.names == ("time", "avg_rss12", "var_rss12", "avg_rss13", "var_rss13", "avg_rss23", "var_rss23")
        assert np.array_equal(series.values[:3, 0], [0, 250, 500])
    assert steps == {480: 84, 479: 3}
    assert list(faults) == ["bending2/dataset4.csv"]
    assert faults["bending2/dataset4.csv"].startswith("line 2: ")
