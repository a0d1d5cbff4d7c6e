"""The textbook example is a recipe: its size, and the same outputs as plain PyTorch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.dataset import Dataset
from omnifuse.model import MultimodalModel
from omnifuse.recipes import FOLDER, write_recipe
from omnifuse.recipes.textbook.tables import write_tables
from omnifuse.train.fit import prepare_recipe
from omnifuse.train.recipe import Recipe

VECTOR = ValueSpec(modality="vector", shape=(100,))
LABEL = ValueSpec(modality="category", size=2)


class Textbook(nn.Module):
    """Written out: two subnets, concatenated, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Sequential(nn.Linear(100, 500), nn.ReLU(), nn.Linear(500, 1000), nn.ReLU())
        self.right = nn.Sequential(nn.Linear(100, 500), nn.ReLU(), nn.Linear(500, 1000), nn.ReLU())
        self.fusion = nn.Linear(2000, 1000)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.fusion(torch.cat([self.left(left), self.right(right)], dim=1))


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe.load(FOLDER / "textbook" / "recipe.yaml")


@pytest.fixture(scope="module")
def model(recipe: Recipe) -> MultimodalModel:
    torch.manual_seed(0)
    return MultimodalModel(recipe.model, {"left": VECTOR, "right": VECTOR}, {"same": LABEL})


def test_it_has_3_104_000_weights_without_head(model: MultimodalModel) -> None:
    counts = [sum(weight.numel() for weight in part.parameters()) for part in (model.encoders, model.fusion)]
    assert counts == [1_103_000, 2_001_000]
    assert sum(counts) == 3_104_000 == sum(weight.numel() for weight in Textbook().parameters())


def test_with_the_same_weights_it_gives_bit_for_bit_what_plain_pytorch_gives(model: MultimodalModel) -> None:
    plain = Textbook()
    ours = [*model.encoders["left"].parameters(), *model.encoders["right"].parameters(), *model.fusion.parameters()]
    with torch.no_grad():
        for weight, own in zip(plain.parameters(), ours, strict=True):
            weight.copy_(own)
    left, right = torch.randn(2, 64, 100)
    there = torch.ones(64, dtype=torch.bool)
    batch = {"left": Values(left, there), "right": Values(right, there), "same": Values(torch.randint(0, 2, (64,)), there)}
    fused = model.fuse(model.encode(batch)).pooled
    assert torch.equal(fused, plain(left, right))

    fused.square().mean().backward()
    plain(left, right).square().mean().backward()
    for weight, own in zip(plain.parameters(), ours, strict=True):
        torch.testing.assert_close(own.grad, weight.grad, atol=1e-7, rtol=1e-5)


def test_its_tables_come_from_the_seed_and_one_vector_alone_tells_nothing(tmp_path: Path) -> None:
    once, again = write_tables(tmp_path / "once"), write_tables(tmp_path / "again")
    other = write_tables(tmp_path / "other", seed=1)
    for split in ("train", "test"):
        assert once[split].read_bytes() == again[split].read_bytes() != other[split].read_bytes()
    train, test = (columns_of(once[split]) for split in ("train", "test"))
    for column in ("left", "right"):
        guess = test[column] @ np.linalg.lstsq(train[column], train["same"], rcond=None)[0] > 0
        assert abs((guess == (test["same"] > 0)).mean() - 0.5) < 0.04, column
    patterns = {column: first_direction(train[column]) for column in ("left", "right")}
    signs = np.sign(test["left"] @ patterns["left"]) * np.sign(test["right"] @ patterns["right"])
    agree = (signs == test["same"]).mean()
    assert max(agree, 1 - agree) > 0.98, "both together tell nearly everything"


def test_it_is_prepared_without_any_data_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMNIFUSE_DATA", raising=False)
    path = write_recipe("textbook", tmp_path)
    dataset: Dataset = prepare_recipe(Recipe.load(path), tmp_path)
    assert len(dataset.split("test")) == 2000
    assert len(dataset) == 6000
    assert dataset.manifest["absent"] == {"left": 0, "right": 0, "same": 0}


def test_the_demo_trains_and_tells(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from omnifuse.cli.main import main; main()", "demo", "textbook", "--set", "train.epochs=0.2"]
    without = {name: value for name, value in os.environ.items() if name != "OMNIFUSE_DATA"}
    quiet = {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(command, cwd=tmp_path, env={**without, **quiet}, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 0 <= json.loads((tmp_path / "runs/demo/metrics.json").read_text())["test"]["same"]["accuracy"] <= 1
    assert (tmp_path / "runs/demo/report.html").is_file()


def columns_of(path: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(path)
    vectors = {name: np.stack(table[name].to_numpy()).astype(np.float64) for name in ("left", "right")}
    return {**vectors, "same": np.where(np.array(table["same"].to_pylist()) == "yes", 1.0, -1.0)}


def first_direction(vectors: np.ndarray) -> np.ndarray:
    """The direction in which vectors spread most."""
    return np.linalg.svd(vectors, full_matrices=False)[2][0]
