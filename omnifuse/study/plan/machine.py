"""The machine at hand: how much memory it has, how fast it multiplies, and how long steps of training really take on it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from omnifuse.data.loader import rows_at
from omnifuse.study.plan.ground import Ground

SIDE, PRODUCT_S = 1024, 0.4  # of the matrices that are multiplied, and for how long
STEPS, STEPS_S = 5, 20.0  # that are timed, at most
LONGEST_STEP_S, ROOM = 30.0, 0.7  # steps that may take longer, or more than this share of the free memory, are not tried


@dataclass(frozen=True)
class Time:
    """How long training takes here.

    Attributes:
        step_s: seconds of a step.
        steps: of an epoch.
        measured: how many steps were really timed; 0 where the figure is an estimate from the FLOP.
        rate: FLOP a second of the product of two large matrices, in the precision of the recipe.
        reading_s: seconds in which a batch is read and decoded for the first time, in a thread beside the training.
        features_s: seconds in which frozen networks read it, which they do in the first epoch only; an estimate where steps are.
        device: where.
    """

    step_s: float
    steps: float
    measured: int
    rate: float
    reading_s: float
    features_s: float
    device: str

    @property
    def epoch_s(self) -> float:
        """Seconds of an epoch whose batches are there in time."""
        return self.steps * self.step_s

    def dump(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "epoch_s": self.epoch_s}


def device_of(ground: Ground) -> torch.device:
    """Where training would run."""
    here = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return torch.device("cpu") if here is None or ground.recipe.train.device == "cpu" else here


def memory_of(device: torch.device) -> int:
    """Bytes of memory that the device has; of the CPU, those that this process may use."""
    if device.type != "cpu":
        return torch.accelerator.get_memory_info(device)[1]
    here = _facts("/proc/meminfo").get("MemTotal", 0) * 1024
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text().strip() if limit.exists() else "max"
    return min([size for size in (here, int(allowed) if allowed.isdigit() else 0) if size], default=_pages())


def free_memory(device: torch.device) -> int:
    """Bytes that nobody uses now."""
    if device.type != "cpu":
        return torch.accelerator.get_memory_info(device)[0]
    return min(_facts("/proc/meminfo").get("MemAvailable", memory_of(device) // 1024) * 1024, memory_of(device))


def program_memory() -> int:
    """Bytes that this process holds in all; 0 where the system does not tell."""
    return _facts("/proc/self/status").get("VmRSS", 0) * 1024


def product_rate(device: torch.device, precision: str) -> float:
    """FLOP a second of the product of two large matrices."""
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    left, right = (torch.randn(SIDE, SIDE, device=device).to(kind) for _ in range(2))
    torch.mm(left, right)
    wait_for(device)
    times: list[float] = []
    while sum(times) < PRODUCT_S:
        began = time.perf_counter()
        torch.mm(left, right)
        wait_for(device)
        times.append(time.perf_counter() - began)
    return 2 * SIDE**3 / median(times)


def time_training(ground: Ground, flops: float, once: float, needed: int, capacity: int) -> Time:
    """Time some steps where they fit, else estimate: FLOP of a step / FLOP a second of a large product.

    Args:
        ground: recipe and batches.
        flops: of a step.
        once: of frozen networks that read a batch.
        needed: bytes that a step takes.
        capacity: bytes that there are by what was said; a model that would not fit into them is not tried.
    """
    device = device_of(ground)
    rate = product_rate(device, ground.recipe.train.precision)
    estimates = flops / rate, once / rate
    tried = needed <= min(capacity, ROOM * free_memory(device)) and sum(estimates) <= LONGEST_STEP_S
    steps, features = _steps(ground, device) if tried else ([], estimates[1])
    return Time(median(steps) if steps else estimates[0], ground.steps, len(steps), rate, ground.reading_s, features, str(device))


def _steps(ground: Ground, device: torch.device) -> tuple[list[float], float]:
    """Seconds of a few steps after a first one, and those in which frozen networks read a batch."""
    trainer, batches, features = ground.trainer(fake=False), ground.batches, 0.0
    if trainer.loader.frozen:
        began = time.perf_counter()
        batches = [trainer.loader.batch(rows_at(0, ground.recipe.train.batch_size, len(ground.rows), ground.recipe.seed))]
        features = max(0.0, time.perf_counter() - began - ground.reading_s)
    times: list[float] = []
    for step in range(STEPS + 1):
        batch = {name: values.to(device) for name, values in batches[step % len(batches)].items()}
        began = time.perf_counter()
        trainer.step(step, batch)
        wait_for(device)
        times.append(time.perf_counter() - began)
        if len(times) > 1 and sum(times) > STEPS_S:
            break
    return times[1:], features


def wait_for(device: torch.device) -> None:
    """Until the device has done what it was told."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _facts(path: str) -> dict[str, int]:
    """Numbers behind the names in a file of Linux; nothing on other systems."""
    if not Path(path).exists():
        return {}
    words = (line.split() for line in Path(path).read_text().splitlines())
    return {line[0].rstrip(":"): int(line[1]) for line in words if len(line) > 1 and line[1].isdigit()}


def _pages() -> int:
    import os

    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
