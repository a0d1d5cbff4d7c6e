"""Recipes that would hang, escape their folder, or end in a traceback are refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.data.table import iterate_rows, read_table
from omnifuse.train.recipe import Recipe, apply_settings

BASE: dict[str, Any] = {
    "name": "limits",
    "columns": {"words": "text", "photo": "image", "y": {"modality": "category", "role": "target"}},
    "data": {"source": "t.csv"},
}


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("name=../esc", "cannot name files"),
        ("name=.hidden", "cannot name files"),
        ("train.epochs=.inf", "train.epochs"),
        ("train.optimizer={lr: .nan}", "lr"),
        ("train.batch_size=10000000000", "train.batch_size"),
        ("model.dim=7", "4 attention heads"),
        ("columns.photo={modality: image, mean: [0.5, 0.5]}", "each of the 3 channels"),
        ("columns.words={modality: text, name: x}", "named by its key"),
        ("model.encoders.words={name: ngram, buckets: 100000000000}", "buckets"),
    ],
)
def test_an_option_beyond_its_limit_is_named(setting: str, told: str) -> None:
    with pytest.raises(OmnifuseError, match=told) as caught:
        Recipe.make(apply_settings(BASE, [setting]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("setting", ["name=2024-13-45", "seed=" + "1" * 5000, "x={a: &b [1], c: *b}"])
def test_a_setting_that_yaml_cannot_read_is_refused(setting: str) -> None:
    with pytest.raises(OmnifuseError, match="not valid YAML"):
        apply_settings(BASE, [setting])


def test_aliases_that_multiply_are_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(OmnifuseError, match="aliases"):
        Recipe.load(tmp_path / "bomb.yaml")


def test_scalars_of_numpy_are_numbers_like_others(tmp_path: Path) -> None:
    rows = [{"x": np.int64(i % 7), "n": np.float32(i), "b": np.bool_(i % 2), "y": "even" if i % 2 == 0 else "odd"} for i in range(40)]
    pipeline = of.fit(rows, target="y", out=tmp_path / "run", settings={"train.epochs": 1})
    assert pipeline.schema.inputs == ["x", "n", "b"]


def test_columns_that_are_numbered_are_named_by_words() -> None:
    frame = pd.DataFrame({0: [1, 2], 1: ["a", "b"]})
    assert list(iterate_rows(read_table(frame))) == [{"0": 1, "1": "a"}, {"0": 2, "1": "b"}]
    with pytest.raises(OmnifuseError, match="two columns of one name"):
        read_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_a_validation_without_any_known_label_stops_the_run(tmp_path: Path) -> None:
    rows = [{"x": float(i), "y": f"label {i % 2}", "part": "train"} for i in range(20)]
    rows += [{"x": float(i), "y": f"new {i}", "part": "validation"} for i in range(4)]
    rows += [{"x": 1.0, "y": "label 1", "part": "test"}]
    columns = {"x": "number", "y": {"modality": "category", "role": "target"}}
    with pytest.raises(OmnifuseError, match="no validation row has a target that training knows"):
        of.fit(rows, columns=columns, out=tmp_path / "run", settings={"data.split.column": "part", "train.epochs": 1})
