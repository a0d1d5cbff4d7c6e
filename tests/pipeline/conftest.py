"""One small pipeline, trained once."""

from __future__ import annotations

import shutil
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
SETTINGS = {"model.dim": 16, "train.batch_size": 32, "train.epochs": 12, "train.optimizer.lr": 0.01}


@dataclass(frozen=True)
class Trained:
    """A pipeline, where it was saved, the folder of its pictures and rows it can answer."""

    pipeline: of.Pipeline
    run: Path
    folder: Path
    rows: list[dict[str, Any]]

    def copy(self, place: Path) -> Path:
        """The run without its training state, free to be damaged."""
        return Path(shutil.copytree(self.run, place, ignore=shutil.ignore_patterns("checkpoints", "dataset")))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("pipeline")
    rows = colour_rows(folder, 120, absent=0.1)
    for row in rows:
        row["picture"] = row["picture"] and str(folder / row["picture"])
    pipeline = of.fit(rows, columns=COLUMNS, out=folder / "run", settings=SETTINGS)
    inputs = [{name: row[name] for name in pipeline.schema.inputs} for row in colour_rows(folder, 40, seed=1, absent=0.1)]
    return Trained(pipeline, folder / "run", folder, inputs)
