"""The fetch gate: what may be read, and what is refused before it is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from omnifuse.data.fetch import BadValue, fetch, shown

LIMIT = 1000


def _fault(reference: str, root: Path) -> str:
    with pytest.raises(BadValue) as caught:
        fetch(reference, root, LIMIT)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_is_read_relative_to_the_root_or_absolute(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a b 图.bin").write_bytes(b"\x00data")
    assert fetch("deep/a b 图.bin", tmp_path, LIMIT) == b"\x00data"
    assert fetch(str(tmp_path / "deep" / "a b 图.bin"), Path("/nowhere"), LIMIT) == b"\x00data"


def test_a_file_of_exactly_the_limit_is_read(tmp_path: Path):
    (tmp_path / "a").write_bytes(bytes(LIMIT))
    assert len(fetch("a", tmp_path, LIMIT)) == LIMIT


def test_a_missing_file_is_refused(tmp_path: Path):
    assert _fault("no.png", tmp_path) == f"no such file in {tmp_path} (data.root names the folder)"
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert _fault("link", tmp_path).startswith("no such file")


def test_a_folder_is_refused(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    assert _fault("folder", tmp_path) == "not a regular file"


def test_an_empty_file_is_refused(tmp_path: Path):
    (tmp_path / "a.png").touch()
    assert _fault("a.png", tmp_path) == "the file is empty"


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(50_000_000_000)  # sparse: it takes no room on the disk
    tracemalloc.start()
    start = time.perf_counter()
    message = _fault("large", tmp_path)
    elapsed, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "50000.0 MB is over the limit" in message
    assert "max_file_mb" in message
    assert elapsed < 1
    assert peak < 1_000_000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_refused_and_does_not_hang(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    code = "import sys; from pathlib import Path; from omnifuse.data.fetch import fetch; fetch('pipe', Path(sys.argv[1]), 1000)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=30)
    assert "BadValue: not a regular file" in done.stderr


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_a_device_is_refused(tmp_path: Path):
    assert _fault("/dev/zero", tmp_path) == "not a regular file"


@pytest.mark.parametrize("reference", ["a\x00b.png", "\x00", "x" * 5000, "a/" * 3000, "\ud800.png"], ids=repr)
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, reference: str):
    _fault(reference, tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user who may not read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "a").chmod(0)
    assert "cannot be read" in _fault("a", tmp_path)


@pytest.mark.parametrize("password", ["se/cret", "se#cret", "se?cret"])
def test_a_password_with_a_mark_that_ends_the_host_is_not_shown(password: str):
    word = shown(f"https://user:{password}@host.org/a.png?sig=1")
    assert "se" not in word and "cret" not in word


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://host.org:8080/@user/a.png?sig=1", "https://host.org:8080/@user/a.png"),
        ("https://u:p@[::1]:80/a@2x.png", "https://[::1]:80/a@2x.png"),
        ("s3://bucket/a@b.png", "s3://bucket/a@b.png"),
    ],
)
def test_other_addresses_are_shown_without_credentials_and_query(address: str, expected: str):
    assert shown(address) == expected
