"""The runs of a comparison, `OUT/runs/KEY/SEED`: trained once, judged, and made small; what was interrupted goes on."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from omnifuse.core.atomic import read_json, write_json
from omnifuse.core.errors import OmnifuseError, first_line
from omnifuse.data.dataset import Dataset
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.study.compare.contenders import Contender
from omnifuse.study.compare.costs import measure_costs
from omnifuse.study.compare.judging import Scores, judge_run, read_scores
from omnifuse.train.fit import train
from omnifuse.train.recipe import Recipe
from omnifuse.train.run_folder import RUN, compare_run, run_identity
from omnifuse.train.tracking import Observer, Silent

SCORES, RESULT, FAILED, COSTS = "scores.safetensors", "result.json", "failed.json", "costs.json"


class Watcher(Observer, Protocol):
    """Watches a comparison: its runs, and the steps of each as an `Observer` does."""

    def run_begins(self, number: int, total: int, name: str, seed: int) -> None:
        """A run begins, or goes on; it is number `number` (from 1) of `total`."""

    def run_ends(self, seconds: float, result: Result | None) -> None:
        """The run is done and judged, after so many seconds; without a result it has failed."""


class Unwatched(Silent):
    """Says nothing."""

    def run_begins(self, number: int, total: int, name: str, seed: int) -> None:
        """Nothing."""

    def run_ends(self, seconds: float, result: Result | None) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Result:
    """What a finished run left.

    Attributes:
        scores: by target, row by row.
        metrics: by split, target and name.
        train_seconds: spent on training steps and validation.
        steps: of training, and the one whose weights were kept.
    """

    scores: dict[str, Scores]
    metrics: dict[str, dict[str, dict[str, float]]]
    train_seconds: float
    steps: int
    best_step: int


@dataclass(frozen=True)
class Failure:
    """Why a contender could not be trained."""

    seed: int
    reason: str


@dataclass
class Runs:
    """Trains what is not trained yet.

    Attributes:
        out: folder of the comparison.
        recipe: what all have in common.
        base: folder that its paths are relative to.
        datasets: by seed.
        observer: told what happens.
    """

    out: Path
    recipe: Recipe
    base: Path
    datasets: Mapping[int, Dataset]
    observer: Watcher

    def round(self, contenders: Sequence[Contender], seed: int, total: int, done: int) -> dict[str, Result | Failure]:
        """Every contender with one seed.

        Args:
            contenders: who is still in.
            seed: of weights, order and noise.
            total: runs of the whole comparison; `done` of them came before.
        """
        results: dict[str, Result | Failure] = {}
        for number, contender in enumerate(contenders, start=done + 1):
            folder = self.out / "runs" / contender.key / str(seed)
            if (found := self._finished(folder, seed)) is None:
                self.observer.run_begins(number, total, contender.name, seed)
                began = time.perf_counter()
                found = self._train(contender, seed, folder)
                self.observer.run_ends(time.perf_counter() - began, found if isinstance(found, Result) else None)
            results[contender.key] = found
        return results

    def costs(self, contender: Contender) -> dict[str, Any]:
        """What was measured with the first seed of a contender."""
        return read_json(self.out / "runs" / contender.key / COSTS, "measurement")

    def _finished(self, folder: Path, seed: int) -> Result | Failure | None:
        """What an earlier command has done."""
        if (folder / FAILED).exists():
            return Failure(seed, read_json(folder / FAILED, "failed run")["reason"])
        if not (folder / RESULT).exists():
            return None
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        known = read_json(folder / RESULT, "result of a run")
        return Result(scores=read_scores(folder / SCORES, self.recipe.columns.targets), **known)

    def _train(self, contender: Contender, seed: int, folder: Path) -> Result | Failure:
        """Train, judge, and keep what is needed; a loss that diverges and a model too large for the device are told, not raised."""
        recipe, dataset = contender.recipe(self.recipe, seed), self.datasets[seed]
        compare_run(folder, run_identity(recipe, dataset))
        try:
            pipeline = train(recipe, folder, base=self.base, resume=True, observer=self.observer, prepared=dataset)
            metrics = judge_run(pipeline, dataset, recipe.evaluate.batch_size, folder / SCORES)
            self._measure(contender, pipeline, dataset)
        except (OmnifuseError, torch.OutOfMemoryError) as error:
            if isinstance(error.__cause__, OSError):  # a full disk is no fault of the contender
                raise
            return self._failed(folder, seed, error)
        trained = read_json(folder / "config.json", "trained run")["trained"]
        known = {"train_seconds": trained["seconds"], "steps": trained["steps"], "best_step": trained["best_step"]}
        write_json(folder / RESULT, {"metrics": metrics, **known})
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        return Result(scores=read_scores(folder / SCORES, self.recipe.columns.targets), metrics=metrics, **known)

    def _measure(self, contender: Contender, pipeline: Pipeline, dataset: Dataset) -> None:
        path = self.out / "runs" / contender.key / COSTS
        if not path.exists():
            write_json(path, measure_costs(pipeline, dataset.split("test")).dump())

    def _failed(self, folder: Path, seed: int, error: Exception) -> Failure:
        """Remember it, so that it is not trained in vain again; what could not even be built is tried again next time."""
        reason = first_line(error, 400)
        if (folder / RUN).exists():
            write_json(folder / FAILED, {"reason": reason})
        gc.collect()  # the traceback held the model
        self.observer.said(f"left out: {reason}")
        return Failure(seed, reason)
