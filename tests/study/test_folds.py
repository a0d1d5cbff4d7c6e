"""Folds: nothing a model is judged on was seen by it, and a study that was killed goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.annotate.rows import Subset
from omnifuse.data.config import DataConfig
from omnifuse.data.dataset import Dataset
from omnifuse.data.prepare import prepare
from omnifuse.study.folds import assign_folds, group_keys, predict_out_of_fold
from omnifuse.train.recipe import Recipe
from omnifuse.train.tracking import Silent

RECIPE: dict[str, Any] = {
    "columns": {"size": "number", "shop": "category", "answer": {"modality": "category", "role": "target"}},
    "data": {"source": "given"},
    "model": {"dim": 8, "fusion": "concat"},
    "train": {"epochs": 3, "batch_size": 16, "device": "cpu"},
}


def rows_of(count: int = 90, seed: int = 0) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        size = round(float(random.normal()), 4)
        rows.append({"size": size, "shop": f"s{i % 3}", "answer": "large" if size > 0 else "small", "who": f"p{i // 6}"})
    return rows


def dataset_of(folder: Path, rows: list[dict[str, Any]], **split: Any) -> Dataset:
    recipe = Recipe.make(RECIPE)
    config = DataConfig.parse({"source": "given", "split": {"validation": 0.1, "test": 0.1, **split}})
    return prepare(rows, recipe.columns, config, store=folder / "store")


class Stops(Silent):
    """Ends the program, as a power cut would, when it has been told so many things."""

    def __init__(self, after: int, on: str) -> None:
        self.left, self.on = after, on

    def said(self, message: str) -> None:
        self._count("said")

    def validated(self, entry: dict[str, Any]) -> None:
        self._count("validated")

    def _count(self, what: str) -> None:
        if what == self.on:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt


def test_groups_stay_whole_labels_are_spread_and_the_order_does_not_matter():
    random = np.random.default_rng(0)
    groups = [f"g{i}" for i in random.integers(0, 60, 600)]
    labels = [("rare" if int(group[1:]) % 10 == 0 else "common") if random.random() > 0.05 else None for group in groups]
    folds = assign_folds(groups, labels, 5, seed=1)
    assert set(folds[[label is None for label in labels]]) == {-1}
    by_group: dict[str, set[int]] = {}
    for group, fold in zip(groups, folds.tolist(), strict=True):
        if fold >= 0:
            by_group.setdefault(group, set()).add(fold)
    assert all(len(each) == 1 for each in by_group.values())
    rare = {group: min(each) for group, each in by_group.items() if int(group[1:]) % 10 == 0}
    assert sorted(np.bincount(list(rare.values()), minlength=5))[-1] == 2, "six rare groups over five folds"
    back = assign_folds(groups[::-1], labels[::-1], 5, seed=1)
    assert (back[::-1] == folds).all()
    assert (assign_folds(groups, labels, 5, seed=2) != folds).any()


def test_fewer_groups_than_folds_is_refused():
    with pytest.raises(OmnifuseError, match=r"--folds: 5 folds cannot be cut from 2"):
        assign_folds(["a", "a", "b"], ["x", "y", "x"], 5, seed=0)


def test_rows_of_one_group_and_rows_with_the_same_inputs_stay_together(tmp_path: Path):
    rows = rows_of(60)
    rows[30] = {**rows[0], "who": "p9", "answer": "small"}  # the inputs of row 0, in another group
    dataset = dataset_of(tmp_path, rows, by="who")
    keys = group_keys(dataset)
    values = dataset.take(range(len(dataset)), ["size", "__group__"])
    by_group: dict[str, set[str]] = {}
    for key, group in zip(keys, values["__group__"], strict=True):
        by_group.setdefault(group, set()).add(key)
    assert all(len(each) == 1 for each in by_group.values())
    twins = {key for key, size in zip(keys, values["size"], strict=True) if size == rows[0]["size"]}
    assert len(twins) == 1, "two groups that share a row are one"


def test_a_subset_is_read_like_a_dataset(tmp_path: Path):
    dataset = dataset_of(tmp_path, rows_of(40))
    subset = Subset(dataset, [5, 3, 30])
    everything = dataset.take(range(len(dataset)), ["size", "answer"])
    assert subset.take([0, 2, 0], ["size"])["size"] == [everything["size"][i] for i in (5, 30, 5)]
    assert list(subset.present("answer")) == [everything["answer"][i] for i in (5, 3, 30)]
    assert (len(subset), subset.absent("shop")) == (3, 0)


def test_every_row_with_a_target_is_predicted_once_and_well(tmp_path: Path):
    dataset = dataset_of(tmp_path, rows_of())
    recipe = Recipe.make({**RECIPE, "train": {**RECIPE["train"], "epochs": 25, "optimizer": {"name": "adamw", "lr": 0.01}}})
    found = predict_out_of_fold(dataset, recipe, "answer", tmp_path / "study", folds=3)
    assert found.labels == ["large", "small"]
    assert not np.isnan(found.scores).any()
    np.testing.assert_allclose(found.scores.sum(axis=1), 1, atol=1e-5)
    given = dataset.take(range(len(dataset)), ["answer"])["answer"]
    right = np.mean([found.labels[i] == label for i, label in zip(found.scores.argmax(axis=1), given, strict=True)])
    assert right > 0.9
    assert not list((tmp_path / "study").glob("fold-*/")), "models of finished folds are removed"


@pytest.mark.parametrize(("on", "after"), [("said", 1), ("validated", 4)], ids=["between folds", "within a fold"])
def test_a_study_that_was_killed_goes_on_to_the_same_numbers(tmp_path: Path, on: str, after: int):
    dataset, recipe = dataset_of(tmp_path, rows_of()), Recipe.make(RECIPE)
    whole = predict_out_of_fold(dataset, recipe, "answer", tmp_path / "whole", folds=3)
    with pytest.raises(KeyboardInterrupt):
        predict_out_of_fold(dataset, recipe, "answer", tmp_path / "killed", folds=3, observer=Stops(after, on))
    first = (tmp_path / "killed" / "fold-0.safetensors").stat().st_mtime_ns
    assert not (tmp_path / "killed" / "fold-2.safetensors").exists()
    again = predict_out_of_fold(dataset, recipe, "answer", tmp_path / "killed", folds=3)
    assert np.array_equal(again.scores, whole.scores)
    assert (tmp_path / "killed" / "fold-0.safetensors").stat().st_mtime_ns == first, "a finished fold is not trained again"


def test_another_study_is_not_overwritten(tmp_path: Path):
    dataset, recipe = dataset_of(tmp_path, rows_of()), Recipe.make({**RECIPE, "train": {"epochs": 1, "batch_size": 32, "device": "cpu"}})
    predict_out_of_fold(dataset, recipe, "answer", tmp_path / "study", folds=2)
    with pytest.raises(OmnifuseError, match="another folds"):
        predict_out_of_fold(dataset, recipe, "answer", tmp_path / "study", folds=3)
    with pytest.raises(OmnifuseError, match="another train"):
        predict_out_of_fold(dataset, Recipe.make(RECIPE), "answer", tmp_path / "study", folds=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(OmnifuseError, match="not a study"):
        predict_out_of_fold(dataset, recipe, "answer", tmp_path / "mine", folds=2)
