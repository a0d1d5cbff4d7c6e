"""What a step takes is the same with fake tensors as with real ones, and follows from the model alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from omnifuse.core.values import Batch
from omnifuse.model.fusion.config import FUSIONS
from omnifuse.model.pretrained.config import PretrainedConfig
from omnifuse.study.plan.fake import fake_batch, fake_tensors
from omnifuse.study.plan.ground import Ground, stand_on
from omnifuse.study.plan.memory import KINDS, Memory, Training, follow_serving, follow_training
from omnifuse.study.plan.parts import parts_of, weights_of
from omnifuse.study.plan.plan import size_up
from tests.model.pretrained.tiny_models import folder_of
from tests.study.plan.plans import recipe_of

PLAIN = [name for name, entry in FUSIONS.items() if not issubclass(entry.config, PretrainedConfig)]


def foreseen(ground: Ground) -> Training:
    with fake_tensors() as mode:

        def made(batch: Batch) -> Batch:
            return fake_batch(mode, batch)

        return follow_training(ground.trainer(fake=True), ground.typical(), ground.largest(), made)


def followed(ground: Ground) -> Training:
    def copy(batch: Batch) -> Batch:
        return {name: values.select(torch.arange(len(values))) for name, values in batch.items()}

    return follow_training(ground.trainer(fake=False), ground.typical(), ground.largest(), copy)


@pytest.mark.parametrize(
    "train", [{}, {"accumulate": 4}, {"precision": "bf16"}, {"optimizer": {"name": "sgd", "momentum": 0.9}}, {"ema": 0.9}]
)
def test_a_step_of_fake_tensors_takes_what_a_real_one_takes(ground_of: Callable[..., Ground], train: dict) -> None:
    ground = ground_of({"fusion": "joint"}, **train)
    plan, real = foreseen(ground), followed(ground)
    assert plan.memory.bytes == pytest.approx(real.memory.bytes, rel=0.01)
    assert plan.memory.during == real.memory.during
    assert (plan.forward, plan.backward) == (real.forward, real.backward)
    assert sum(plan.forward.values()) > 0


def test_an_average_of_the_weights_is_one_more_copy_of_them(ground_of: Callable[..., Ground]) -> None:
    plain, averaged = (foreseen(ground_of({"fusion": "concat"}, **train)).memory for train in ({}, {"ema": 0.9}))
    weights = sum(parameter.numel() for parameter in ground_of({"fusion": "concat"}).trainer(fake=True).pipeline.model.parameters())
    assert averaged.of("optimizer") - plain.of("optimizer") >= 4 * weights


@pytest.mark.parametrize("fusion", PLAIN)
def test_every_fusion_can_be_planned_with_columns_that_drop_out_and_heads_of_their_own(
    ground_of: Callable[..., Ground], fusion: str
) -> None:
    options = {"name": fusion, **({"width": 4} if fusion == "tensor" else {})}
    ground = ground_of({"fusion": options, "modality_dropout": 0.3, "unimodal": 0.5})
    plan = foreseen(ground)
    assert plan.memory.by("fusion") or fusion == "stack"
    assert plan.memory.bytes == sum(map(plan.memory.by, plan.memory.held)) == sum(map(plan.memory.of, KINDS))


def test_a_frozen_network_reads_a_batch_before_the_step_and_is_held_without_gradients(table: Path) -> None:
    text = {"name": "hf_text", "model": str(folder_of("bert")), "pool": "tokens"}
    ground = stand_on(recipe_of({"encoders": {"question": text}}), table)
    plan, real = foreseen(ground), followed(ground)
    assert plan.memory.bytes == pytest.approx(real.memory.bytes, rel=0.02)
    assert plan.once == real.once and plan.once["encoder of question"] > 10 * plan.forward["encoder of question"] > 0
    network = ground.trainer(fake=False).pipeline.model.encoders["question"].backbone
    held = plan.memory.held["encoder of question"]
    assert held["weights"] > sum(4 * parameter.numel() for parameter in network.parameters()) > 5 * held["optimizer"]


def test_weights_optimizer_and_batch_are_what_arithmetic_says(ground_of: Callable[..., Ground]) -> None:
    ground = ground_of({"fusion": "joint", "unimodal": 0.5})
    weights, training, serving, whole, served = size_up(ground)
    model = ground.trainer(fake=False).pipeline.model
    buffers = sum(buffer.nbytes for buffer in model.buffers())
    count = sum(parameter.numel() for parameter in model.parameters())
    tensors = len(list(model.parameters()))
    assert sum(all_ for all_, _ in weights.values()) == sum(trained for _, trained in weights.values()) == count
    assert training.memory.of("weights") == serving.of("weights") == 4 * count + buffers
    assert training.memory.of("optimizer") == 2 * 4 * count + 4 * tensors
    batch = ground.largest()
    assert training.memory.of("batch") == sum(
        tensor.nbytes for values in batch.values() for tensor in (values.data, values.present, values.mask) if tensor is not None
    )
    assert (whole, served) == (True, 16)
    assert serving.of("gradients") == serving.of("optimizer") == 0
    assert serving.bytes < training.memory.bytes


def test_what_is_shared_counts_once_and_what_belongs_to_no_part_counts_too(ground_of: Callable[..., Ground]) -> None:
    model = ground_of().trainer(fake=False).pipeline.model
    plain = weights_of(model)
    assert "outside the parts" not in plain
    parts = parts_of(model)
    parts["fusion"].register_parameter("shared", next(parts["encoder of size"].parameters()))
    model.register_parameter("loose", torch.nn.Parameter(torch.zeros(5), requires_grad=False))
    assert weights_of(model) == {**plain, "outside the parts": (5, 0)}


def test_serving_of_a_model_that_stops_by_what_it_said_counts_up_to_the_first_word(ground_of: Callable[..., Ground]) -> None:
    ground = ground_of()
    with fake_tensors() as mode:
        model = ground.trainer(fake=True).pipeline.model
        head = model.head("answer")

        def until_told(output: torch.Tensor) -> torch.Tensor:
            while bool(output.sum() > 0):
                output = output - 1
            return output

        head.predict = until_told  # type: ignore[method-assign]
        memory, whole = follow_serving(model, ground.largest(), lambda batch: fake_batch(mode, batch))
    assert not whole
    assert isinstance(memory, Memory) and memory.bytes > 0
