"""A model and a length of training that suit a table, for people who have not said what they want."""

from __future__ import annotations

from typing import Any

from omnifuse.core.schema import Schema


def suggest_design(schema: Schema, rows: int, preset: bool = False) -> dict[str, dict[str, Any]]:
    """The `model` and `train` sections for a table: what `omnifuse init` writes and `of.fit` starts from.

    Texts without pictures are read as bags of n-grams with a large epsilon in AdamW, which came within a thousandth of
    the AUC of TF-IDF on clothing reviews; with pictures, or without texts, columns attend to each other. With a `preset`
    the model is designed already.
    """
    epochs, batch_size = training_length(rows)
    train: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "patience": max(3, epochs // 3)}
    if preset:
        return {"model": {}, "train": train}
    modalities = {name: schema[name].modality for name in schema.inputs}
    texts = [name for name, modality in modalities.items() if modality == "text"]
    if not texts or "image" in modalities.values():
        return {"model": {"fusion": "joint"}, "train": train}
    encoders = {name: {"name": "ngram", "dropout": 0.5, "buckets": 65536} for name in texts}
    optimizer = {"name": "adamw", "lr": 0.01, "eps": 1e-4}
    return {"model": {"dim": 16, "fusion": "concat", "encoders": encoders}, "train": {**train, "optimizer": optimizer}}


def training_length(rows: int) -> tuple[int, int]:
    """Epochs and batch size for a table of so many rows: small tables get small batches and at least about 600 steps.

    >>> training_length(300), training_length(2_500), training_length(20_000)
    ((32, 16), (8, 32), (6, 128))
    """
    batch = 16
    while batch < 128 and batch * 2 * 40 <= rows:
        batch *= 2
    return min(40, max(6, round(600 * batch / max(rows, 1)))), batch
