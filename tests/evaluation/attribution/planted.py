"""Models whose answer rests on one known part of one known column."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import omnifuse as of
from omnifuse.core.schema import Schema
from omnifuse.data.modalities.config import column_config
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.model.config import ModelConfig

TOP, LEFT, SIDE = 4, 8, 4
CHANNEL, FIRST, LAST = 1, 24, 32
GOOD, BAD = "lovely", "broken"
FILLERS = ["oak", "table", "lamp", "with", "small", "red", "lot", "from", "ghent", "old"]
YES, NO = "yes", "no"


def pictures(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """16×16 grey noise; the answer is whether one 4×4 patch is bright or dark. A number says nothing."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        pixels, is_bright = random.integers(90, 160, (16, 16, 1)).astype(np.uint8), bool(random.integers(2))
        pixels[TOP : TOP + SIDE, LEFT : LEFT + SIDE] = 235 if is_bright else 20
        rows.append({"picture": pixels, "size": float(random.normal()), "answer": YES if is_bright else NO})
    return rows


def texts(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Eight words, one of which is the answer, at any place. A category says nothing."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        words, is_good = list(random.choice(FILLERS, 7)), bool(random.integers(2))
        words.insert(int(random.integers(8)), GOOD if is_good else BAD)
        rows.append({"words": " ".join(words), "shop": str(random.choice(["north", "south"])), "answer": YES if is_good else NO})
    return rows


def series(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Three channels of noise over 48 steps; one stretch of one of them goes up or down, and the price with it."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        values, height = random.normal(size=(3, 48)), float(random.uniform(-4, 4))
        values[CHANNEL, FIRST:LAST] += height
        motion = dict(zip("xyz", values, strict=True))
        rows.append({"motion": motion, "size": float(random.normal()), "price": 100 + 10 * height})
    return rows


def taught(
    rows: list[dict[str, Any]], columns: dict[str, Any], steps: int = 120, encoders: dict[str, Any] | None = None, **heads: Any
) -> of.Pipeline:
    """A pipeline trained in a few seconds on rows in memory."""
    schema = Schema.parse(columns)
    options = {"dim": 16, "fusion": "concat", "modality_dropout": 0.15, "heads": heads, "encoders": encoders or {}}
    config = ModelConfig.parse(options, "model")
    demands = config.demands(schema)
    processors = {name: processor_class(schema[name].modality)(column_config(schema[name], demands.get(name))) for name in schema.used}
    values = {}
    for name, processor in processors.items():
        raws = [processor.read(row.get(name)) for row in rows]
        processor.fit([raw for raw in raws if raw is not None])
        values[name] = processor.encode(raws)
    torch.manual_seed(0)
    pipeline = of.Pipeline.build(schema, processors, config)
    optimizer, random = torch.optim.AdamW(pipeline.model.parameters(), lr=0.01), np.random.default_rng(0)
    for _ in range(steps):
        chosen = torch.from_numpy(random.permutation(len(rows))[:32])
        losses = pipeline.model({name: each.select(chosen) for name, each in values.items()})
        optimizer.zero_grad()
        torch.stack([loss.per_row.mean() for loss in losses.values()]).sum().backward()
        optimizer.step()
    pipeline.model.eval()
    return pipeline


def asked(rows: list[dict[str, Any]], *targets: str) -> list[dict[str, Any]]:
    """The rows without what is asked for."""
    return [{name: value for name, value in row.items() if name not in targets} for row in rows]
