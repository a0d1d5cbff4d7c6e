"""What is held in memory at the moment when it is most: by part of the model, and by what it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from omnifuse.core.values import Batch
from omnifuse.model.multimodal import MultimodalModel
from omnifuse.pipeline.frozen import COMPANY
from omnifuse.study.plan.fake import UNKNOWN
from omnifuse.study.plan.parts import OUTSIDE, parts_of
from omnifuse.study.plan.trace import Peak, Trace
from omnifuse.train.loop import Trainer

KINDS = ("weights", "gradients", "optimizer", "activations", "batch")
SERVED = 32  # rows


@dataclass(frozen=True)
class Memory:
    """The moment at which tensors take most.

    Attributes:
        bytes: in all.
        held: bytes by part and by kind. What is made on the way back counts among the activations.
        during: what was going on.
    """

    bytes: int
    held: Mapping[str, Mapping[str, int]]
    during: str

    @classmethod
    def at(cls, peak: Peak) -> Memory:
        """From what a trace found."""
        held: dict[str, dict[str, int]] = {}
        for label, size in peak.held.items():
            of_part = held.setdefault(label.part, dict.fromkeys(KINDS, 0))
            of_part["activations" if label.kind == "backward" else label.kind] += size
        return cls(peak.bytes, held, peak.during)

    def of(self, kind: str) -> int:
        """Bytes of one kind."""
        return sum(of_part[kind] for of_part in self.held.values())

    def by(self, part: str) -> int:
        """Bytes of one part."""
        return sum(self.held.get(part, {}).values())

    def with_more(self, kind: str, size: int) -> Memory:
        """With something that is held all the time and belongs to no part."""
        outside = {**dict.fromkeys(KINDS, 0), **self.held.get(OUTSIDE, {})}
        outside[kind] += size
        return Memory(self.bytes + size, {**self.held, OUTSIDE: outside}, self.during)

    def dump(self) -> dict[str, Any]:
        """As plain values."""
        return {"bytes": self.bytes, **{kind: self.of(kind) for kind in KINDS}, "during": self.during, "by_part": self.held}


@dataclass(frozen=True)
class Training:
    """What a step of training takes.

    Attributes:
        memory: of the second step, on the largest batch; the optimizer has made by then what it keeps.
        forward, backward: FLOP of the first step by part, on the typical batch.
        once: FLOP that frozen networks do for the typical batch before it reaches the model, once for each different value.
    """

    memory: Memory
    forward: Mapping[str, int]
    backward: Mapping[str, int]
    once: Mapping[str, int]

    @property
    def flops(self) -> int:
        """Of a step, in all."""
        return sum(self.forward.values()) + sum(self.backward.values())


@dataclass(frozen=True)
class Fed:
    """A batch as the loader gives it to the model.

    Attributes:
        batch: with features in place of values where a network is frozen.
        once: FLOP of these networks, by part.
        at_work: bytes that the largest of them takes, beside its weights, for the few values that it reads at a time.
    """

    batch: Batch
    once: Mapping[str, int]
    at_work: int


def feed(trainer: Trainer, batch: Batch) -> Fed:
    """What the loader makes of the values of a batch; frozen networks run beside the steps, and only once for each different value."""
    fed, once, at_work = dict(batch), Counter[str](), 0
    parts = parts_of(trainer.pipeline.model)
    alone = trainer.config.device == "cpu" or not torch.accelerator.is_available()
    for name, encoder in trainer.loader.frozen.items():
        owner = next(part for part, module in parts.items() if any(encoder is inner for inner in module.modules()))
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            with Trace({owner: encoder}) as trace:
                fed[name] = encoder.features(batch[name])
            once[owner] += sum(trace.forward_flops.values())
            with Trace({owner: encoder}) as trace:
                encoder.features(batch[name].select(slice(0, 1 if alone else COMPANY)))
        at_work = max(at_work, trace.peak.bytes)
    return Fed(fed, once, at_work)


def follow_training(trainer: Trainer, typical: Batch, largest: Batch, made: Callable[[Batch], Batch]) -> Training:
    """Follow two steps operation by operation.

    Args:
        trainer: of a fresh model, whose weights may be fake.
        typical, largest: batches of values.
        made: of a batch, the one that is used: a fake one, or a copy, for only what it holds counts while it is there.
    """
    return follow_steps(trainer, lambda: feed(trainer, made(typical)), lambda: feed(trainer, made(largest)))


def follow_steps(trainer: Trainer, first: Callable[[], Fed], second: Callable[[], Fed]) -> Training:
    """Follow two steps; each batch is made when it is needed, and gone after its step unless somebody else keeps it."""
    model = trainer.pipeline.model
    fed = first()
    once = fed.once
    with Trace(parts_of(model)) as trace:
        trace.hold_model(model)
        trainer.step(0, _held(trace, fed.batch))
        forward, backward = dict(trace.forward_flops), dict(trace.backward_flops)
    del fed
    fed = second()
    with Trace(parts_of(model)) as trace:
        trace.hold_model(model)
        trace.hold_states(trainer.optimizer)
        trace.hold([] if trainer.average is None else list(trainer.average.weights.values()), "optimizer")
        trainer.step(1, _held(trace, fed.batch))
    return Training(Memory.at(trace.peak).with_more("activations", fed.at_work), forward, backward, once)


def follow_serving(model: MultimodalModel, batch: Batch, made: Callable[[Batch], Batch]) -> tuple[Memory, bool]:
    """Follow an answer to a batch; also whether it was followed to its end.

    How long a text becomes is decided by what is in it. Where that is not known, everything up to the first word counts.
    """
    model.eval()
    for whole in (True, False):
        with Trace(parts_of(model)) as trace, torch.no_grad():
            trace.hold_model(model)
            held = _held(trace, made(batch))
            try:
                outputs = model.outputs(model.fuse(model.encode(held)))
                if whole:
                    model.answers(outputs)
            except UNKNOWN:
                if not whole:
                    raise
                continue
        return Memory.at(trace.peak), whole
    raise AssertionError("the second time ends in an answer or an error")


def _held(trace: Trace, batch: Batch) -> Batch:
    for values in batch.values():
        trace.hold([values.data, values.present, values.mask], "batch")
    return batch
