"""Writes happen whole or not at all."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from omnifuse.core.atomic import read_json, remove_leftovers, replacing, write_json, write_text
from omnifuse.core.errors import OmnifuseError


def test_a_file_is_replaced_whole(tmp_path: Path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("new, ünïcode")
        assert path.read_text() == "old", "the old file stays until the block has ended"
    assert path.read_text() == "new, ünïcode"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folders_are_made(tmp_path: Path):
    write_text(tmp_path / "a" / "b" / "c.txt", "x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


@pytest.mark.parametrize("fault", [KeyError("no"), KeyboardInterrupt()])
def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path: Path, fault: BaseException):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise fault

    with pytest.raises(type(fault)):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole(tmp_path: Path):
    target = tmp_path / "data"
    with replacing(target) as folder:
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "x").write_text("1")
        assert not target.exists()
    assert (target / "deep" / "x").read_text() == "1"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_whose_block_raises_does_not_appear(tmp_path: Path):
    def write() -> None:
        with replacing(tmp_path / "data") as folder:
            folder.mkdir()
            (folder / "x").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_already_there_is_left_alone(tmp_path: Path):
    target = tmp_path / "data"
    target.mkdir()
    (target / "x").write_text("first")
    with replacing(target) as folder:
        folder.mkdir()
        (folder / "x").write_text("second")
    assert (target / "x").read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_json_comes_back_as_it_was(tmp_path: Path):
    value = {"name": "数据", "numbers": [1, 2.5, None], "deep": {"x": True}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json", "thing") == value
    assert "数据" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_reading_what_is_not_there_or_damaged_says_so(tmp_path: Path):
    with pytest.raises(OmnifuseError, match="there is no manifest here"):
        read_json(tmp_path / "no.json", "manifest")
    for damage in (b'{"a": ', b"\xff\xfe\x00"):
        (tmp_path / "bad.json").write_bytes(damage)
        with pytest.raises(OmnifuseError, match="this manifest cannot be read"):
            read_json(tmp_path / "bad.json", "manifest")


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OmnifuseError, match="cannot be written") as caught:
        write_text(tmp_path / "file" / "inner.txt", "y")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "x"


def test_leftovers_of_a_killed_write_are_removed_and_nothing_else(tmp_path: Path):
    code = """
        import os, signal, sys
        from omnifuse.core.atomic import replacing
        with replacing(sys.argv[1]) as folder:
            folder.mkdir()
            (folder / "x").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    write_text(tmp_path / "kept.txt", "x")
    target = tmp_path / "data"
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(target)], timeout=60).returncode < 0
    assert not target.exists()
    assert len(list(tmp_path.iterdir())) == 2
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "kept.txt"]


WRITE_TOO_MUCH = """
    import resource, sys
    from omnifuse.core.atomic import replacing, write_text
    from omnifuse.core.errors import OmnifuseError
    if sys.argv[2] == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        if sys.argv[3] == "file":
            write_text(sys.argv[1], "new " * 1_000_000)
        else:
            with replacing(sys.argv[1]) as folder:
                folder.mkdir()
                (folder / "weights").write_bytes(bytes(4_000_000))
    except OmnifuseError as error:
        print(error)
        sys.exit(7)
"""


def _write_too_much(path: Path, how: str, kind: str) -> str:
    command = [sys.executable, "-c", textwrap.dedent(WRITE_TOO_MUCH), str(path), how, kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 7, done.stderr
    assert len(done.stdout.strip().splitlines()) == 1
    assert str(path) in done.stdout
    assert "nothing was changed" in done.stdout
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX processes")
def test_a_write_that_the_system_cuts_off_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    _write_too_much(path, "limit", "file")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def small_disk(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("this user may not mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_full_disk_is_one_clear_line_and_keeps_what_was_there(small_disk: Path, kind: str):
    (small_disk / "a").write_text("old")
    message = _write_too_much(small_disk / ("a" if kind == "file" else "data"), "disk", kind)
    assert "No space left" in message
    assert (small_disk / "a").read_text() == "old"
    assert list(small_disk.iterdir()) == [small_disk / "a"]
