"""Whole trainings: early stopping, the best weights, bad numbers, full disks, what is logged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from training import QUIET, colour_rows, make_trainer, omnifuse, write_recipe

from omnifuse.core.errors import OmnifuseError
from omnifuse.train.checkpoint import Checkpoints, Progress
from omnifuse.train.loop import Trainer
from omnifuse.train.tracking import read_history
from omnifuse.train.validation import validate

NUMBERS = {"size": "number", "price": {"modality": "number", "role": "target"}}
CLASSES = {"size": "number", "answer": {"modality": "category", "role": "target"}}
PLAIN_MODEL = {"dim": 8, "fusion": "concat"}


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, Any]]:
    return colour_rows(tmp_path / "pictures", 60)


def validations(trainer: Trainer) -> list[dict[str, Any]]:
    return [entry for entry in read_history(trainer.run_folder) if entry["kind"] == "validation"]


def test_training_lowers_the_loss_and_reports_every_epoch(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    trainer = make_trainer(tmp_path, rows, NUMBERS, PLAIN_MODEL, epochs=5, optimizer={"lr": 0.02}, log_steps=2)
    progress = trainer.run()
    history = validations(trainer)
    assert [entry["step"] for entry in history] == [-(-e * trainer.rows // 16) for e in range(1, 6)]
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]
    assert progress.step == trainer.total
    steps = [entry["step"] for entry in read_history(trainer.run_folder) if entry["kind"] == "train"]
    assert set(range(2, trainer.total + 1, 2)) <= set(steps)


def test_the_pipeline_holds_the_weights_of_the_best_validation(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    optimizer = {"name": "sgd", "lr": 1.5}  # so large that the last step is not the best
    trainer = make_trainer(tmp_path, rows, NUMBERS, PLAIN_MODEL, epochs=8, optimizer=optimizer, schedule="constant", validate_steps=1)
    progress = trainer.run()
    losses = {entry["step"]: entry["loss"] for entry in validations(trainer)}
    assert progress.best_step == min(losses, key=lambda step: losses[step])
    assert progress.best_step != progress.step, "choose other numbers: this test needs a run whose end is not its best"
    assert trainer.validation is not None
    assert validate(trainer.pipeline, trainer.validation, trainer.config).loss == pytest.approx(losses[progress.best_step], rel=1e-5)
    assert [entry["step"] for entry in validations(trainer) if entry["best"]][-1] == progress.best_step


def test_training_stops_when_patience_is_at_an_end(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    optimizer = {"name": "sgd", "lr": 1e-12}
    options: dict[str, Any] = {"epochs": 50, "optimizer": optimizer, "monitor": "answer.accuracy", "validate_steps": 1, "patience": 3}
    progress = make_trainer(tmp_path, rows, CLASSES, PLAIN_MODEL, **options).run()
    assert (progress.step, progress.best_step, progress.stale) == (4, 1, 3)


def test_a_metric_that_grows_chooses_the_best_step_too(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    trainer = make_trainer(tmp_path, rows, NUMBERS, PLAIN_MODEL, epochs=4, monitor="price.r2", optimizer={"lr": 0.02}, validate_steps=2)
    progress = trainer.run()
    scores = {entry["step"]: entry["metrics"]["price"]["r2"] for entry in validations(trainer)}
    assert progress.best_score == max(scores.values())
    assert scores[progress.best_step] == progress.best_score


def test_without_validation_rows_the_last_step_is_the_best(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    trainer = make_trainer(tmp_path, rows, NUMBERS, PLAIN_MODEL, epochs=2, split={"validation": 0, "test": 0})
    progress = trainer.run()
    assert progress.best_step == progress.step == trainer.total
    assert validations(trainer) == []


@pytest.mark.parametrize("columns", [NUMBERS, CLASSES], ids=["number", "category"])
@pytest.mark.parametrize("every", [1, None], ids=["each step", "each epoch"])
def test_a_loss_that_is_no_number_ends_in_one_clear_line(
    tmp_path: Path, rows: list[dict[str, Any]], columns: dict[str, Any], every: int | None
) -> None:
    options: dict[str, Any] = {"optimizer": {"name": "sgd", "lr": 1e38}, "clip": None, "warmup": 0, "validate_steps": every}
    trainer = make_trainer(tmp_path, rows, columns, PLAIN_MODEL, epochs=6, **options)
    with pytest.raises(OmnifuseError, match=r"lower train\.optimizer\.lr") as error:
        trainer.run()
    assert "\n" not in str(error.value)
    for folder in Checkpoints(trainer.run_folder).all():  # nothing useless is kept
        model = make_trainer(tmp_path, rows, columns, PLAIN_MODEL).pipeline.model
        trainer.pipeline.model = model
        Checkpoints(trainer.run_folder).restore(model, torch.optim.SGD(model.parameters()))
        assert all(torch.isfinite(p).all() for p in model.parameters()), folder


def test_tensorboard_files_are_written_when_asked_for(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    quiet = make_trainer(tmp_path, rows, NUMBERS, PLAIN_MODEL, epochs=1)
    quiet.run()
    assert not (quiet.run_folder / "tensorboard").exists()
    trainer = make_trainer(tmp_path, rows, NUMBERS, PLAIN_MODEL, epochs=2, log_steps=1, tracking=["tensorboard"])
    trainer.run()
    events = EventAccumulator(str(trainer.run_folder / "tensorboard"))
    events.Reload()
    written = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert {"train/loss", "train/lr", "train/samples_per_s", "validation/loss", "validation/price/mae"} <= set(written)
    expected = [(entry["step"], pytest.approx(entry["loss"])) for entry in read_history(trainer.run_folder) if entry["kind"] == "train"]
    assert written["train/loss"] == expected


# A full disk

FULL = """
import resource, sys
from omnifuse.train import checkpoint
from omnifuse.cli.main import main
save, count = checkpoint.Checkpoints.save, [0]
def limited(*arguments):
    count[0] += 1
    if count[0] == 3:  # from now on no file can be larger than this, as on a disk that is full
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    save(*arguments)
checkpoint.Checkpoints.save = limited
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a matter of POSIX")
def test_a_full_disk_ends_in_one_line_and_the_earlier_checkpoint_still_loads(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, colour_rows(tmp_path / "pictures", 60), epochs=3, checkpoint_steps=2, validate_steps=100)
    arguments = [sys.executable, "-c", FULL, "train", str(recipe), "--out", str(tmp_path / "run")]
    failed = subprocess.run(arguments, capture_output=True, text=True, timeout=200, env={**os.environ, **QUIET}, check=False)
    assert failed.returncode == 1, failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1, failed.stderr
    assert failed.stderr.startswith("omnifuse: ")
    assert "cannot be written" in failed.stderr
    assert "step-00000006" in failed.stderr
    run = tmp_path / "run"
    assert [folder.name for folder in Checkpoints(run).all()] == ["step-00000004"]
    assert not list(run.rglob(".writing-*"))
    done = omnifuse("train", recipe, "--out", run, "--resume")
    assert done.returncode == 0, done.stderr
    assert "going on after step 4" in done.stdout
    assert json.loads((run / "config.json").read_text())["trained"]["steps"] > 4


def test_a_checkpoint_gives_back_weights_optimizer_and_progress(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    trainer = make_trainer(tmp_path, rows, epochs=1)
    trainer.run()
    first = trainer.optimizer.state_dict()["state"]
    other = make_trainer(tmp_path, rows, epochs=1)
    progress = Checkpoints(trainer.run_folder).restore(other.pipeline.model, other.optimizer)
    assert isinstance(progress, Progress)
    assert progress.step == trainer.total
    second = other.optimizer.state_dict()["state"]
    assert len(first) == len(second) > 0
    for key, state in first.items():
        assert set(state) == set(second[key])
        for name, value in state.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(second[key][name]))
            assert torch.as_tensor(value).stride() == torch.as_tensor(second[key][name]).stride(), "fused steps read memory in order"
