"""What the training tests share: small tables on disk, recipes, the command line in a process of its own, weights."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from torch import Tensor

from omnifuse.core.schema import Schema
from omnifuse.core.seeds import seed_of
from omnifuse.data.config import DataConfig
from omnifuse.data.modalities.fitting import fit_processors
from omnifuse.data.prepare import prepare
from omnifuse.model.config import ModelConfig
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.train.config import TrainConfig
from omnifuse.train.loop import Trainer
from omnifuse.train.tracking import Silent

_spec = importlib.util.spec_from_file_location("colours", Path(__file__).parents[1] / "conftest.py")
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
colour_rows = _module.colour_rows

COLUMNS: dict[str, Any] = {
    "picture": {"modality": "image", "size": 8},
    "question": {"modality": "text", "vocabulary": 270, "max_length": 12},
    "size": "number",
    "shop": "category",
    "answer": {"modality": "category", "role": "target"},
    "price": {"modality": "number", "role": "target"},
}
WITHOUT_PICTURES = {name: column for name, column in COLUMNS.items() if name != "picture"}
MODEL: dict[str, Any] = {
    "dim": 8,
    "fusion": {"name": "joint", "heads": 2, "depth": 1, "latents": 2},
    "encoders": {
        "picture": {"name": "cnn", "width": 4, "patch": 2, "grid": 2},
        "question": {"name": "ngram", "buckets": 64, "dropout": 0.2},
    },
}
QUIET = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false"}


def model_section(columns: dict[str, Any]) -> dict[str, Any]:
    """The `model` section for these columns."""
    return {**MODEL, "encoders": {name: encoder for name, encoder in MODEL["encoders"].items() if name in columns}}


def write_recipe(
    folder: Path, rows: list[dict[str, Any]], *, columns: dict[str, Any] | None = None, name: str = "recipe", **train: Any
) -> Path:
    """Write `rows.jsonl` and a recipe beside the folder of pictures; returns the path of the recipe."""
    columns = columns or COLUMNS
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "rows.jsonl"
    if not table.exists():
        table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recipe = {
        "columns": columns,
        "data": {"source": "rows.jsonl", "root": "pictures", "split": {"validation": 0.2, "test": 0.1}},
        "model": model_section(columns),
        "train": {"epochs": 3, "batch_size": 16, "device": "cpu", "log_steps": 1, **train},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def command(*arguments: object) -> list[str]:
    """The command line of omnifuse, run by this Python."""
    return [sys.executable, "-c", "from omnifuse.cli.main import main; main()", *map(str, arguments)]


def omnifuse(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=240, env={**os.environ, **QUIET}, check=False, **options
    )


def weights_of(run: Path) -> dict[str, Tensor]:
    """The weights of a finished run."""
    return load_file(run / "model.safetensors")


def furthest(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    """The largest difference between two sets of weights."""
    assert set(first) == set(second)
    return max(float((first[name].double() - second[name].double()).abs().max()) for name in first)


def make_trainer(
    folder: Path,
    rows: list[dict[str, Any]],
    columns: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    pictures: Path | None = None,
    split: dict[str, float] | None = None,
    observer: Any = None,
    **train: Any,
) -> Trainer:
    """The real trainer on real data, before its first step."""
    columns = columns or WITHOUT_PICTURES
    schema = Schema.parse(columns)
    parts = ModelConfig.parse(model or model_section(columns), "model")
    config = DataConfig.parse({"source": "given", "split": split or {"validation": 0.2, "test": 0}})
    dataset = prepare(rows, schema, config, store=folder / "store", root=pictures or folder / "pictures")
    processors = fit_processors(schema, dataset.split("train"), parts.demands(schema))
    torch.manual_seed(seed_of(0, "weights"))
    pipeline = Pipeline.build(schema, processors, parts)
    options = TrainConfig.parse({"batch_size": 16, "device": "cpu", **train}, "train")
    AcceleratorState._reset_state()  # one process, several precisions
    accelerator = Accelerator(mixed_precision="no" if options.precision == "fp32" else options.precision, cpu=True)
    validation = dataset.split("validation")
    run = folder / f"run-{len(list(folder.glob('run-*')))}"
    run.mkdir()
    return Trainer(
        pipeline,
        dataset.split("train"),
        validation if len(validation) else None,
        options,
        run,
        accelerator,
        seed=0,
        cache_mb=16,
        observer=observer or Silent(),
    )
