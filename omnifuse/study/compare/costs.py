"""What an answer costs: weights, work, time and memory of a trained model, measured on rows of the test split."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch

from omnifuse.core.values import Batch
from omnifuse.data.dataset import Dataset
from omnifuse.data.loader import Loader
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.study.plan.parts import parts_of
from omnifuse.study.plan.trace import Trace

MANY = 32
FEWEST, MOST, MOST_SECONDS = 5, 50, 0.5  # repeats of a measurement of time


@dataclass(frozen=True)
class Costs:
    """What a model costs in use.

    Attributes:
        parameters: weights, all of them; `trained` are those that training changes.
        flops: of one row's way through the model, two for each multiplication with its addition; padding counts.
        latency_ms: median time of one row through the model, from tensors to answers.
        latency_32_ms: of 32 rows at once.
        weights_mb: memory of the weights and buffers in MB (10⁶ bytes).
        peak_mb: most memory held while 32 rows are answered: weights, the batch, and what lies between.
        device: where this was measured.
    """

    parameters: int
    trained: int
    flops: float
    latency_ms: float
    latency_32_ms: float
    weights_mb: float
    peak_mb: float
    device: str

    def dump(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def measure_costs(pipeline: Pipeline, rows: Dataset) -> Costs:
    """Measure a trained pipeline on the first rows of a split.

    The work counted is that of matrix products, convolutions and attention.
    """
    model = pipeline.model
    loader = Loader(rows, pipeline.processors, pipeline.schema.inputs, cache_mb=256)
    many, one = (_batch(loader, count, pipeline) for count in (min(MANY, len(rows)), 1))
    parameters = list(model.parameters())
    weights = sum(tensor.numel() * tensor.element_size() for tensor in (*parameters, *model.buffers()))
    with pipeline.evaluating(), torch.no_grad():
        with Trace(parts_of(model)) as trace:
            trace.hold([*parameters, *model.buffers()], "weights")
            for values in many.values():
                trace.hold([values.data, values.present, values.mask], "batch")
            model.predict(many)
        latency, latency_many = (_seconds(lambda batch=batch: model.predict(batch), pipeline.device) for batch in (one, many))
    return Costs(
        parameters=sum(parameter.numel() for parameter in parameters),
        trained=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        flops=sum(trace.forward_flops.values()) / min(MANY, len(rows)),
        latency_ms=1e3 * latency,
        latency_32_ms=1e3 * latency_many,
        weights_mb=weights / 1e6,
        peak_mb=trace.peak.bytes / 1e6,
        device=str(pipeline.device),
    )


def _batch(loader: Loader, count: int, pipeline: Pipeline) -> Batch:
    return {name: values.to(pipeline.device) for name, values in loader.batch(range(count)).items()}


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Median time of some work, after it has been done twice."""
    for _ in range(2):
        work()
    times: list[float] = []
    while len(times) < FEWEST or (len(times) < MOST and sum(times) < MOST_SECONDS):
        _wait(device)
        began = time.perf_counter()
        work()
        _wait(device)
        times.append(time.perf_counter() - began)
    return median(times)


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
