"""What a run says about the validation and the test split: one number a row, kept so that runs can be paired."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from omnifuse.core.atomic import replacing
from omnifuse.core.errors import OmnifuseError, first_line
from omnifuse.data.dataset import GROUP, Dataset
from omnifuse.evaluation.collect import collect
from omnifuse.evaluation.evaluation import target_metrics
from omnifuse.evaluation.kinds import kind_of
from omnifuse.evaluation.statistics import Rows
from omnifuse.pipeline.pipeline import Pipeline, write_tensors
from omnifuse.train.recipe import Recipe

JUDGED: tuple[Literal["validation", "test"], ...] = ("validation", "test")


@dataclass(frozen=True)
class Measure:
    """The main metric of a target.

    Attributes:
        metric: its name.
        lower_is_better: whether small values are good.
        unit: what its numbers are in; empty where they are shares of 1, which are told in points of a hundred.
    """

    metric: str
    lower_is_better: bool
    unit: str

    @property
    def in_points(self) -> bool:
        """Whether its values are shares of 1."""
        return not self.lower_is_better

    @property
    def sign(self) -> int:
        """1 where more is better, −1 where less is."""
        return -1 if self.lower_is_better else 1


@dataclass(frozen=True)
class Scores:
    """Of one run and one target, the main metric row by row.

    Attributes:
        validation: its mean over the validation split.
        test: (N,) of the rows of the test split whose target is known, with the group that each belongs to.
        rows: (N,) their places in the split.
    """

    validation: float
    test: Rows
    rows: np.ndarray

    @property
    def mean(self) -> float:
        """Over the test rows."""
        return float(self.test.values.mean())


def measure_of(recipe: Recipe, target: str) -> Measure:
    """How a target is judged."""
    column = recipe.columns[target]
    kind = kind_of(recipe.model.head_of(target, column.modality))
    return Measure(kind.main, kind.lower_is_better, str(column.options.get("unit") or "") if kind.lower_is_better else "")


def judge_run(pipeline: Pipeline, dataset: Dataset, batch_size: int, path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Ask a trained pipeline about the validation and test rows, and write its scores to a safetensors file.

    Returns:
        All metrics, by split and target.
    """
    tensors: dict[str, torch.Tensor] = {}
    metrics: dict[str, dict[str, dict[str, float]]] = {}
    for split in JUDGED:
        rows, metrics[split] = dataset.split(split), {}
        for target, given in collect(pipeline, rows, batch_size=batch_size).items():
            if not given.truth:
                raise OmnifuseError(f"compare: no row of the {split} split has a value in the target {target}")
            metrics[split][target] = target_metrics(pipeline, target, given)
            scores = kind_of(pipeline.head_config(target)).row_scores(given)
            tensors[f"{split}:{target}"] = torch.tensor(scores, dtype=torch.float64)
            tensors[f"{split} rows:{target}"] = torch.tensor(given.rows, dtype=torch.int64)
            if split == "test":
                tensors[f"test groups:{target}"] = torch.from_numpy(_clusters(rows.take(given.rows, [GROUP])[GROUP]))
    with replacing(path) as temporary:
        write_tensors(tensors, temporary)
    return metrics


def read_scores(path: Path, targets: Sequence[str]) -> dict[str, Scores]:
    """What `judge_run` wrote, by target."""
    try:
        tensors: Mapping[str, torch.Tensor] = load_file(path)
        return {
            target: Scores(
                validation=float(tensors[f"validation:{target}"].mean()),
                test=Rows(tensors[f"test:{target}"].numpy(), tensors[f"test groups:{target}"].numpy()),
                rows=tensors[f"test rows:{target}"].numpy(),
            )
            for target in targets
        }
    except (SafetensorError, OSError, KeyError) as error:
        raise OmnifuseError(f"{path}: these scores are damaged; remove the file and run again ({first_line(error)})") from None


def _clusters(groups: Sequence[str]) -> np.ndarray:
    """(N,) int64 hash of the group of each row, the same in every division."""
    hashes = [int.from_bytes(hashlib.blake2b(str(group).encode(), digest_size=8).digest(), "little", signed=True) for group in groups]
    return np.array(hashes, dtype=np.int64)
