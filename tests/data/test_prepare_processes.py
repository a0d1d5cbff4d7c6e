"""Preparation that is killed, that runs twice at once, and that meets a full disk."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig
from omnifuse.data.dataset import Dataset
from omnifuse.data.prepare import prepare

COLUMNS = {"text": "text", "answer": {"modality": "category", "role": "target"}}
PREPARE = """if True:
    import sys, time
    from pathlib import Path
    from omnifuse.core.errors import OmnifuseError
    from omnifuse.core.schema import Schema
    from omnifuse.data.config import DataConfig
    from omnifuse.data.prepare import prepare

    table, store, flag, how = sys.argv[1:]

    def progress(count):
        if how == "stop":
            print("half", flush=True)
            time.sleep(60)

    if how == "race":
        print("ready", flush=True)
        while not Path(flag).exists():
            time.sleep(0.001)
    columns = {"text": "text", "answer": {"modality": "category", "role": "target"}}
    try:
        dataset = prepare(table, Schema.parse(columns), DataConfig(source=table), store=Path(store), progress=progress)
    except OmnifuseError as error:
        print(error)
        sys.exit(7)
    print(dataset.path, len(dataset.ids()), flush=True)
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    path.write_text("text,answer\n" + "".join(f"row number {i},{'yes' if i % 3 else 'no'}\n" for i in range(3000)))
    return path


def _start(table: Path, store: Path, how: str, flag: Path | str = "-") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PREPARE, str(table), str(store), str(flag), how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_killed_preparation_leaves_nothing_that_opens_and_the_next_one_succeeds(tmp_path: Path, table: Path):
    store = tmp_path / "store"
    process = _start(table, store, "stop")
    try:
        assert _line(process) == "half"
        assert any(store.iterdir()), "it had begun to write"
    finally:
        process.kill()
        process.communicate(timeout=30)
    assert process.returncode < 0
    assert [path for path in store.iterdir() if not path.name.startswith(".")] == []
    for folder in [store, *(path for path in store.rglob("*") if path.is_dir())]:
        with pytest.raises(OmnifuseError):
            Dataset.open(folder)
    dataset = prepare(table, Schema.parse(COLUMNS), DataConfig(source=str(table)), store=store)
    assert len(dataset.ids()) == 3000


def test_two_preparations_at_once_both_succeed_with_one_dataset(tmp_path: Path, table: Path):
    store, flag = tmp_path / "store", tmp_path / "go"
    processes = [_start(table, store, "race", flag) for _ in range(2)]
    try:
        assert [_line(process) for process in processes] == ["ready", "ready"]
        flag.touch()
        ends = [process.communicate(timeout=60) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], ends
    assert ends[0][0] == ends[1][0]
    path, count = ends[0][0].split()
    assert count == "3000"
    assert [str(entry) for entry in store.iterdir()] == [path]


@pytest.fixture
def small_disk(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("this user may not mount a small disk")
    yield disk
    for _ in range(20):  # a process that has just ended may hold it for a moment
        if subprocess.run(["umount", str(disk)], capture_output=True).returncode == 0:
            return
        time.sleep(0.2)
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_one_clear_line_and_nothing_is_left(small_disk: Path, table: Path):
    process = _start(table, small_disk / "store", "plain")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 7, err
    assert len(out.strip().splitlines()) == 1
    assert "cannot be written" in out
    assert list((small_disk / "store").iterdir()) == []
