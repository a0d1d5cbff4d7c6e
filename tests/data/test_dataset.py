"""Reading a prepared dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig
from omnifuse.data.dataset import Dataset
from omnifuse.data.prepare import prepare

COLUMNS = {"picture": "image", "question": "text", "size": "number", "answer": {"modality": "category", "role": "target"}}


@pytest.fixture
def dataset(colours: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> Dataset:
    folder, rows = colours
    rows[5] = {**rows[5], "picture": None, "size": None}
    return prepare(rows, Schema.parse(COLUMNS), DataConfig(source="rows"), store=tmp_path / "store", root=folder)


def test_rows_come_in_the_order_asked_for_and_as_often(dataset: Dataset):
    everything = dataset.take(range(len(dataset)))
    index = [7, 3, 3, 90, 0, 7]
    taken = dataset.take(index)
    for name in COLUMNS:
        assert taken[name] == [everything[name][i] for i in index]
    assert dataset.take(np.array(index), ["size"]) == {"size": taken["size"]}


def test_no_rows_give_empty_columns(dataset: Dataset):
    assert dataset.take([]) == {name: [] for name in COLUMNS}


def test_a_row_that_is_not_there_is_an_error(dataset: Dataset):
    with pytest.raises(IndexError):
        dataset.take([len(dataset)])


def test_a_split_holds_its_rows_alone(dataset: Dataset):
    ids = [set(dataset.split(name).ids()) for name in ("train", "validation", "test")]
    assert [len(part) for part in ids] == [76, 10, 10]
    assert set.union(*ids) == set(dataset.ids())
    assert len(dataset.split("train")) == 76
    train = dataset.split("train")
    whole = dict(zip(dataset.ids(), dataset.take(range(96), ["question"])["question"], strict=True))
    assert train.take(range(76), ["question"])["question"] == [whole[i] for i in train.ids()]


def test_an_unknown_split_offers_the_nearest(dataset: Dataset):
    with pytest.raises(OmnifuseError, match='unknown split "validaton"; did you mean "validation"'):
        dataset.split("validaton")


def test_media_come_in_the_order_asked_for_and_as_often(dataset: Dataset, colours: tuple[Path, list[dict[str, Any]]]):
    keys = [key for key in dataset.take(range(20), ["picture"])["picture"] if key]
    files = dataset.media(keys)
    assert dataset.media([keys[2], keys[0], keys[2]]) == [files[2], files[0], files[2]]
    assert set(files) <= {path.read_bytes() for path in colours[0].iterdir()}
    assert dataset.media([]) == []


def test_present_gives_the_values_and_files_that_are_there(dataset: Dataset):
    sizes = dataset.take(range(96), ["size"])["size"]
    assert list(dataset.present("size")) == [size for size in sizes if size is not None]
    assert len(list(dataset.present("picture"))) == 95
    assert next(iter(dataset.present("picture"))).startswith(b"\x89PNG")


def test_absent_rows_are_counted_by_split(dataset: Dataset):
    assert [dataset.absent(name) for name in COLUMNS] == [1, 0, 1, 0]
    assert sum(dataset.split(name).absent("size") for name in ("train", "validation", "test")) == 1


def test_a_dataset_is_opened_from_python(dataset: Dataset):
    again = of.Dataset.open(str(dataset.path))
    assert again.ids() == dataset.ids()
    assert list(again.schema) == list(COLUMNS)
    assert again.schema.targets == ["answer"]
    assert "96 rows" in repr(again)


def test_what_is_no_dataset_is_refused(tmp_path: Path):
    with pytest.raises(OmnifuseError, match="there is no prepared dataset here"):
        Dataset.open(tmp_path / "nothing")


def test_a_dataset_of_another_format_is_refused(dataset: Dataset):
    manifest = dataset.path / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 999}))
    with pytest.raises(OmnifuseError, match=r"format 999.*prepare it again"):
        Dataset.open(dataset.path)
