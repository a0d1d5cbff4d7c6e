"""Scoring the validation split while training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.dataset import Dataset
from omnifuse.evaluation.collect import collect
from omnifuse.evaluation.evaluation import target_metrics
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.train.config import TrainConfig

BATCH = 512


class Validation(NamedTuple):
    """Result of one validation: the loss, all metrics, and the score that chooses the best step."""

    loss: float
    metrics: dict[str, dict[str, float]]
    metric: str
    score: float


def validate(pipeline: Pipeline, rows: Dataset, config: TrainConfig) -> Validation:
    """Ask the model about the validation rows.

    The loss is the training loss: mean over the rows that have a target, summed over targets with their weights.
    """
    answers = collect(pipeline, rows, batch_size=BATCH)
    loss, metrics = 0.0, {}
    for target, given in answers.items():
        if given.losses.size:
            loss += config.target_weights.get(target, 1.0) * float(np.mean(given.losses, dtype=np.float64))
        if given.truth and np.isfinite(given.scores).all():  # answers that are no numbers have no metrics; the loss tells it
            metrics[target] = target_metrics(pipeline, target, given)
    if not any(given.losses.size for given in answers.values()):
        raise OmnifuseError("data.split.validation: no validation row has a target that training knows; give it more rows")
    if config.monitor == "loss":
        return Validation(loss, metrics, "loss", loss)
    target, _, metric = config.monitor.rpartition(".")
    if np.isfinite(loss) and metric not in metrics.get(target, {}):
        raise OmnifuseError(f"train.monitor: {config.monitor} cannot be computed on these validation rows (one label or value?); use loss")
    return Validation(loss, metrics, metric, metrics.get(target, {}).get(metric, float("nan")))
