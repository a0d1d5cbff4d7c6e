"""One step of the trainer, by hand; the learning rate; the loss of several targets."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training import COLUMNS, colour_rows, furthest, make_trainer

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.values import Values
from omnifuse.data.loader import rows_at
from omnifuse.train.config import TrainConfig
from omnifuse.train.loop import Trainer
from omnifuse.train.optimizers import rate_at

PLAIN = {"clip": None, "schedule": "constant", "warmup": 0}
NO_DROPOUT = {"dim": 8, "fusion": "concat", "encoders": {"question": {"name": "ngram", "buckets": 64, "dropout": 0}}}


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, Any]]:
    return colour_rows(tmp_path / "pictures", 60, absent=0.1)


def parameters_of(trainer: Trainer) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in trainer.pipeline.model.named_parameters()}


def first_batch(trainer: Trainer) -> dict[str, Values]:
    return trainer.loader.batch(rows_at(0, trainer.config.batch_size, trainer.rows, trainer.seed))


def loss_by_hand(model: Any, batch: dict[str, Values], weights: dict[str, float] | None = None) -> Tensor:
    """Σ over targets of weight · mean loss over the rows that have the target."""
    total = torch.zeros(())
    for name, (per_row, present) in model(batch).items():
        if present.any():
            total = total + (weights or {}).get(name, 1.0) * per_row[present].mean()
    return total


def gradients_by_hand(trainer: Trainer, weights: dict[str, float] | None = None) -> dict[str, Tensor]:
    model = copy.deepcopy(trainer.pipeline.model).train()
    loss_by_hand(model, first_batch(trainer), weights).backward()
    return {name: p.grad for name, p in model.named_parameters()}


def train_one_step(trainer: Trainer) -> None:
    trainer.total = 1
    assert trainer.run().step == 1


def test_sgd_moves_every_weight_by_minus_eta_times_its_gradient(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    trainer = make_trainer(tmp_path, rows, model=NO_DROPOUT, optimizer={"name": "sgd", "lr": 0.25}, **PLAIN)
    before, gradient = parameters_of(trainer), gradients_by_hand(trainer)
    train_one_step(trainer)
    after = parameters_of(trainer)
    for name in before:
        torch.testing.assert_close(after[name], before[name] - 0.25 * gradient[name], atol=1e-7, rtol=1e-6)
    assert furthest(before, after) > 1e-3


def test_sgd_with_pictures_moves_every_weight_too(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    model = {**NO_DROPOUT, "encoders": {**NO_DROPOUT["encoders"], "picture": {"name": "cnn", "width": 4, "patch": 2}}}
    trainer = make_trainer(tmp_path, rows, COLUMNS, model, optimizer={"name": "sgd", "lr": 0.25}, **PLAIN)
    before, gradient = parameters_of(trainer), gradients_by_hand(trainer)
    train_one_step(trainer)
    for name, found in parameters_of(trainer).items():
        torch.testing.assert_close(found, before[name] - 0.25 * gradient[name], atol=1e-6, rtol=1e-5)


def test_momentum_and_decay_follow_their_formula(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    optimizer = {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    trainer = make_trainer(tmp_path, rows, model=NO_DROPOUT, optimizer=optimizer, **PLAIN)
    batch = first_batch(trainer)
    trainer.total = 2
    trainer.pipeline.model.train()
    velocity: dict[str, Tensor] = {}
    for step in range(2):
        before, gradient = parameters_of(trainer), gradients_by_hand(trainer)
        trainer.step(step, batch)
        for name, found in parameters_of(trainer).items():
            push = gradient[name] + 0.01 * before[name]
            velocity[name] = push if step == 0 else 0.9 * velocity[name] + push
            torch.testing.assert_close(found, before[name] - 0.1 * velocity[name], atol=1e-6, rtol=1e-5)


def test_the_gradient_is_clipped_to_the_norm(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    trainer = make_trainer(tmp_path, rows, model=NO_DROPOUT, optimizer={"name": "sgd", "lr": 1.0}, **{**PLAIN, "clip": 0.01})
    before, gradient = parameters_of(trainer), gradients_by_hand(trainer)
    norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradient.values()))
    assert norm > 0.1
    train_one_step(trainer)
    after = parameters_of(trainer)
    moved = math.sqrt(sum(float((after[n] - before[n]).double().square().sum()) for n in before))
    assert moved == pytest.approx(0.01, rel=1e-3)
    for name in before:
        torch.testing.assert_close(after[name] - before[name], -gradient[name] * 0.01 / norm, atol=1e-6, rtol=1e-2)


def test_a_small_gradient_is_not_clipped(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    ends = []
    for clip in (None, 1e6):
        trainer = make_trainer(tmp_path, rows, model=NO_DROPOUT, optimizer="sgd", **{**PLAIN, "clip": clip})
        train_one_step(trainer)
        ends.append(parameters_of(trainer))
    assert furthest(*ends) == 0


def test_matrices_decay_and_vectors_do_not(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    ends = []
    for decay in (0.0, 0.5):
        trainer = make_trainer(tmp_path, rows, model=NO_DROPOUT, optimizer={"lr": 0.1, "weight_decay": decay}, **PLAIN)
        before = parameters_of(trainer)
        train_one_step(trainer)
        ends.append(parameters_of(trainer))
    for name, plain in ends[0].items():
        shrunk = 0.1 * 0.5 * before[name] if before[name].ndim >= 2 else torch.zeros(())
        torch.testing.assert_close(ends[1][name], plain - shrunk, atol=1e-6, rtol=1e-5)


# Several targets


def test_target_weights_weigh_the_losses(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    weights = {"answer": 3.0, "price": 0.25}
    trainer = make_trainer(tmp_path, rows, model=NO_DROPOUT, optimizer={"name": "sgd", "lr": 0.1}, target_weights=weights, **PLAIN)
    before, gradient = parameters_of(trainer), gradients_by_hand(trainer, weights)
    train_one_step(trainer)
    for name, found in parameters_of(trainer).items():
        torch.testing.assert_close(found, before[name] - 0.1 * gradient[name], atol=1e-6, rtol=1e-5)


def test_a_target_of_weight_zero_teaches_nothing(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    trainer = make_trainer(tmp_path, rows, optimizer="sgd", target_weights={"price": 0}, **PLAIN)
    before = parameters_of(trainer)
    train_one_step(trainer)
    after = parameters_of(trainer)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any("@price" in name for name in moved)
    assert any("@answer" in name for name in moved)


def test_missing_targets_are_left_out_of_the_loss(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    for number, row in enumerate(rows):
        if number % 3 == 0:
            row["answer"] = None
        if number % 3 == 1:
            row["price"] = None
    trainer = make_trainer(tmp_path, rows, model=NO_DROPOUT, optimizer={"name": "sgd", "lr": 0.1}, **PLAIN)
    batch = first_batch(trainer)
    assert 0 < int(batch["answer"].present.sum()) < 16
    assert 0 < int(batch["price"].present.sum()) < 16
    model = copy.deepcopy(trainer.pipeline.model).train()
    losses = model(batch)
    expected = sum(loss.per_row[loss.present].mean() for loss in losses.values())
    found = trainer.balance(losses, {name: loss.present.sum() for name, loss in losses.items()})
    torch.testing.assert_close(found, expected)

    noisy = dict(batch)
    for name in ("answer", "price"):  # whatever stands in the place of a missing target changes nothing
        data = torch.where(batch[name].present, batch[name].data, 1)
        assert not torch.equal(data, batch[name].data)
        noisy[name] = Values(data, batch[name].present)
    trainer.pipeline.model.train()
    before, gradient = parameters_of(trainer), gradients_by_hand(trainer)
    trainer.total = 1
    trainer.step(0, noisy)
    for name, after in parameters_of(trainer).items():
        torch.testing.assert_close(after, before[name] - 0.1 * gradient[name], atol=1e-6, rtol=1e-5)


def test_a_batch_in_which_nobody_has_a_target_is_harmless(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    trainer = make_trainer(tmp_path, rows, optimizer="sgd", **PLAIN)
    batch = dict(first_batch(trainer))
    for name in ("answer", "price"):
        batch[name] = Values(batch[name].data, torch.zeros(16, dtype=torch.bool))
    before = parameters_of(trainer)
    trainer.pipeline.model.train()
    loss = trainer.step(0, batch)
    assert loss == 0
    assert furthest(before, parameters_of(trainer)) == 0


# Parts of a batch


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulated_parts_give_the_step_of_the_whole_batch(tmp_path: Path, rows: list[dict[str, Any]], parts: int) -> None:
    for row in rows[::4]:
        row["answer"] = None  # parts have different numbers of targets
    ends = []
    for accumulate in (1, parts):
        trainer = make_trainer(
            tmp_path,
            rows,
            model=NO_DROPOUT,
            optimizer={"name": "sgd", "lr": 0.2},
            accumulate=accumulate,
            epochs=2,
            split={"validation": 0, "test": 0},
        )
        trainer.run()
        ends.append(parameters_of(trainer))
    assert furthest(*ends) < 1e-5


def test_parts_that_do_not_divide_the_batch_are_refused() -> None:
    with pytest.raises(OmnifuseError, match=r"train.*accumulate: 3 parts do not divide the batch of 16"):
        TrainConfig.parse({"batch_size": 16, "accumulate": 3}, "train")


# Learning rate


def test_the_rate_rises_over_the_warm_up_and_falls_as_half_a_cosine() -> None:
    config = TrainConfig(warmup=0.2)
    rates = [rate_at(step, 10, config) for step in range(10)]
    expected = [0.5, 1.0, *(0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(8))]
    assert rates == pytest.approx(expected)
    assert rates[2] == 1.0
    assert 0 < rates[-1] < 0.05


def test_the_rate_stays_constant_when_asked_to() -> None:
    config = TrainConfig(warmup=0.2, schedule="constant")
    assert [rate_at(step, 10, config) for step in range(10)] == [0.5, *[1.0] * 9]


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0, 0.05, 0.5, 0.99])
def test_short_runs_have_a_rate_above_zero_too(total: int, warmup: float) -> None:
    for schedule in ("cosine", "constant"):
        config = TrainConfig(warmup=warmup, schedule=schedule)
        assert all(0 < rate_at(step, total, config) <= 1 for step in range(total))


def test_the_trainer_uses_the_rate_of_each_step(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    trainer = make_trainer(tmp_path, rows, optimizer={"name": "sgd", "lr": 0.2}, warmup=0.5, clip=None)
    trainer.total = 4
    trainer.pipeline.model.train()
    for step, share in enumerate([0.5, 1.0, 1.0, 0.5]):
        trainer.step(step, first_batch(trainer))
        assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.2 * share)


def test_a_step_is_a_function_of_its_number(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """Dropout is seeded by the step, so whatever ran before does not matter."""
    ends = []
    for disturb in (False, True):
        trainer = make_trainer(tmp_path, rows, optimizer="sgd", **PLAIN)
        trainer.pipeline.model.train()
        if disturb:
            torch.manual_seed(99)
            nn.Dropout(0.5)(torch.ones(10))
        trainer.step(3, first_batch(trainer))
        ends.append(parameters_of(trainer))
    assert furthest(*ends) == 0
