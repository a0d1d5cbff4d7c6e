"""Rows of two ranks are compared with each other as those of one."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_ranks import SGD, launch
from training import colour_rows, furthest, weights_of, write_recipe

from omnifuse.train.fit import train
from omnifuse.train.recipe import Recipe


@pytest.mark.parametrize("loss", ["infonce", "sigmoid"])
def test_two_ranks_end_with_the_weights_of_one(tmp_path: Path, loss: str) -> None:
    rows = colour_rows(tmp_path / "pictures", 80, absent=0.2)
    for row in rows[::7]:
        row["question"] = None
    columns = {
        "picture": {"modality": "image", "size": 8},
        "size": "number",
        "question": {"modality": "text", "vocabulary": 270, "max_length": 12, "role": "target"},
        "answer": {"modality": "category", "role": "target"},
    }
    path = write_recipe(tmp_path, rows, columns=columns, epochs=3, optimizer=SGD)
    text = path.read_text().replace("dropout: 0.2", "dropout: 0.0")
    path.write_text(text.replace("model:\n", f"model:\n  heads:\n    question: {{name: contrastive, loss: {loss}, temperature: 0.2}}\n"))
    train(Recipe.load(path), tmp_path / "one", base=tmp_path)
    both = launch(tmp_path, "train", path, "--out", tmp_path / "two")
    assert both.returncode == 0, both.stderr[-3000:]
    assert furthest(weights_of(tmp_path / "one"), weights_of(tmp_path / "two")) < 1e-4
