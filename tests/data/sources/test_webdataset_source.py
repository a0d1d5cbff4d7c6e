"""Tars: rows of files, damage that is told, bombs that are refused before they unfold."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.sources import read_source
from omnifuse.data.sources.webdataset import shards
from omnifuse.data.table import Table, iterate_rows


def write_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def _table(path: str, base: Path, **options: Any) -> Table:
    table = read_source({"name": "webdataset", "path": path, **options}, base)
    assert isinstance(table, Table)
    return table


def _rows(path: str, base: Path) -> list[dict[str, Any]]:
    return list(iterate_rows(_table(path, base)))


FILES = {
    "./a/01.png": b"\x89PNG",
    "./a/01.txt": b" one\n",
    "./a/01.json": b'{"size": 3}',
    "a/02.png": b"\x00",
    "a/02.cls": b"7",
    "README": b"no ending",
    ".hidden": b"x",
    "b/02.seg.png": b"\x01",
}
EXPECTED = [
    {"__key__": "a/01", "png": b"\x89PNG", "txt": "one", "size": 3, "cls": None, "seg.png": None},
    {"__key__": "a/02", "png": b"\x00", "txt": None, "size": None, "cls": "7", "seg.png": None},
    {"__key__": "b/02", "png": None, "txt": None, "size": None, "cls": None, "seg.png": b"\x01"},
]


@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz")])
def test_files_of_one_stem_are_one_row(tmp_path: Path, name: str, mode: str):
    write_tar(tmp_path / name, FILES, mode)
    assert _rows(name, tmp_path) == EXPECTED
    assert list(iterate_rows(read_source(name, tmp_path))) == EXPECTED, "a path that ends so is one of these"
    assert list(iterate_rows(_table(name, tmp_path), ["cls"])) == [{"cls": None}, {"cls": "7"}, {"cls": None}]


def test_shards_are_read_in_order(tmp_path: Path):
    for number in range(8, 12):
        write_tar(tmp_path / f"train-{number:03}.tar", {f"{number}.txt": str(number).encode()})
    assert [row["txt"] for row in _rows("train-{009..011}.tar", tmp_path)] == ["9", "10", "11"]
    assert [row["txt"] for row in _rows("*.tar", tmp_path)] == ["8", "9", "10", "11"]
    assert len(shards("{0..1}/{0..9}.tar")) == 20
    with pytest.raises(OmnifuseError, match="no such file"):
        _rows("train-{009..012}.tar", tmp_path)
    with pytest.raises(OmnifuseError, match="stands for no shards"):
        shards("{0..99999999}.tar")


def test_a_bad_row_is_set_aside_and_the_others_go_on(tmp_path: Path):
    files = {"1.txt": b"a", "2.txt": b"\xff", "3.bin": bytes(3000), "4.json": b"{", "5.txt": b"b", "6.txt": b"c", "6.json": b'{"txt": 1}'}
    write_tar(tmp_path / "a.tar", files)
    table = _table("a.tar", tmp_path, max_file_mb=0.002)
    assert [row["txt"] for row in iterate_rows(table)] == ["a", "b"]
    bad = {row["value"]: row["reason"] for row in table.bad_rows()}
    assert bad["2.txt"] == "is not UTF-8 text"
    assert bad["3.bin"] == "0.0 MB is over the limit of 0.0 MB (max_file_mb)"
    assert bad["4.json"] == "is not JSON"
    assert "both a key" in bad["6.json"]
    assert len(bad) == 4


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_that_is_cut_off_is_named(tmp_path: Path, mode: str, cut: float):
    data = write_tar(tmp_path / "whole.tar", {f"{n}.bin": zlib.compress(bytes([n]) * 9000) * 300 for n in range(9)}, mode).read_bytes()
    (tmp_path / "a.tar").write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(OmnifuseError, match=r"a.tar: .*(is damaged or cut off|more than a tar of)"):
        _rows("a.tar", tmp_path)


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "empty|damaged"), (b"no tar at all" * 100, "damaged"), (bytes(10240), "no files with endings")]
)
def test_what_is_no_tar_is_refused(tmp_path: Path, data: bytes, reason: str):
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(OmnifuseError, match=reason):
        _rows("a.tar", tmp_path)


def test_links_and_strange_names_lead_nowhere(tmp_path: Path):
    (tmp_path / "secret.txt").write_text("secret")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, kind in (("1.txt", tarfile.SYMTYPE), ("2.txt", tarfile.LNKTYPE), ("3.txt", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, str(tmp_path / "secret.txt")
            tar.addfile(member)
        for name in ("../../up.txt", "/etc/abs.txt"):
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    assert [row["txt"] for row in _rows("a.tar", tmp_path)] == ["x", "x"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "secret.txt"]


def test_twins_are_refused(tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for _ in range(2):
            tar.addfile(tarfile.TarInfo("1.txt"))
    with pytest.raises(OmnifuseError, match=r"has 1\.txt twice"):
        _rows("a.tar", tmp_path)


def _header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def _gzipped(path: Path, head: bytes, zeros_mb: int) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(head)
        for _ in range(zeros_mb):
            file.write(bytes(1 << 20))


def _gzip_members(path: Path, count: int, size_mb: int) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for number in range(count):
            file.write(_header(f"{number}.bin", size_mb << 20) + bytes(size_mb << 20))


def _tiny(path: Path, count: int, name: Callable[[int], str]) -> None:
    block = zlib.compressobj(1, wbits=31)
    with path.open("wb") as file:
        for number in range(count):
            file.write(block.compress(_header(name(number), 0)))
        file.write(block.compress(bytes(1024)) + block.flush())


BOMBS: dict[str, Callable[[Path], None]] = {
    "a gigabyte of zeros in one file": lambda path: _gzipped(path, _header("1.bin", 1 << 30), 200),
    "a head that claims a terabyte": lambda path: path.write_bytes(_header("1.bin", 1 << 40) + bytes(1024)) and None,
    "a packed head that claims a terabyte": lambda path: _gzipped(path, _header("1.bin", 1 << 40), 1),
    "a name of a gigabyte": lambda path: _gzipped(path, _header("long", 1 << 30, tarfile.GNUTYPE_LONGNAME), 150),
    "a pax head of a gigabyte": lambda path: _gzipped(path, _header("long", 1 << 30, tarfile.XHDTYPE), 150),
    "files of one key without end": lambda path: _tiny(path, 2_000, lambda number: f"1.e{number}"),
    "endings without end": lambda path: _tiny(path, 5_000, lambda number: f"{number}.e{number}"),
    "zeros in many files": lambda path: _gzip_members(path, 10, 16),
}
CODE = """if True:
    import resource, sys, time
    from pathlib import Path
    from omnifuse.core.errors import OmnifuseError
    from omnifuse.data.sources import read_source
    from omnifuse.data.table import iterate_rows
    list(iterate_rows(read_source(sys.argv[1], Path())))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    try:
        count = sum(1 for _ in iterate_rows(read_source(sys.argv[2], Path())))
        print(f"{count} rows")
    except OmnifuseError as error:
        print("refused:", error)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, time.monotonic() - start)
"""


def _measured(path: Path) -> tuple[str, int, float]:
    """What becomes of a tar in a fresh process: answer, growth of its memory in MB, seconds."""
    plain = write_tar(path.parent / "plain.tar", {"1.txt": b"x"})
    done = subprocess.run([sys.executable, "-c", CODE, str(plain), str(path)], capture_output=True, text=True, timeout=120)
    answer, numbers = done.stdout.strip().split("\n")
    return answer, int(numbers.split()[0]), float(numbers.split()[1])


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_memory(tmp_path: Path, name: str):
    path = tmp_path / "bomb.tar"
    BOMBS[name](path)
    answer, grown_mb, seconds = _measured(path)
    assert answer.startswith(f"refused: {path}: "), answer
    assert grown_mb < 64
    assert seconds < 5


def test_many_tiny_files_are_many_rows_in_little_memory(tmp_path: Path):
    path = tmp_path / "tiny.tar"
    _tiny(path, 10_000, lambda number: f"{number}.txt")
    answer, grown_mb, _ = _measured(path)
    assert answer == "10000 rows"
    assert grown_mb < 32
