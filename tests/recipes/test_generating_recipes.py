"""Tables of the recipes that generate: what is in them, and that test values are not in the training split."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from omnifuse.data.decode.series import decode_series
from omnifuse.recipes import write_recipe
from omnifuse.recipes.digits_any.tables import write_tables as write_any
from omnifuse.recipes.generate.tables import WORDS


def test_digits_come_from_scikit_learn_where_there_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.datasets import load_digits

    monkeypatch.delenv("OMNIFUSE_DATA", raising=False)
    known: Any = load_digits()
    write_recipe("generate", tmp_path)
    train, test = (pq.read_table(tmp_path / f"{split}.parquet").to_pylist() for split in ("train", "test"))
    assert (len(train), len(test)) == (20 * 1438, 359)
    assert {row["image"] for row in train}.isdisjoint(row["image"] for row in test)
    assert all(WORDS[int(row["digit"])] == row["word"] for row in train)
    counts = np.bincount([int(row["digit"]) for row in train]) / 20 + np.bincount([int(row["digit"]) for row in test])
    assert counts.tolist() == np.bincount(known["target"]).tolist()
    assert len({row["image"] for row in train}) > 19 * 1438, "turned and moved"
    with Image.open(io.BytesIO(train[0]["image"])) as picture:
        assert picture.size == (28, 28)


@pytest.mark.usefixtures("data_named")
@pytest.mark.parametrize(
    ("name", "parts", "length"), [("basicmotions_forecast", ("past", "future"), 40), ("basicmotions_gap", ("before", "gap", "after"), 40)]
)
def test_windows_are_cut_where_the_recipe_says(name: str, parts: tuple[str, ...], length: int, tmp_path: Path) -> None:
    write_recipe(name, tmp_path)
    for split in ("train", "test"):
        rows = pq.read_table(tmp_path / f"{split}.parquet").to_pylist()
        assert len(rows) == 40 * 13
        assert len({row["case"] for row in rows}) == 40
        whole = [np.concatenate([decode_series(row[part]).values for part in parts]) for row in rows[:2]]
        assert all(len(window) == length for window in whole)
        assert np.array_equal(whole[0][5:], whole[1][:-5]), "windows of one series overlap"


@pytest.mark.usefixtures("data_named")
def test_words_stand_beside_pictures_and_sounds(tmp_path: Path) -> None:
    tables = write_any(tmp_path, pairs={"train": 40, "test": 20})
    for split, count in (("train", 40), ("test", 20)):
        rows = pq.read_table(tables[split]).to_pylist()
        assert len(rows) == count
        assert all(row["word"] == WORDS[int(row["digit"])] and row["clip"].startswith(row["digit"]) for row in rows)


@pytest.mark.usefixtures("data_named")
def test_spoken_digits_are_divided_by_the_number_of_the_clip(tmp_path: Path) -> None:
    write_recipe("spoken_digits", tmp_path)
    train, test = (pq.read_table(tmp_path / f"{split}.parquet") for split in ("train", "test"))
    assert (len(train), len(test)) == (2700, 300)
    assert set(test["word"].to_pylist()) == set(WORDS)
