"""What a recipe will take before it is trained: weights, work, memory and time, here and on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.values import Batch
from omnifuse.study.plan.cluster import Rank, simulate
from omnifuse.study.plan.fake import fake_batch, fake_tensors
from omnifuse.study.plan.ground import Ground, stand_on
from omnifuse.study.plan.machine import Time, device_of, memory_of, program_memory, time_training
from omnifuse.study.plan.memory import SERVED, Memory, Training, follow_serving, follow_training
from omnifuse.study.plan.parts import weights_of
from omnifuse.study.plan.verdict import Verdict, judge
from omnifuse.train.loop import check_batch
from omnifuse.train.recipe import Recipe

AHEAD = 5  # batches that the loader has ready or in work, beside the one that is learned from
ACCELERATOR_GB = 80.0  # of a cluster, unless said


@dataclass(frozen=True)
class Part:
    """One part of the model.

    Attributes:
        name: `encoder of COLUMN`, `fusion`, `head of TARGET`.
        parameters: its weights; what parts share counts for the first.
        trained: how many of them training changes.
        forward_flops: of one row's way through it, two for each multiplication with its addition; padding counts.
        training_flops: forward and backward in a step; without frozen networks, which read each different value only once.
        training: bytes of it at the peak of training on one device, by kind.
        serving: bytes of it at the peak of answering.
    """

    name: str
    parameters: int
    trained: int
    forward_flops: float
    training_flops: float
    training: dict[str, int]
    serving: int


@dataclass(frozen=True)
class Plan:
    """What a recipe will take.

    Attributes:
        recipe: its name.
        rows: of the training split.
        batch_size: rows of a step.
        precision: of the training.
        parts: of the model, in the order they work.
        training: the peak of a step of training with the whole batch on one device.
        serving: the peak of answering `served` rows.
        served: how many rows are answered at once.
        served_whole: whether answering was followed to its end; not where texts are written word by word.
        host: bytes beside: batches that are read ahead, items that are kept decoded, and the program itself.
        time: of a step and an epoch here.
        capacity: bytes of memory of the device that the verdict is about.
        cluster: one rank of each way to divide the work; empty for one rank.
        verdict: whether it fits, and what to change.
    """

    recipe: str
    rows: int
    batch_size: int
    precision: str
    parts: list[Part]
    training: Memory
    serving: Memory
    served: int
    served_whole: bool
    host: dict[str, int]
    time: Time
    capacity: int
    cluster: list[Rank]
    verdict: Verdict

    @property
    def parameters(self) -> int:
        """All weights."""
        return sum(part.parameters for part in self.parts)

    @property
    def trained(self) -> int:
        """Weights that training changes."""
        return sum(part.trained for part in self.parts)

    def dump(self) -> dict[str, Any]:
        """As plain values."""
        plain = {name: getattr(self, name) for name in ("recipe", "rows", "batch_size", "precision", "served", "served_whole", "host")}
        return {
            **plain,
            "parameters": self.parameters,
            "trained": self.trained,
            "parts": [asdict(part) for part in self.parts],
            "training": self.training.dump(),
            "serving": self.serving.dump(),
            "time": self.time.dump(),
            "capacity": self.capacity,
            "cluster": [rank.dump() for rank in self.cluster],
            "verdict": asdict(self.verdict),
        }


def plan(
    recipe: Recipe,
    base: str | Path,
    *,
    ranks: int = 1,
    memory_gb: float | None = None,
    progress: Callable[[int], None] | None = None,
    said: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Size up a recipe without allocating its model; data are prepared where needed, for their shapes count.

    Args:
        recipe: what would be trained.
        base: folder that the recipe's paths are relative to.
        ranks: accelerators that would share the work.
        memory_gb: of each of them, in 10⁹ bytes; by default this machine's for one, and 80 for several.
        progress: told how many rows have been read.
        said: told what is being done.

    Raises:
        OmnifuseError: what training would refuse, a batch that ranks cannot share, or a part that decides by values which
            follow from its weights.
    """
    if ranks < 1:
        raise OmnifuseError(f"--ranks: {ranks} is no number of accelerators; use 1 and more")
    if memory_gb is not None and memory_gb <= 0:
        raise OmnifuseError(f"--memory: {memory_gb} GB is no memory; use a number above 0")
    check_batch(recipe.train, ranks)
    said("reading a few batches")
    ground = stand_on(recipe, Path(base), progress)
    said("following a step of training")
    weights, training, serving, whole, served = size_up(ground)
    host = _host(ground)
    cluster = []
    for strategy in ("DDP", "FSDP2") if ranks > 1 else ():
        said(f"simulating {strategy} on {ranks:,} ranks")
        cluster.append(simulate(ground, ranks, strategy))
    here = memory_gb is None and ranks == 1
    capacity = memory_of(device_of(ground)) if here else round((memory_gb or ACCELERATOR_GB) * 1e9)
    on_cpu = here and device_of(ground).type == "cpu"
    needed = training.memory.bytes + (sum(host.values()) if device_of(ground).type == "cpu" else 0)
    said("timing this machine")
    rows, trained = recipe.train.batch_size, 4 * sum(count for _, count in weights.values())  # weights are float32
    return Plan(
        recipe=recipe.name,
        rows=len(ground.rows),
        batch_size=rows,
        precision=recipe.train.precision,
        parts=[_part(name, counts, training, serving, rows) for name, counts in weights.items()],
        training=training.memory,
        serving=serving,
        served=served,
        served_whole=whole,
        host=host,
        time=time_training(ground, training.flops, sum(training.once.values()), needed, capacity),
        capacity=capacity,
        cluster=cluster,
        verdict=judge(recipe, training.memory, trained, sum(host.values()) if on_cpu else 0, capacity, cluster, here),
    )


def size_up(ground: Ground) -> tuple[dict[str, tuple[int, int]], Training, Memory, bool, int]:
    """Weights by part, a step of training with the whole batch, an answer, whether that was followed to its end, and of how many rows."""
    inputs = ground.recipe.columns.inputs
    with fake_tensors() as mode:
        trainer = ground.trainer(fake=True)
        model = trainer.pipeline.model
        weights = weights_of(model)

        def made(batch: Batch) -> Batch:
            return fake_batch(mode, batch)

        training = follow_training(trainer, ground.typical(), ground.largest(), made)
    with fake_tensors() as mode:
        model = ground.trainer(fake=True).pipeline.model
        asked = {name: ground.largest()[name].select(slice(0, SERVED)) for name in inputs}
        serving, whole = follow_serving(model, asked, lambda batch: fake_batch(mode, batch))
    return weights, training, serving, whole, len(next(iter(asked.values())))


def _part(name: str, counts: tuple[int, int], training: Training, serving: Memory, rows: int) -> Part:
    forward, backward, once = (flops.get(name, 0) for flops in (training.forward, training.backward, training.once))
    held = {kind: size for kind, size in training.memory.held.get(name, {}).items() if kind != "batch"}
    return Part(name, *counts, (once + forward) / rows, (forward + backward) / rows, held, serving.by(name))


def _host(ground: Ground) -> dict[str, int]:
    """Bytes of main memory beside the tensors of a step."""
    sizes = [sum(values.data.nbytes for values in batch.values()) for batch in ground.batches]
    items = sum(sizes) / len(sizes) / ground.recipe.train.batch_size * len(ground.rows)
    return {
        "batches read ahead": AHEAD * max(sizes),
        "decoded items kept": round(min(items, ground.recipe.data.cache_mb * 1e6)),
        "the program": max(0, program_memory() - sum(sizes)),
    }
