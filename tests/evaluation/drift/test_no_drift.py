"""Where nothing has changed, nothing is said to have drifted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import omnifuse as of

COLUMNS: dict[str, Any] = {
    "age": "number",
    "shop": "category",
    "tags": "set",
    "spot": {"modality": "vector", "size": 3},
    "answer": {"modality": "category", "role": "target"},
}
SETTINGS = {"model.dim": 16, "model.fusion": "concat", "train.epochs": 2, "data.split": {"validation": 0, "test": 0}}


def make_rows(count: int, seed: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    return [
        {
            "age": float(random.normal(40, 10)) if random.random() < 0.9 else None,
            "shop": str(random.choice(["north", "south", "west"], p=[0.7, 0.2, 0.1])),
            "tags": [tag for tag in "abc" if random.random() < 0.4],
            "spot": random.normal(size=3).tolist(),
            "answer": str(random.choice(["yes", "no"])),
        }
        for _ in range(count)
    ]


def test_equal_distributions_are_rarely_said_to_have_drifted(tmp_path: Path):
    """At most one time in twenty over all columns together; rows of training are drawn anew each time."""
    pipeline = of.fit(make_rows(600, 0), columns=COLUMNS, out=tmp_path / "run", settings=SETTINGS)
    reference = of.Dataset.open(tmp_path / "run" / "dataset").split("train")
    false = sum(bool(of.drift(pipeline, make_rows(120, 1 + seed), reference, rows=150, seed=seed)["drifted"]) for seed in range(100))
    assert false <= 8  # of 100, with a chance of 1 in 20 each: more than 8 by chance once in 15


def test_few_equal_rows_are_not_said_to_have_drifted_either(tmp_path: Path):
    pipeline = of.fit(make_rows(400, 0), columns=COLUMNS, out=tmp_path / "run", settings=SETTINGS)
    reference = of.Dataset.open(tmp_path / "run" / "dataset").split("train")
    for seed in range(10):
        found = of.drift(pipeline, make_rows(12, 1 + seed), reference, rows=60, seed=seed)
        assert {each["verdict"] for each in found["columns"].values()} <= {"too few rows to tell", "drifted"}


def test_texts_that_training_knows_by_heart_are_no_drift(tmp_path: Path):
    """Each is one token to the model, which has to spell all others; so others that were not trained on are compared."""
    random = np.random.default_rng(0)
    rows = [{"word": f"w{random.integers(100, 1000)}", "answer": str(random.choice(["yes", "no"]))} for _ in range(1000)]
    columns = {"word": "text", "answer": {"modality": "category", "role": "target"}}
    settings = {**SETTINGS, "data.split": {"validation": 0.3, "test": 0}}
    pipeline = of.fit(rows[:600], columns=columns, out=tmp_path / "run", settings=settings)
    dataset = of.Dataset.open(tmp_path / "run" / "dataset")
    assert of.drift(pipeline, rows[600:], dataset.split("train"))["drifted"] == ["word"]
    assert of.drift(pipeline, rows[600:], dataset)["drifted"] == []
