"""One small model that has learned its task, trained once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import omnifuse as of
from tests.conftest import colour_rows

COLUMNS: dict[str, Any] = {
    "picture": {"modality": "image", "size": 8},
    "question": {"modality": "text", "vocabulary": 280, "max_length": 8},
    "size": "number",
    "shop": "category",
    "answer": {"modality": "category", "role": "target"},
    "price": {"modality": "number", "role": "target"},
}
SETTINGS = {"model.dim": 16, "model.fusion": "product", "train.batch_size": 16, "train.epochs": 20, "train.optimizer.lr": 0.01}


@dataclass(frozen=True)
class Learned:
    """A pipeline that answers nearly every row, the folder of its pictures, and rows it has not seen."""

    pipeline: of.Pipeline
    run: Path
    folder: Path
    rows: list[dict[str, Any]]

    @property
    def dataset(self) -> of.Dataset:
        """What it was trained on."""
        return of.Dataset.open(self.run / "dataset")


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    folder = tmp_path_factory.mktemp("learned")
    rows = colour_rows(folder, 160)
    settings = {**SETTINGS, "data.root": str(folder), "data.split": {"validation": 0.1, "test": 0.2}}
    pipeline = of.fit(rows, columns=COLUMNS, out=folder / "run", settings=settings)
    return Learned(pipeline, folder / "run", folder, colour_rows(folder, 120, seed=1))
