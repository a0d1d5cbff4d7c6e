"""A plan in a sentence: does it fit, and what to change where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omnifuse.model.pretrained.config import TunedConfig
from omnifuse.study.plan.cluster import Rank
from omnifuse.study.plan.memory import Memory
from omnifuse.study.plan.words import size_of
from omnifuse.train.recipe import Recipe

MOST_RANKS, ROOM = 1 << 16, 0.85  # ranks that are advised at most; share of a memory that an estimate may fill


@dataclass(frozen=True)
class Verdict:
    """Whether a recipe can be trained.

    Attributes:
        fits: in the memory that was asked about.
        strategy: `one device`, or how the work is divided: `DDP` or `FSDP2`.
        sentence: the answer in words.
        changes: what would make it fit, the simplest first.
    """

    fits: bool
    strategy: str
    sentence: str
    changes: list[str]


def judge(recipe: Recipe, alone: Memory, trained: int, host: int, capacity: int, cluster: Sequence[Rank], here: bool) -> Verdict:
    """Hold what is needed against what there is.

    Args:
        recipe: what would be trained.
        alone: the peak with the whole batch on one device.
        trained: bytes of the weights that are trained.
        host: bytes beside it in the same memory.
        capacity: bytes of memory of a device.
        cluster: one rank of each strategy, the simplest first; empty for one device.
        here: whether the device is that of this machine.
    """
    lasting = alone.of("weights") + alone.of("optimizer") + trained
    passing = alone.of("activations") + alone.of("batch")
    if cluster:
        return _of_cluster(recipe, lasting, passing, capacity, cluster)
    needed, place = alone.bytes + host, "here" if here else f"on one accelerator of {size_of(capacity)}"
    of_it = f" ({size_of(alone.bytes)} of tensors, the rest for reading and the program)" if host else ""
    fits = needed <= capacity
    sentence = f"It {'fits' if fits else 'does not fit'} {place}: training takes {size_of(needed)}{of_it} of {size_of(capacity)}."
    return Verdict(fits, "one device", sentence, [] if fits else _changes(recipe, lasting, passing, capacity - host, 1))


def _of_cluster(recipe: Recipe, lasting: int, passing: int, capacity: int, cluster: Sequence[Rank]) -> Verdict:
    chosen = next((rank for rank in cluster if rank.memory.bytes <= capacity), None)
    rank = chosen or min(cluster, key=lambda each: each.memory.bytes)
    place = f"on {rank.ranks:,} accelerators of {size_of(capacity)}"
    takes = f"a rank takes {size_of(rank.memory.bytes)} and sends {size_of(rank.sent)} a step"
    if chosen is None:
        sentence = f"It does not fit {place}, even with {rank.strategy}: {takes}."
        return Verdict(False, rank.strategy, sentence, _changes(recipe, lasting, passing, capacity, rank.ranks))
    others = "; ".join(f"{each.strategy} would take {size_of(each.memory.bytes)}" for each in cluster if each is not rank)
    return Verdict(True, rank.strategy, f"It fits {place} with {rank.strategy}: {takes}; {others}.", [])


def _changes(recipe: Recipe, lasting: int, passing: int, capacity: int, ranks: int) -> list[str]:
    """Options that help, the simplest first. Estimates: what lasts is divided over ranks, what passes over ranks and parts."""
    train, found = recipe.train, []
    local, now = train.batch_size // ranks, train.accumulate
    for parts in range(now + 1, local + 1):
        if local % parts == 0 and (lasting + passing * now / parts) / ranks <= capacity:
            found.append(f"--set train.accumulate={parts}: compute a step in parts of {local // parts:,} rows")
            break
    for where, part in _pretrained(recipe):
        if part.tune == "full":
            found.append(f"--set {where}.tune=lora: train low-rank additions to its weights in place of all of them")
    if train.precision == "fp32" and passing > lasting:
        found.append("--set train.precision=bf16: about half the memory for activations")
    if several := _ranks(lasting, passing, train.batch_size, capacity, ranks):
        batch = "" if train.batch_size % several == 0 else f" --batch {several * -(-train.batch_size // several):,}".replace(",", "")
        found.append(f"--ranks {several}{batch}: about so many accelerators of {size_of(capacity)} hold it with FSDP2")
    return found or ["a smaller model.dim, fewer layers or shorter sequences: a single row is too much"]


def _ranks(lasting: int, passing: int, rows: int, capacity: int, ranks: int) -> int | None:
    """The smallest power of 2 that suffices with room to spare; ranks have one row at least."""
    several = 2
    while several <= MOST_RANKS:
        if several > ranks and lasting / several + passing / min(several, rows) <= ROOM * capacity:
            return several
        several *= 2
    return None


def _pretrained(recipe: Recipe) -> list[tuple[str, TunedConfig]]:
    """Parts that were trained elsewhere, and where they stand in the recipe."""
    model = recipe.model
    parts = {"model.fusion": model.fusion}
    parts |= {f"model.encoders.{name}": part for name, part in model.encoders.items()}
    parts |= {f"model.heads.{name}": part for name, part in model.heads.items()}
    return [(where, part) for where, part in parts.items() if isinstance(part, TunedConfig)]
