"""One rank of many, simulated: what it holds, and what it sends, when the model is copied (DDP) or divided (FSDP2).

Nothing is allocated and nothing is sent: tensors are fake, and so is the process group, whose other ranks do not exist.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from omnifuse.core.errors import OmnifuseError
from omnifuse.study.plan.fake import fake_batch, fake_tensors
from omnifuse.study.plan.ground import Ground
from omnifuse.study.plan.memory import Memory, feed, follow_steps
from omnifuse.study.plan.parts import blocks_of
from omnifuse.train.config import OPTIMIZERS
from omnifuse.train.loop import Trainer, check_batch

Strategy = Literal["DDP", "FSDP2"]
# What a rank sends, as a multiple of the bytes that a rank holds before or after, over a ring of N: times (N − 1) / N.
SENT = {"allgather": 1, "all_gather": 1, "reduce_scatter": 1, "allreduce": 2, "all_reduce": 2}


@dataclass(frozen=True)
class Rank:
    """One of N ranks.

    Attributes:
        strategy: `DDP`, every rank holds the whole model, or `FSDP2`, weights, gradients and what the optimizer keeps are
            divided, and a block is gathered when it works.
        ranks: N.
        rows: of the global batch that it computes at a time.
        memory: what it holds at most.
        sent: bytes that it sends in a step, gradients and weights over a ring of all ranks.
        flops: of a step.
        blocks: how many pieces of the model are gathered one after the other.
    """

    strategy: Strategy
    ranks: int
    rows: int
    memory: Memory
    sent: int
    flops: int
    blocks: int

    def dump(self) -> dict[str, Any]:
        """As plain values."""
        return {
            **{name: getattr(self, name) for name in ("strategy", "ranks", "rows", "sent", "flops", "blocks")},
            "memory": self.memory.dump(),
        }


def simulate(ground: Ground, ranks: int, strategy: Strategy) -> Rank:
    """One rank of a step of training.

    Raises:
        OmnifuseError: the batch cannot be divided over the ranks, or a part decides by values that follow from its weights.
    """
    config = ground.recipe.train
    check_batch(config, ranks)
    local = {name: values.select(slice(0, config.batch_size // ranks)) for name, values in ground.largest().items()}
    with _pretended(ranks) as mesh, fake_tensors() as mode, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        trainer = ground.trainer(fake=True)
        trainer.world = ranks  # pyright: ignore[reportAttributeAccessIssue]
        fed = feed(trainer, fake_batch(mode, local))
        blocks = _divide(trainer, mesh) if strategy == "FSDP2" else 0
        with Traffic() as traffic:
            followed = follow_steps(trainer, lambda: fed, lambda: fed)
        sent, memory = traffic.bytes // 2, followed.memory  # of two steps
        if strategy == "DDP":
            gradients = sum(p.numel() * p.element_size() for p in trainer.parameters)
            sent += round(2 * gradients * (ranks - 1) / ranks)
            memory = memory.with_more("gradients", gradients)  # the buckets in which they travel
    return Rank(strategy, ranks, config.batch_size // ranks // config.accumulate, memory, sent, followed.flops, blocks)


class Traffic(TorchDispatchMode):
    """Adds up what a rank sends in collective operations."""

    def __init__(self) -> None:
        """Nothing was sent yet."""
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented
        out = func(*args, **(kwargs or {}))
        if func.namespace in ("c10d", "_c10d_functional"):
            factor = next((factor for name, factor in SENT.items() if name in func._schema.name), 0)
            ranks = dist.get_world_size()
            largest = max((t.numel() * t.element_size() for t in tree_flatten((args, out))[0] if isinstance(t, Tensor)), default=0)
            self.bytes += round(factor * largest * (ranks - 1) / ranks)
        return out


def _divide(trainer: Trainer, mesh: DeviceMesh) -> int:
    """Divide a model over the ranks, block by block, and make the optimizer anew; how many pieces there are."""
    from torch.distributed.fsdp import fully_shard

    model, config = trainer.pipeline.model, trainer.config
    model._apply(lambda tensor: tensor.contiguous())  # it divides no weights in another layout
    blocks = [block for block in blocks_of(model) if any(True for _ in block.parameters())]
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)  # in place
    trainer.optimizer = OPTIMIZERS[config.optimizer.name].load()(config.optimizer, model)
    for group in trainer.optimizer.param_groups:
        group["highest"] = group["lr"]
    trainer.parameters = [p for p in model.parameters() if p.requires_grad]
    return len(blocks) + 1


@contextmanager
def _pretended(ranks: int) -> Iterator[DeviceMesh]:
    """A process group whose other ranks do not exist."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    if dist.is_initialized():
        raise OmnifuseError("plan: this process is a rank of a distributed run already; plan in a process of its own")
    dist.init_process_group("fake", rank=0, world_size=ranks, store=FakeStore())
    try:
        yield init_device_mesh("cpu", (ranks,))
    finally:
        dist.destroy_process_group()
