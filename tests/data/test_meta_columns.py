"""Columns kept beside the rows: for evaluation and splits, neither read nor answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig
from omnifuse.data.prepare import prepare

ROWS: list[dict[str, Any]] = [
    {
        "size": float(i % 40),
        "word": f"word {i}",
        "age": None if i % 5 == 0 else i,
        "sex": "f" if i % 2 else "m",
        "sold": "yes" if i % 3 else "no",
    }
    for i in range(120)
]
USED: dict[str, Any] = {"size": "number", "word": "text", "sold": {"modality": "category", "role": "target"}}
BESIDE: dict[str, Any] = {"age": {"modality": "number", "role": "meta"}, "sex": {"modality": "category", "role": "meta"}}
SMALL = {"model.dim": 8, "train.epochs": 1, "model.fusion": "concat"}


def prepared(columns: dict[str, Any], store: Path, config: DataConfig | None = None) -> of.Dataset:
    return prepare(ROWS, Schema.parse(columns), config or DataConfig(source=""), store=store)


def test_a_column_kept_beside_the_rows_is_stored_and_moves_no_row_to_another_split(tmp_path: Path):
    without, beside = prepared(USED, tmp_path / "a"), prepared({**BESIDE, **USED}, tmp_path / "b")
    assert without.ids() == beside.ids()
    for split in ("train", "validation", "test"):
        assert without.split(split).ids() == beside.split(split).ids()
    row = beside.split("test").take([0])
    original = next(each for each in ROWS if each["word"] == row["word"][0])
    assert (row["sex"], row["age"]) == ([original["sex"]], [original["age"]])
    assert beside.manifest["absent"]["age"] == 24


def test_it_may_divide_the_rows(tmp_path: Path):
    config = DataConfig.parse({"source": "", "split": {"by": "sex", "validation": 0, "test": 0.5}}, "data")
    dataset = prepared({**USED, **BESIDE}, tmp_path, config)
    assert len({*dataset.split("test").take(range(len(dataset.split("test"))), ["sex"])["sex"]}) == 1


def test_the_report_shows_it(tmp_path: Path):
    page = prepared({**USED, **BESIDE}, tmp_path).report().read_text(encoding="utf-8")
    assert "to be learned: sold (category); kept beside them: age (number) and sex (category)." in page


def test_files_are_not_kept_beside_the_rows(tmp_path: Path):
    with pytest.raises(OmnifuseError, match=r"^columns.photo.role: files of the modality image are not kept beside the rows as meta"):
        prepared({**USED, "photo": {"modality": "image", "role": "meta"}}, tmp_path)


def test_a_model_is_trained_judged_and_asked_without_it(tmp_path: Path):
    pipeline = of.fit(ROWS, columns={**BESIDE, **USED}, out=tmp_path / "run", settings=SMALL)
    again = of.Pipeline.load(tmp_path / "run")
    assert again.schema.meta == ["age", "sex"]
    assert set(again.processors) == set(USED)
    asked = [{"size": 3.0, "word": "word 3"}]
    assert again.predict(asked) == pipeline.predict(asked) == again.predict([{**asked[0], "sex": "f"}])
    judged = of.evaluate(again, ROWS)
    bare = of.evaluate(again, [{name: row[name] for name in USED} for row in ROWS])
    assert judged.metrics == bare.metrics
    assert "sex" in of.Dataset.open(tmp_path / "run" / "dataset").schema


def test_what_it_holds_changes_nothing_that_is_learned(tmp_path: Path):
    one = of.fit(ROWS, columns={**USED, **BESIDE}, settings=SMALL)
    other = of.fit([{**row, "sex": "m", "age": 1} for row in ROWS], columns={**USED, **BESIDE}, settings=SMALL)
    assert one.predict(ROWS, probabilities=True) == other.predict(ROWS, probabilities=True)
