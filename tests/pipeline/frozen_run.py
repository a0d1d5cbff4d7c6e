"""A small training with frozen networks, for the tests of what is kept of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from omnifuse.train.recipe import Recipe
from tests.conftest import colour_rows
from tests.model.pretrained.tiny_models import folder_of

COLUMNS: dict[str, Any] = {
    "picture": "image",
    "question": "text",
    "size": "number",
    "answer": {"modality": "category", "role": "target"},
}


def recipe(folder: Path, name: str = "run", **settings: Any) -> Recipe:
    """Frozen BERT and frozen ViT; 48 rows of 9 questions or so, some values absent."""
    rows = colour_rows(folder / "pictures", 48, absent=0.15)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    value = {
        "name": "colours",
        "columns": COLUMNS,
        "data": {"source": "rows.jsonl", "root": "pictures", "split": {"validation": 0.2, "test": 0.1}},
        "model": {
            "dim": 8,
            "fusion": {"name": settings.get("fusion", "concat")},
            "encoders": {
                "picture": {"name": "hf_vision", "model": str(folder_of("vit")), "pool": settings.get("pool", "tokens")},
                "question": {"name": "hf_text", "model": str(folder_of("bert")), "tune": settings.get("tune", "frozen")},
            },
        },
        "train": {"epochs": 2, "batch_size": 16, "device": "cpu", "log_steps": 1},
        "seed": settings.get("seed", 0),
    }
    value["data"]["features_gb"] = settings.get("features_gb", 1)
    return Recipe.make(value)


def equal_weights(one: Path, other: Path) -> bool:
    first, second = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)
