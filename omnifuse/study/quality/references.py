"""Real values that samples are measured beside: what they look like to a judge, from the test split and from the training split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from omnifuse.data.dataset import Dataset
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.study.judges import Judge
from omnifuse.study.quality.material import raw_values, real_array, some_rows

TRAINING = 10_000
MOST_NUMBERS = 4096


@dataclass(frozen=True)
class References:
    """Of one target.

    Attributes:
        real, other_real: (N, D) features of two halves of the test rows that have it, no row in both.
        real_labels: of both halves, one after the other, where the judge tells labels.
        training: (T, D) features of training rows.
        real_pixels, training_pixels: the same as numbers of the values themselves, where these are small pictures of one size.
    """

    real: np.ndarray
    other_real: np.ndarray
    real_labels: list[str] | None
    training: np.ndarray
    real_pixels: np.ndarray | None
    training_pixels: np.ndarray | None


def gather_references(pipeline: Pipeline, dataset: Dataset, test: Dataset, judge: Judge, samples: int, seed: int) -> References:
    """Read real values and show them to the judge.

    Args:
        pipeline: whose samples are judged.
        dataset: all of its data; `test` is the split.
        judge: of the target.
        samples: how many of each half are enough.
        seed: of the choice of rows.
    """
    target = judge.column
    labelled = [target, judge.other] if judge.metric == "accuracy" else [target]
    rows = some_rows(test, labelled, 2 * samples, seed, target, "real")
    training = dataset.split("train")
    known = some_rows(training, [target], TRAINING, seed, target, "training")
    real_values, training_values = raw_values(test, target, rows), raw_values(training, target, known)
    features, half = judge.features(real_values), (len(rows) + 1) // 2
    labels = [str(label) for label in test.take(rows, [judge.other])[judge.other]] if judge.metric == "accuracy" else None
    return References(
        features[:half],
        features[half:],
        labels,
        judge.features(training_values),
        pixels_of(pipeline, target, real_values),
        pixels_of(pipeline, target, training_values),
    )


def pixels_of(pipeline: Pipeline, target: str, values: list[Any]) -> np.ndarray | None:
    """(N, H·W·C) of pictures, real files or generated arrays, in [0, 1]; `None` of what is large or no picture."""
    spec = pipeline.processors[target].spec
    if spec.modality != "image" or int(np.prod([side or 0 for side in spec.shape])) > MOST_NUMBERS:
        return None
    pictures = [value if isinstance(value, np.ndarray) else real_array(pipeline, target, value) for value in values]
    return np.stack(pictures).reshape(len(pictures), -1).astype(np.float32) / 255
