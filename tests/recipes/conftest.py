"""Recipes prepared once for all tests that look at them, as `omnifuse demo` does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from omnifuse.data.dataset import SPLIT, Dataset
from omnifuse.recipes import FOLDER, write_recipe
from omnifuse.recipes.av_digits_clean import tables as clean
from omnifuse.recipes.av_digits_degraded import tables as degraded
from omnifuse.train.fit import prepare_recipe
from omnifuse.train.recipe import Recipe

FEW = {"train": 300, "test": 100}
PAIRED = {"av_digits_clean": clean, "av_digits_degraded": degraded}


@pytest.fixture(scope="module")
def data_named(shared_data: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMNIFUSE_DATA", str(shared_data.resolve()))
        yield


@pytest.fixture(scope="module")
def prepare_anew(data_named: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Dataset]:
    """Prepare a recipe in a folder of its own."""

    def prepare(name: str) -> Dataset:
        folder = tmp_path_factory.mktemp(name)
        if name in PAIRED:
            PAIRED[name].write_tables(folder, pairs=FEW)
            recipe = FOLDER / name / "recipe.yaml"
        else:
            recipe = write_recipe(name, folder)
        return prepare_recipe(Recipe.load(recipe), folder)

    return prepare


@pytest.fixture(scope="module")
def prepared(prepare_anew: Callable[[str], Dataset]) -> Callable[[str], Dataset]:
    """A recipe prepared once."""
    return cache(prepare_anew)


@pytest.fixture(scope="module")
def pair_tables(data_named: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Path]]:
    """The tables of pairs, cut short."""
    return cache(lambda name: PAIRED[name].write_tables(tmp_path_factory.mktemp(name), pairs=FEW))


def splits_of(dataset: Dataset) -> list[str]:
    return dataset.take(range(len(dataset)), [SPLIT])[SPLIT]


def parts_of(dataset: Dataset) -> dict[str, Dataset]:
    return {name: dataset.split(name) for name in ("train", "validation", "test")}
