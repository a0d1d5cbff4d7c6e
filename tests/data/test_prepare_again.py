"""A second preparation: what must make a dataset anew, and what must not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig
from omnifuse.data.dataset import Dataset
from omnifuse.data.prepare import prepare

SCHEMA = Schema.parse({"photo": "image", "answer": {"modality": "category", "role": "target"}})
ROWS = [{"photo": f"{i}.png", "answer": "yes" if i % 2 else "no"} for i in range(20)]


def _prepare(source: Any, store: Path, base: Path, **config: Any) -> Dataset:
    return prepare(source, SCHEMA, DataConfig.parse({"source": "rows", **config}), store=store, base=base)


def _photos(folder: Path, count: int = 20, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pixels = np.random.default_rng(seed + i).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")


def test_a_file_that_was_missing_and_has_come_is_read(tmp_path: Path):
    _photos(tmp_path, count=19)
    first = _prepare(ROWS, tmp_path / "store", tmp_path)
    assert len(first) == 19
    assert _prepare(ROWS, tmp_path / "store", tmp_path).path == first.path  # nothing has changed yet
    _photos(tmp_path)
    assert len(_prepare(ROWS, tmp_path / "store", tmp_path)) == 20


def test_the_same_words_in_another_folder_are_other_pictures(tmp_path: Path):
    _photos(tmp_path / "one")
    _photos(tmp_path / "two", seed=100)
    one = _prepare(ROWS, tmp_path / "store", tmp_path / "one")
    two = _prepare(ROWS, tmp_path / "store", tmp_path / "two")
    assert set(one.ids()).isdisjoint(two.ids())
    assert _prepare(ROWS, tmp_path / "store", tmp_path / "one").path == one.path


def test_a_lower_limit_holds_for_files_that_are_stored_already(tmp_path: Path):
    _photos(tmp_path)
    _prepare(ROWS, tmp_path / "store", tmp_path)
    with pytest.raises(OmnifuseError, match="over the limit"):
        _prepare(ROWS, tmp_path / "store", tmp_path, max_file_mb=0.0001)


def test_a_store_is_not_opened_at_a_version_that_is_being_written(tmp_path: Path):
    _photos(tmp_path)
    whole = _prepare(ROWS, tmp_path / "store", tmp_path)
    half = shutil.copytree(whole.path, tmp_path / "store" / f".writing-{whole.path.name}-0a1b2c3d")
    (half / "manifest.json").touch()
    assert Dataset.open(tmp_path / "store").path == whole.path
