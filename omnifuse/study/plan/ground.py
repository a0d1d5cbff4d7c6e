"""What a plan starts from: the recipe, its prepared rows, fitted processors and a few real batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from omnifuse.core.seeds import seed_of
from omnifuse.core.values import Values
from omnifuse.data.dataset import Dataset
from omnifuse.data.loader import Loader, rows_at
from omnifuse.data.modalities.fitting import Processors, fit_processors
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.train.fit import prepare_recipe
from omnifuse.train.loop import Trainer
from omnifuse.train.recipe import Recipe
from omnifuse.train.tracking import Silent

BATCHES, SECONDS, BYTES = 8, 15.0, 1 << 29  # that are looked at, at most


@dataclass(frozen=True)
class Ground:
    """What a plan starts from.

    Attributes:
        recipe: what would be trained.
        rows: its training split.
        processors: fitted on it.
        batches: the first batches of the training stream.
        reading_s: seconds that reading and decoding one of them took.
    """

    recipe: Recipe
    rows: Dataset
    processors: Processors
    batches: list[dict[str, Values]]
    reading_s: float

    @property
    def steps(self) -> float:
        """Steps of an epoch."""
        return len(self.rows) / self.recipe.train.batch_size

    def typical(self) -> dict[str, Values]:
        """The batch of middling size."""
        return sorted(self.batches, key=_size)[len(self.batches) // 2]

    def largest(self) -> dict[str, Values]:
        """The batch of the longest sequences."""
        return max(self.batches, key=_size)

    def trainer(self, *, fake: bool) -> Trainer:
        """A trainer of a fresh model: on the CPU with fake tensors, or on the device that training would use."""
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState

        recipe = self.recipe
        config = recipe.train
        if fake and config.precision == "fp16":  # of the same size, and without the scale that only an accelerator knows
            config = config.model_copy(update={"precision": "bf16"})
        AcceleratorState._reset_state()
        accelerator = Accelerator(
            mixed_precision="no" if config.precision == "fp32" else config.precision, cpu=fake or config.device == "cpu"
        )
        torch.manual_seed(seed_of(recipe.seed, "weights"))
        pipeline = Pipeline.build(recipe.columns, self.processors, recipe.model)
        pipeline.features_gb = 0.0  # a plan keeps nothing
        pipeline.model.train()
        return Trainer(
            pipeline, self.rows, None, config, Path(), accelerator, seed=recipe.seed, cache_mb=recipe.data.cache_mb, observer=Silent()
        )


def stand_on(recipe: Recipe, base: Path, progress: Callable[[int], None] | None = None) -> Ground:
    """Prepare the data of a recipe where needed, fit the processors, and read a few batches."""
    recipe.columns.check_trainable()
    rows = prepare_recipe(recipe, base, progress=progress).split("train")
    processors = fit_processors(recipe.columns, rows, recipe.model.demands(recipe.columns))
    loader = Loader(rows, processors, recipe.columns.inputs, recipe.columns.targets, cache_mb=recipe.data.cache_mb)
    batches: list[dict[str, Values]] = []
    size, began = recipe.train.batch_size, time.perf_counter()
    while len(batches) < BATCHES:
        start = len(batches) * size
        batches.append(loader.batch(rows_at(start, start + size, len(rows), recipe.seed)))
        spent = time.perf_counter() - began
        if spent > SECONDS or sum(map(_bytes, batches)) > BYTES:
            break
    return Ground(recipe, rows, processors, batches, spent / len(batches))


def _size(batch: dict[str, Values]) -> int:
    return sum(values.data.numel() for values in batch.values())


def _bytes(batch: dict[str, Values]) -> int:
    return sum(values.data.nbytes for values in batch.values())
