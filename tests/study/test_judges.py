"""Judges are trained once, on the training split, and found again with the figure that was measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.study.judges import alignment_judge, label_judge


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> of.Dataset:
    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("judged")
    rows = []
    for number in range(200):
        grey = "dark" if number % 2 else "light"
        picture = random.integers(0, 100, (8, 8, 1)) + (0 if number % 2 else 150)
        rows.append({"a/b": picture.astype(np.uint8), "shade": grey, "size": float(number), "note": f"{grey} {number}"})
    columns = {
        "a/b": {"modality": "image", "size": 8, "channels": 1},
        "shade": "category",
        "size": "number",
        "note": {"modality": "text", "vocabulary": 270, "role": "target"},
    }
    settings = {
        "model": {"dim": 8, "fusion": "concat"},
        "train": {"epochs": 0.2, "batch_size": 32, "device": "cpu"},
        "data.split": {"validation": 0.1, "test": 0.3},
        "data.clean": {"near_duplicates": "off"},
    }
    of.fit(rows, columns=columns, out=folder / "run", settings=settings)
    return of.Dataset.open(folder / "run" / "dataset")


def test_a_judge_knows_its_column_and_is_found_again(dataset: of.Dataset, tmp_path: Path) -> None:
    judge = label_judge(tmp_path, dataset, "a/b", "shade", side=8)
    assert judge.score == 1.0
    assert judge.rows == len(dataset.split("test"))
    values = [np.full((8, 8, 1), 20, np.uint8), np.full((8, 8, 1), 220, np.uint8)]
    assert judge.labels(values) == ["dark", "light"]
    assert judge.features(values).shape == (2, 64)
    folder = tmp_path / "judges" / "a%2Fb-shade"
    before = (folder / "model.safetensors").stat().st_mtime_ns
    again = label_judge(tmp_path, dataset, "a/b", "shade", side=8)
    assert again == judge
    assert np.allclose(again.features(values), judge.features(values), atol=1e-6)
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    known = json.loads((folder / "judge.json").read_text(encoding="utf-8"))
    assert known["weights"] == judge.weights


def test_weights_that_were_not_measured_are_refused(dataset: of.Dataset, tmp_path: Path) -> None:
    label_judge(tmp_path, dataset, "a/b", "shade", side=8)
    path = tmp_path / "judges" / "a%2Fb-shade" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    with pytest.raises(OmnifuseError, match="not those that were measured"):
        label_judge(tmp_path, dataset, "a/b", "shade", side=8)


def test_an_alignment_lays_together_what_belongs_together(dataset: of.Dataset, tmp_path: Path) -> None:
    judge = alignment_judge(tmp_path, dataset, "a/b", "note", side=8)
    assert judge.metric == "recall@10"
    assert judge.score > 1.3 * 10 / judge.rows, "half of the notes are of the other shade"
    placed = judge.place([np.full((8, 8, 1), 20, np.uint8)])
    assert np.linalg.norm(placed) == pytest.approx(1, abs=1e-5)


def test_what_is_no_label_is_refused(dataset: of.Dataset, tmp_path: Path) -> None:
    with pytest.raises(OmnifuseError, match="size is a column of number; choose a category"):
        label_judge(tmp_path, dataset, "a/b", "size")
    with pytest.raises(OmnifuseError, match='unknown column "shdae"; did you mean "shade"'):
        label_judge(tmp_path, dataset, "a/b", "shdae")
    assert not (tmp_path / "judges").exists()
