"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.seeds import seed_of
from omnifuse.core.values import Batch, Values
from omnifuse.data.dataset import Dataset
from omnifuse.evaluation.metrics import is_better
from omnifuse.model.heads.head import Loss
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.train.average import WeightAverage
from omnifuse.train.checkpoint import Checkpoints, Progress
from omnifuse.train.config import OPTIMIZERS, TrainConfig
from omnifuse.train.directions import Directions, Tally
from omnifuse.train.optimizers import rate_at
from omnifuse.train.tracking import History, Observer, recording
from omnifuse.train.validation import validate


class Trainer:
    """Trains the model of a pipeline.

    For each step: take the batch that belongs to it, compute the loss, go backward, clip, step the optimizer. Which
    rows a step sees, its learning rate and its noise are functions of (seed, step), so a run that is killed and
    resumed ends with the same weights, bit for bit on the same hardware.

    Args:
        pipeline: what is trained.
        train, validation: rows; without validation rows the last step counts as the best.
        config: the `train` section of the recipe.
        run: the run directory.
        accelerator: device, precision and ranks.
        seed: of order and noise.
        cache_mb: memory for encoded items.
        observer: told what happens.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        train: Dataset,
        validation: Dataset | None,
        config: TrainConfig,
        run: Path,
        accelerator: Accelerator,
        *,
        seed: int,
        cache_mb: int,
        observer: Observer,
    ) -> None:
        """Put the parts in place; nothing runs yet."""
        self.pipeline, self.config, self.run_folder, self.seed = pipeline, config, run, seed
        self.accelerator, self.observer = accelerator, observer
        self.rank, self.world, self.device = accelerator.process_index, accelerator.num_processes, accelerator.device
        pipeline.to(self.device)
        self.model: nn.Module = pipeline.model
        self.optimizer: torch.optim.Optimizer = OPTIMIZERS[config.optimizer.name].load()(config.optimizer, pipeline.model)
        for group in self.optimizer.param_groups:
            group["highest"] = group["lr"]
        self.parameters = [p for p in pipeline.model.parameters() if p.requires_grad]
        self.loader = pipeline.loader(train, pipeline.schema.targets, cache_mb)
        self.validation, self._told = validation, False
        self.rows = len(train)
        self.total = max(1, math.ceil(config.epochs * self.rows / config.batch_size))
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        self.directions = Directions(pipeline.schema, config.directions)
        self.tally = Tally(self.directions, self.device)
        decay = _usual_decay(pipeline) if config.ema is None else config.ema
        self.average = WeightAverage(pipeline.model, decay) if decay else None
        check_batch(config, self.world)

    def run(self) -> Progress:
        """Train to the end, from the last checkpoint if there is one; the pipeline then holds the best weights."""
        checkpoints = Checkpoints(self.run_folder)
        progress = checkpoints.restore(self.pipeline.model, self.optimizer, self.average)
        if self.scaler.is_enabled() and progress.scaler:
            self.scaler.load_state_dict(progress.scaler)
        self.model = self.accelerator.prepare_model(self.pipeline.model)
        main = self.accelerator.is_main_process
        self.observer.started(self.total, progress.step, self.config.batch_size)
        with recording(self.run_folder if main else None, list(self.config.tracking), progress.step) as history:
            while progress.step < self.total and not self._is_stale(progress):
                progress = self._until_checkpoint(progress, history)
                if main:
                    checkpoints.save(self.pipeline.model, self.optimizer, progress, self.average)
                self.accelerator.wait_for_everyone()
        if progress.best_step != progress.step or self.average is not None:
            checkpoints.load_best(self.pipeline.model, progress)
        return progress

    def _until_checkpoint(self, progress: Progress, history: History | None) -> Progress:
        """Train up to the next checkpoint, and validate where one is due."""
        start, began = progress.step, time.perf_counter()
        every = self.config.checkpoint_steps or self.config.validate_steps
        stop = min(self._next(start, every), self._next(start, self.config.validate_steps))
        step, losses, since, done = start, [], began, start
        for step, batch in enumerate(self._batches(start, stop), start=start + 1):
            losses.append(self.step(step - 1, batch))
            logging = step % self.config.log_steps == 0 or step == stop
            loss = self._mean(losses, step) if logging else None
            if loss is not None:
                now, told = time.perf_counter(), self.tally.take()
                more: dict[str, Any] = {"directions": told} if told else {}
                more |= {"lr": self._rate(step - 1), "samples_per_s": (step - done) * self.config.batch_size / (now - since)}
                if history:
                    history.add(self._entry("train", step, loss=loss, **more, seconds=progress.seconds + now - began))
                losses, since, done = [], now, step
            self.observer.stepped(step, loss)
        progress.step = step
        self._keep_features()
        if step == self._next(start, self.config.validate_steps):
            self._validate(progress, history)
        progress.seconds += time.perf_counter() - began
        progress.scaler = self.scaler.state_dict()
        return progress

    def step(self, step: int, batch: Batch) -> Tensor:
        """One update of the weights; returns the loss, still on the device."""
        torch.manual_seed(seed_of(self.seed, "step", step, self.rank))
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest"] * rate_at(step, self.total, self.config)
        inputs, targets = self.directions.split(batch)
        counts = self._counts(targets)
        total = torch.zeros((), device=self.device)
        parts = list(zip(_parts(inputs, self.config.accumulate), _parts(targets, self.config.accumulate), strict=True))
        for number, (given, asked) in enumerate(parts, start=1):
            with nullcontext() if number == len(parts) else self.accelerator.no_sync(self.model):
                with self.accelerator.autocast():
                    losses = self.model(given, asked)
                self.tally.add(losses, given)
                loss = self.balance(losses, counts)
                self.scaler.scale(loss * self.world).backward()
            total += loss.detach()
        if self.config.clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(step)
        return total

    def balance(self, losses: Mapping[str, Loss], counts: Mapping[str, Tensor]) -> Tensor:
        """Σ_t weight_t · (sum of the losses of rows that have target t) / (how many have it, over all ranks)."""
        total = torch.zeros((), device=self.device)
        for name, loss in losses.items():
            weight = self.config.target_weights.get(name, 1.0)
            total = total + weight * torch.where(loss.present, loss.per_row, 0).sum() / counts[name]
        return total

    def _counts(self, targets: Batch) -> dict[str, Tensor]:
        """How many rows of the global batch are asked for each target, at least 1."""
        names = self.pipeline.schema.targets
        counts = torch.stack([targets[name].present.sum() for name in names]).to(self.device)
        if self.world > 1:
            dist.all_reduce(counts)
        return dict(zip(names, counts.clamp(min=1).unbind(), strict=True))

    def _batches(self, start: int, stop: int) -> Iterator[dict[str, Values]]:
        stream = self.loader.stream(start, stop, self.config.batch_size, self.seed, self.rank, self.world)
        for batch in stream:
            yield {name: values.to(self.device) for name, values in batch.items()}

    def _keep_features(self) -> None:
        """What frozen encoders have computed is on the disk before a checkpoint counts on it; where it cannot be, that is said once."""
        self.loader.flush()
        if self.loader.trouble and not self._told:
            self._told = True
            self.observer.said(self.loader.trouble)

    def _validate(self, progress: Progress, history: History | None) -> None:
        """Score the validation split on the main rank, and remember the best step."""
        score = math.nan
        if self.validation is None:
            progress.best_step = progress.step
            return
        if self.accelerator.is_main_process:
            with nullcontext() if self.average is None else self.average.applied():
                result = validate(self.pipeline, self.validation, self.config)
            score = result.score
            better = progress.best_score is None or is_better(result.metric, score, progress.best_score)
            entry = self._entry("validation", progress.step, loss=result.loss, metrics=result.metrics, best=better)
            if history:
                history.add(entry)
            self.observer.validated(entry)
        score, better = self._agree(score, progress)
        if not math.isfinite(score):
            raise OmnifuseError(
                f"train: the validation {self.config.monitor} is {score} after step {progress.step}; lower train.optimizer.lr"
            )
        progress.stale = 0 if better else progress.stale + 1
        if better:
            progress.best_step, progress.best_score = progress.step, score

    def _agree(self, score: float, progress: Progress) -> tuple[float, bool]:
        """The score of the main rank on every rank, and whether it is the best so far."""
        if self.world > 1:
            told = torch.tensor([score], dtype=torch.float64 if self.device.type == "cpu" else torch.float32, device=self.device)
            dist.broadcast(told, src=0)
            score = float(told)
        metric = self.config.monitor.rpartition(".")[2]
        return score, progress.best_score is None or is_better(metric, score, progress.best_score)

    def _is_stale(self, progress: Progress) -> bool:
        return self.config.patience is not None and progress.stale >= self.config.patience

    def _next(self, step: int, every: int | None) -> int:
        """The first multiple of `every` (by default an epoch) after `step`, at most the last step."""
        if every is not None:
            return min(self.total, (step // every + 1) * every)
        epoch = self.rows / self.config.batch_size
        number = math.floor(step / epoch + 1e-9) + 1
        while math.ceil(number * epoch - 1e-9) <= step:
            number += 1
        return min(self.total, math.ceil(number * epoch - 1e-9))

    def _rate(self, step: int) -> float:
        return self.optimizer.param_groups[0]["highest"] * rate_at(step, self.total, self.config)

    def _mean(self, losses: list[Tensor], step: int) -> float:
        """Mean loss of the last steps, over all ranks; the one place where the device is waited for."""
        mean = torch.stack(losses).mean()
        if self.world > 1:
            dist.all_reduce(mean)
        loss = float(mean)
        if not math.isfinite(loss):
            rate = self.optimizer.param_groups[0]["highest"]
            raise OmnifuseError(
                f"train: the loss became {loss} before step {step}; lower train.optimizer.lr (now {rate}) or set train.clip;"
                " the last checkpoint is kept"
            )
        return loss

    def _entry(self, kind: str, step: int, **values: Any) -> dict[str, Any]:
        return {"kind": kind, "step": step, "epoch": round(step * self.config.batch_size / self.rows, 4), **values}


def check_batch(config: TrainConfig, ranks: int) -> None:
    """Raise unless the global batch divides evenly over ranks and accumulated parts."""
    if config.batch_size % (ranks * config.accumulate):
        raise OmnifuseError(f"train.batch_size: {config.batch_size} rows cannot be divided over {ranks} ranks × {config.accumulate} parts")


def _usual_decay(pipeline: Pipeline) -> float:
    """Of the average of the weights: samples that are drawn show the noise of the last steps."""
    return 0.999 if any(pipeline.head_config(name).tells == "sample" for name in pipeline.schema.targets) else 0.0


def _parts(batch: Batch, count: int) -> Iterator[Batch]:
    """The batch cut into `count` equal parts."""
    if count == 1:
        yield batch
        return
    rows = len(next(iter(batch.values())))
    size = max(1, rows // count)  # a plan may look at fewer rows than parts
    for start in range(0, rows, size):
        yield {name: values.select(slice(start, start + size)) for name, values in batch.items()}
