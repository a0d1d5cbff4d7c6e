"""What was planted in the data is found by one evaluation, and what is sound is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import omnifuse as of
from omnifuse.evaluation.config import EvaluateConfig
from omnifuse.evaluation.evaluation import Evaluation, evaluate

COLUMNS: dict[str, Any] = {
    "left": "series",
    "right": "series",
    "words": "text",
    "colour": "category",
    "kind": {"modality": "category", "role": "target"},
}
SETTINGS = {
    "model.dim": 16,
    "model.fusion": "concat",
    "model.modality_dropout": 0.2,
    "train.epochs": 8,
    "train.batch_size": 64,
    "train.optimizer.lr": 0.01,
    "data.split": {"validation": 0.1, "test": 0.4},
}


def rows_of(count: int, seed: int, flipped: bool = True, drifted: bool = False) -> list[dict[str, Any]]:
    """Two sensors that tell the kind together; words are noise. Labels of red rows are flipped, the right sensor may have drifted."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        kind, colour = int(random.integers(2)), str(random.choice(["red", "green", "blue", "grey"]))
        left, right = (random.normal(2 * kind - 1, 1.0, 12) for _ in range(2))
        if drifted:
            right = 1.5 * right + 2.0
        words = " ".join(random.choice(["one", "two", "three", "four"], 3))
        said = 1 - kind if flipped and colour == "red" and random.random() < 0.9 else kind
        rows.append({"left": left.tolist(), "right": right.tolist(), "words": words, "colour": colour, "kind": f"k{said}"})
    return rows


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[of.Pipeline, Path]:
    """A model that learned from rows without flipped labels."""
    out = tmp_path_factory.mktemp("planted") / "run"
    return of.fit(rows_of(900, 0, flipped=False), columns=COLUMNS, settings=SETTINGS, out=out), out


@pytest.fixture(scope="module")
def judged(planted: tuple[of.Pipeline, Path]) -> Evaluation:
    pipeline, out = planted
    training = of.Dataset.open(out / "dataset").split("train")
    return evaluate(pipeline, rows_of(800, 1, drifted=False), config=EvaluateConfig(explain=False), reference=training)


def test_a_slice_with_flipped_labels_is_the_worst(judged: Evaluation) -> None:
    found = judged.details["slices"]["kind"]
    assert found["slices"][0]["columns"] == ["colour"] and "red" in found["slices"][0]["text"]
    assert found["slices"][0]["value"] < 0.3 < 0.9 < found["slices"][0]["elsewhere"]


def test_a_modality_that_is_noise_is_ignored_and_contributes_nothing(planted: tuple[of.Pipeline, Path]) -> None:
    found = evaluate(planted[0], rows_of(1500, 2, flipped=False))
    columns = found.details["shuffle"]["kind"]["columns"]
    assert columns["words"]["verdict"] == columns["colour"]["verdict"] == "ignores"
    shares = found.details["subsets"]["kind"]["contributions"]
    assert abs(shares["words"]["value"]) < 0.03
    assert min(shares["left"]["value"], shares["right"]["value"]) > 0.1


def test_a_drifted_sensor_is_named_and_the_others_are_not(planted: tuple[of.Pipeline, Path], judged: Evaluation) -> None:
    pipeline, out = planted
    training = of.Dataset.open(out / "dataset").split("train")
    before = judged.details["drift"]["columns"]
    assert all(before[name]["verdict"] != "drifted" for name in ("left", "right", "words"))
    after = of.drift(pipeline, rows_of(600, 3, flipped=False, drifted=True), training)["columns"]
    assert after["right"]["verdict"] == "drifted"
    assert after["left"]["verdict"] != "drifted"
