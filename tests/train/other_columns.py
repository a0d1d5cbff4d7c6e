"""A program for two ranks: rank 0 has rows with pictures alone, rank 1 rows with texts alone, in every step.

`python -m torch.distributed.run --nproc-per-node 2 tests/train/other_columns.py FOLDER` trains each of `VARIANTS` as the trainer
does and writes the weights of each rank. With one process, the one rank has the rows of both.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from omnifuse.core.seeds import seed_of
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.model import MultimodalModel
from omnifuse.model.config import ModelConfig
from omnifuse.pipeline.pipeline import save_weights

FUSIONS = ("joint", "co_attention", "bottleneck", "gated", "concat")
VARIANTS = list(product(FUSIONS, (0.0, 0.4), (0.0, 0.5)))  # fusion, modality dropout, weight of the unimodal heads
ROWS, STEPS = 4, 5
INPUTS = {
    "picture": ValueSpec(modality="image", shape=(3, 8, 8), optional=True),
    "question": ValueSpec(modality="text", shape=(None,), size=20, max_length=6, optional=True),
}
TARGETS = {"answer": ValueSpec(modality="category", size=3), "price": ValueSpec(modality="number")}


def name_of(variant: tuple[str, float, float]) -> str:
    return "-".join(map(str, variant))


def model_of(variant: tuple[str, float, float]) -> MultimodalModel:
    """The model before its first step, the same on every rank."""
    fusion, dropout, unimodal = variant
    encoders = {"picture": {"name": "cnn", "width": 4, "patch": 2, "grid": 2}, "question": {"name": "ngram", "buckets": 16, "dropout": 0.0}}
    options = {"dim": 8, "fusion": fusion, "encoders": encoders, "modality_dropout": dropout, "unimodal": unimodal}
    torch.manual_seed(0)
    return MultimodalModel(ModelConfig.parse(options, "model"), INPUTS, TARGETS)


def batch_of(step: int, pictures: bool) -> dict[str, Values]:
    """Rows with either pictures or texts, and all targets."""
    random = torch.Generator().manual_seed(seed_of(step, pictures))
    there, absent = torch.ones(ROWS, dtype=torch.bool), torch.zeros(ROWS, dtype=torch.bool)
    picture, question = torch.rand(ROWS, 3, 8, 8, generator=random), torch.randint(1, 20, (ROWS, 6), generator=random)
    return {
        "picture": Values(picture * pictures, there if pictures else absent),
        "question": Values(
            question * (not pictures), absent if pictures else there, (absent if pictures else there)[:, None].expand(-1, 6)
        ),
        "answer": Values(torch.randint(0, 3, (ROWS,), generator=random), there),
        "price": Values(torch.randn(ROWS, generator=random), there),
    }


def both(first: Values, second: Values) -> Values:
    mask = None if first.mask is None or second.mask is None else torch.cat([first.mask, second.mask])
    return Values(torch.cat([first.data, second.data]), torch.cat([first.present, second.present]), mask)


def train(variant: tuple[str, float, float], accelerator: Accelerator) -> MultimodalModel:
    """A few steps of gradient descent; the loss is the mean over the rows of all ranks."""
    rank, world = accelerator.process_index, accelerator.num_processes
    own = model_of(variant)
    model: Any = accelerator.prepare_model(own)
    optimizer = torch.optim.SGD(own.parameters(), lr=0.1, momentum=0.9)
    for step in range(STEPS):
        torch.manual_seed(seed_of(step, rank))
        halves = [batch_of(step, pictures) for pictures in (True, False)]
        batch = halves[rank] if world == 2 else {name: both(halves[0][name], halves[1][name]) for name in halves[0]}
        losses: list[Tensor] = [loss.per_row.mean() for loss in model(batch).values()]
        torch.stack(losses).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return own


if __name__ == "__main__":
    ranks = Accelerator(cpu=True)
    for chosen in VARIANTS:
        save_weights(train(chosen, ranks), Path(sys.argv[1]) / f"{name_of(chosen)}-{ranks.process_index}.safetensors")
