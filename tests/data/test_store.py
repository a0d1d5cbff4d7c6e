"""What a store keeps between preparations: media and what is known of them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pytest
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data import scan
from omnifuse.data.config import DataConfig
from omnifuse.data.dataset import Dataset
from omnifuse.data.modalities.processor import Facts
from omnifuse.data.prepare import prepare
from omnifuse.data.store import MediaReader, Store

SCHEMA = Schema.parse({"photo": "image", "answer": {"modality": "category", "role": "target"}})


def _png(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for number in range(40):
        (tmp_path / f"{number}.png").write_bytes(_png(number))
    rows = [f"{number % 40}.png,{'ab'[number % 2]}" for number in range(80)]
    (tmp_path / "t.csv").write_text("photo,answer\n" + "\n".join(rows) + "\n")
    return tmp_path / "t.csv"


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which files are fetched and decoded."""
    seen: list[str] = []
    original = scan.Examine._one

    def count(self: Any, reference: Any, processor: Any) -> Any:
        seen.append(str(reference.value))
        return original(self, reference, processor)

    monkeypatch.setattr(scan.Examine, "_one", count)
    return seen


def _prepare(table: Path, store: Path, seed: int = 0, **config: Any) -> Dataset:
    return prepare(table, SCHEMA, DataConfig.parse({"source": str(table), **config}), store=store, seed=seed)


def test_another_split_examines_no_file_again_and_stores_none_twice(tmp_path: Path, table: Path, examined: list[str]):
    first = _prepare(table, tmp_path / "store")
    assert len(examined) == 40
    second = _prepare(table, tmp_path / "store", seed=1, split={"test": 0.2})
    assert len(examined) == 40
    assert second.path != first.path
    assert lance.dataset(str(tmp_path / "store" / "media.lance")).count_rows() == 40
    keys = second.take(range(80), ["photo"])["photo"]
    assert set(second.media(keys)) == {_png(number) for number in range(40)}


def test_only_what_changed_is_examined_again(tmp_path: Path, table: Path, examined: list[str]):
    first = _prepare(table, tmp_path / "store")
    (tmp_path / "7.png").write_bytes(_png(700))
    os.utime(tmp_path / "7.png", ns=(1, 1))
    with table.open("a") as file:
        file.write("new.png,a\n")
    (tmp_path / "new.png").write_bytes(_png(900))
    del examined[:]
    second = _prepare(table, tmp_path / "store")
    assert sorted(examined) == ["7.png", "new.png"]
    files = set(second.media(second.take(range(81), ["photo"])["photo"]))
    assert _png(700) in files
    assert _png(7) not in files
    assert _png(7) in set(first.media(first.take(range(80), ["photo"])["photo"])), "the older version still stands"


def test_a_picture_that_changed_makes_a_new_version_even_where_the_table_did_not(tmp_path: Path, table: Path):
    first = _prepare(table, tmp_path / "store")
    assert _prepare(table, tmp_path / "store").path == first.path
    (tmp_path / "3.png").write_bytes(_png(333))
    os.utime(tmp_path / "3.png", ns=(5, 5))
    second = _prepare(table, tmp_path / "store")
    assert second.path != first.path
    assert second.manifest["content"] != first.manifest["content"]


def test_the_newest_version_is_opened_by_the_name_of_the_store(tmp_path: Path, table: Path):
    _prepare(table, tmp_path / "store")
    newest = _prepare(table, tmp_path / "store", seed=3)
    assert Dataset.open(tmp_path / "store").path == newest.path


def test_facts_tell_what_was_seen(tmp_path: Path, table: Path):
    dataset = _prepare(table, tmp_path / "store")
    keys = dataset.take([0, 1], ["photo"])["photo"]
    assert [dict(facts.numbers) for facts in dataset.facts("photo", keys)] == [{"height": 8, "width": 8}] * 2


def test_media_that_were_removed_are_missed_clearly(tmp_path: Path, table: Path):
    import shutil

    dataset = _prepare(table, tmp_path / "store")
    shutil.rmtree(tmp_path / "store" / "media.lance")
    with pytest.raises(OmnifuseError, match=r"media files of this dataset are missing; prepare it again"):
        Dataset.open(dataset.path).media(dataset.take([0], ["photo"])["photo"])


SLOWLY = """
import sys, time
from pathlib import Path
from omnifuse.core.schema import Schema
from omnifuse.data import scan, store
from omnifuse.data.config import DataConfig
from omnifuse.data.prepare import prepare

table, folder = sys.argv[1:]
scan.CHUNK_ROWS, store.BATCH_FILES = 8, 4
original = scan.Scanner._chunk

def chunk(self, *given):
    result = original(self, *given)
    print("chunk", flush=True)
    time.sleep(0.2)
    return result

scan.Scanner._chunk = chunk
schema = Schema.parse({"photo": "image", "answer": {"modality": "category", "role": "target"}})
prepare(table, schema, DataConfig(source=table), store=Path(folder))
"""


def test_a_killed_preparation_goes_on_with_the_files_it_has_examined(tmp_path: Path, table: Path, examined: list[str]):
    store = tmp_path / "store"
    process = subprocess.Popen([sys.executable, "-c", SLOWLY, str(table), str(store)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for _ in range(4):
            assert process.stdout.readline() == "chunk\n"
        deadline = time.monotonic() + 20
        while not (store / "paths.lance").is_dir() and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.kill()
        process.communicate(timeout=30)
    with pytest.raises(OmnifuseError, match="no prepared dataset"):
        Dataset.open(store)
    dataset = _prepare(table, store)
    assert len(dataset) == 80
    assert 0 < len(examined) < 40
    fresh = _prepare(table, tmp_path / "other")
    assert dataset.manifest["content"] == fresh.manifest["content"]
    assert [path.name for path in store.iterdir() if path.name.startswith(".")] == []


def test_two_preparations_of_different_splits_at_once_share_a_store(tmp_path: Path, table: Path):
    program = SLOWLY.replace("time.sleep(0.2)", "time.sleep(0.01)").replace("(source=table)", "(source=table), seed=SEED")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program.replace("SEED", str(seed)), str(table), str(tmp_path / "store")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2)
    ]
    ends = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends
    for seed in (1, 2):
        shared = _prepare(table, tmp_path / "store", seed=seed)
        alone = _prepare(table, tmp_path / f"alone{seed}", seed=seed)
        assert shared.manifest["content"] == alone.manifest["content"]
        keys = shared.take(range(80), ["photo"])["photo"]
        assert shared.media(keys) == alone.media(keys)


def test_a_folder_that_a_killed_first_write_left_is_no_table(tmp_path: Path):
    for name in ("media", "seen", "paths"):
        (tmp_path / f"{name}.lance" / "data").mkdir(parents=True)
    (tmp_path / "media.lance" / "_versions").mkdir()
    with Store(tmp_path) as store:
        store.add("k" * 40, "image", None, Facts({"height": 1}), b"file")
    assert MediaReader(tmp_path).read(["k" * 40]) == [b"file"]


@pytest.mark.parametrize("name", ["media", "seen", "paths"])
def test_a_damaged_table_says_what_to_do(tmp_path: Path, name: str):
    with Store(tmp_path) as store:
        store.add("k" * 40, "image", None, Facts({"height": 1}), b"file")
        store.remember("a.png", 1, 2, "k" * 40)
    for file in (tmp_path / f"{name}.lance" / "data").iterdir():
        file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(OmnifuseError, match=r"damaged; remove .* and prepare again"):
        Store(tmp_path)
