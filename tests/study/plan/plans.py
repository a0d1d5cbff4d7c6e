"""A small recipe over pictures, questions, numbers and categories."""

from __future__ import annotations

from typing import Any

from omnifuse.train.recipe import Recipe

COLUMNS = {
    "picture": {"modality": "image", "size": 16},
    "question": "text",
    "size": "number",
    "shop": "category",
    "answer": {"modality": "category", "role": "target"},
}


def recipe_of(model: dict[str, Any] | None = None, **train: Any) -> Recipe:
    """The recipe with other options of its model and training."""
    return Recipe.make(
        {
            "name": "colours",
            "columns": COLUMNS,
            "data": {"source": "rows.jsonl"},
            "model": {"dim": 16, "fusion": "concat", **(model or {})},
            "train": {"batch_size": 16, "device": "cpu", **train},
        }
    )
