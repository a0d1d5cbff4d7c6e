"""Every encoder goes with every fusion and every head, as one model; what does not go is refused in one line.

A model here has the column of the encoder, a second column, and a target for each head, so one model for each pair of encoder
and fusion holds that pair with every head at once.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from conformance_parts import DIM, RAWS, ROWS, batch_of, fitted, networks_for, ready
from torch import Tensor

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig, Registry
from omnifuse.core.schema import Column, Schema
from omnifuse.core.spec import InputSpec, ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.modalities import MODALITIES
from omnifuse.data.modalities.processor import Processor
from omnifuse.model import ENCODERS, FUSIONS, HEADS, MultimodalModel
from omnifuse.model.config import ModelConfig
from omnifuse.model.encoders.config import NativeConfig
from omnifuse.model.heads.config import HeadConfig
from omnifuse.model.heads.head import Head
from omnifuse.model.heads.sampling import RowNoise, Sampling
from omnifuse.model.pretrained.config import PretrainedConfig
from omnifuse.pipeline.pipeline import load_weights, save_weights

NOTHING = ROWS - 1  # the row in which both columns are absent; in row 1 the first alone is


def is_native(part: str, table: Registry) -> bool:
    return not issubclass(table[part].config, PretrainedConfig)


def reads(encoder: str) -> tuple[str, ...]:
    """The modalities of an encoder."""
    return getattr(ENCODERS[encoder].config, "modalities", ())


def answers(head: str) -> tuple[str, ...]:
    """The modalities of a head."""
    return getattr(HEADS[head].config, "modalities", ())


NATIVE_FUSIONS = [name for name in FUSIONS if is_native(name, FUSIONS)]
NATIVE_HEADS = [name for name in HEADS if is_native(name, HEADS)]
NATIVE_READERS = [(name, modality) for name in ENCODERS if is_native(name, ENCODERS) for modality in reads(name)]
OTHER_FUSIONS = [name for name in FUSIONS if name not in NATIVE_FUSIONS]
OTHER_HEADS = [name for name in HEADS if name not in NATIVE_HEADS]
OTHER_READERS = [(name, modality) for name in ENCODERS if not is_native(name, ENCODERS) for modality in reads(name)]


@cache
def processor_of(modality: str, demands: InputSpec) -> Processor[Any]:
    return fitted(modality, demands)


@cache
def values_of(modality: str, demands: InputSpec) -> Values:
    return batch_of(processor_of(modality, demands), modality)


def written(table: Registry, name: str) -> PartConfig:
    """A part as a recipe writes it, small, with its tiny network if it holds one."""
    kind = table[name].config
    options = (
        {"capacity": "tiny"} if issubclass(kind, NativeConfig) else {"max_new_tokens": 3} if "max_new_tokens" in kind.model_fields else {}
    )
    return ready(kind.parse({**networks_for(kind)[0], **options}))


class Combination:
    """A model of one encoder, one fusion and several heads, with a batch for it."""

    def __init__(self, encoder: str, modality: str, fusion: str, heads: list[str]) -> None:
        second = "number" if modality != "number" else "text"
        encoders = {"first": encoder, "second": "periodic" if second == "number" else "ngram", "contrastive": "ngram"}
        self.targets = {head: "id" if head == "ranking" else answers(head)[0] for head in heads}
        self.inputs = {"first": modality, "second": second}
        columns = [*self.inputs.items(), *((name, kind) for name, kind in self.targets.items())]
        schema = Schema(Column(name, kind, "target" if name in self.targets else "input") for name, kind in columns)
        self.config = ModelConfig(
            dim=DIM,
            encoders={name: written(ENCODERS, part) for name, part in encoders.items() if name in schema},
            fusion=written(FUSIONS, fusion),
            heads={head: written(HEADS, head) for head in heads},
        )
        self.config.check(schema)
        demands = self.config.demands(schema)
        self.specs = {name: processor_of(kind, demands[name]).spec for name, kind in columns}
        self.batch = {name: values_of(kind, demands[name]) for name, kind in columns}
        self.batch["second"] = with_row_one(self.batch["second"])

    def model(self, seed: int) -> MultimodalModel:
        torch.manual_seed(seed)
        return MultimodalModel(self.config, *({name: self.specs[name] for name in part} for part in (self.inputs, self.targets)))


def with_row_one(values: Values) -> Values:
    """The same values with that of the third row in the second too, where the first column is absent."""
    index = torch.tensor([0, 2, *range(2, ROWS)])
    return values.select(index)


def check(combination: Combination, folder: Path) -> None:
    """A step of training, rows with absent columns, predictions of the right shape, and the same ones after saving and loading."""
    model = combination.model(0).train()
    batch = combination.batch
    assert batch["first"].present.tolist() == [True, False, True, True, True, True, True, False]
    assert batch["second"].present.tolist() == [True] * NOTHING + [False]
    losses = model(batch)
    for name, loss in losses.items():
        assert loss.per_row.shape == (ROWS,), name
        assert torch.isfinite(loss.per_row).all(), name
        assert torch.equal(loss.present, batch[name].present), name
    torch.stack([loss.per_row[loss.present].mean() for loss in losses.values()]).sum().backward()
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            assert weight.grad is not None, f"{name} has no gradient, so ranks would wait for each other"
            assert torch.isfinite(weight.grad).all(), name

    model.eval()
    with torch.no_grad():
        told = model.predict(batch)
        for name, modality in combination.targets.items():
            if not model.head(name).predicts:
                check_drawn(model.head(name), model.outputs(model.fuse(model.encode(batch)), [name])[name], combination.specs[name])
                continue
            check_shape(combination.config.head_of(name, modality), told[name], combination.specs[name])
        save_weights(model, folder / "model.safetensors")
        other = combination.model(1).eval()
        load_weights(other, folder / "model.safetensors")
        for name, expected in other.predict(batch).items():
            assert torch.equal(told[name], expected), name
        absent = model.predict({**batch, "first": without(batch["first"])})
    for name, prediction in told.items():
        if prediction.is_floating_point():
            rows = [1, NOTHING]  # where it is absent anyway
            torch.testing.assert_close(absent[name][rows], prediction[rows], atol=1e-5, rtol=1e-5)


def check_drawn(head: Head, output: Any, spec: ValueSpec) -> None:
    """One draw a row, of the right shape."""
    drawn = head.generate(output, RowNoise(range(ROWS)), Sampling(steps=1))
    assert drawn.shape == (ROWS, *spec.shape)
    assert torch.isfinite(drawn).all()


def without(values: Values) -> Values:
    """All rows absent."""
    mask = None if values.mask is None else torch.zeros_like(values.mask)
    return replace(values, data=torch.zeros_like(values.data), present=torch.zeros_like(values.present), mask=mask)


def check_shape(config: HeadConfig, told: Tensor, spec: ValueSpec) -> None:
    labels = spec.size or (spec.shape[0] if spec.shape else 0)
    widths = {"label": labels, "labels": labels, "ranking": labels, "embedding": DIM, "quantiles": 3}
    if config.tells == "text":
        assert told.ndim == 2
        assert told.dtype == torch.int64
        return
    assert told.shape == ((ROWS,) if config.tells == "number" else (ROWS, widths[config.tells])), config.name
    assert torch.isfinite(told).all(), config.name


@pytest.mark.parametrize("fusion", NATIVE_FUSIONS)
@pytest.mark.parametrize(("encoder", "modality"), NATIVE_READERS)
def test_an_encoder_goes_with_a_fusion_and_every_head(encoder: str, modality: str, fusion: str, tmp_path: Path) -> None:
    check(Combination(encoder, modality, fusion, NATIVE_HEADS), tmp_path)


@pytest.mark.parametrize("fusion", ["concat", "joint", *OTHER_FUSIONS])
@pytest.mark.parametrize(("encoder", "modality"), OTHER_READERS)
def test_an_encoder_that_was_trained_elsewhere_goes_with_every_head(encoder: str, modality: str, fusion: str, tmp_path: Path) -> None:
    check(Combination(encoder, modality, fusion, NATIVE_HEADS), tmp_path)


@pytest.mark.parametrize("fusion", OTHER_FUSIONS)
@pytest.mark.parametrize(("encoder", "modality"), NATIVE_READERS)
def test_a_fusion_that_was_trained_elsewhere_goes_with_every_encoder_and_head(
    encoder: str, modality: str, fusion: str, tmp_path: Path
) -> None:
    check(Combination(encoder, modality, fusion, NATIVE_HEADS), tmp_path)


@pytest.mark.parametrize("fusion", list(FUSIONS))
@pytest.mark.parametrize("head", OTHER_HEADS)
def test_a_head_that_was_trained_elsewhere_goes_with_every_fusion(head: str, fusion: str, tmp_path: Path) -> None:
    check(Combination("cnn", "image", fusion, [head, "category"]), tmp_path)


# What does not go


@pytest.mark.parametrize("modality", list(MODALITIES))
def test_a_column_is_refused_by_every_encoder_that_cannot_read_it_and_told_which_can(modality: str) -> None:
    assert modality in RAWS
    schema = Schema([Column("x", modality), Column("y", "category", "target")])
    can = [name for name in ENCODERS if modality in reads(name)]
    for name in ENCODERS:
        config = ModelConfig.parse({"encoders": {"x": {"name": name}}}, "model")
        if name in can:
            assert config.encoder_of("x", modality).name == name
            continue
        with pytest.raises(OmnifuseError, match=rf'model\.encoders\.x: "{name}" reads .*, not {modality}; use {" or ".join(can)}$'):
            config.check(schema)


@pytest.mark.parametrize("modality", list(MODALITIES))
def test_a_target_is_refused_by_every_head_that_cannot_answer_it_and_told_which_can(modality: str) -> None:
    schema = Schema([Column("x", "number"), Column("y", modality, "target")])
    can = [name for name in HEADS if modality in answers(name)]
    for name in HEADS:
        config = ModelConfig.parse({"heads": {"y": {"name": name}}}, "model")
        if name in can:
            assert config.head_of("y", modality).name == name
            continue
        with pytest.raises(OmnifuseError, match=rf'model\.heads\.y: "{name}" answers .*, not {modality}; use {" or ".join(can)}$'):
            config.check(schema)


@pytest.mark.parametrize(
    ("columns", "fusion", "message"),
    [
        (1, "factorization", r"model\.fusion\.order: a product of 2 columns needs as many inputs, but there is 1"),
        (2, {"name": "factorization", "order": 3}, r"needs as many inputs, but there are 2"),
        (6, "tensor", r"model\.fusion: tensor fusion of 6 columns at width 64 has .* weights; use low_rank"),
        (2, {"name": "cross", "rank": 129}, r"model\.fusion\.rank: 129 is above the full rank of the cross layers of 2 columns, 128"),
        (2, {"name": "film", "condition": "c7"}, r'model\.fusion\.condition: unknown input column "c7"'),
        (2, {"name": "bottleneck", "depth": 2, "fuse_from": 2}, r"model\.fusion\.fuse_from: 2 is behind the last of 2 blocks"),
        (2, "llm", r"model\.fusion\.model: name a causal language model"),
    ],
)
def test_columns_that_a_fusion_cannot_fuse_are_refused(columns: int, fusion: Any, message: str) -> None:
    schema = Schema([*(Column(f"c{number}", "number") for number in range(columns)), Column("y", "category", "target")])
    with pytest.raises(OmnifuseError, match=message) as error:
        ModelConfig.parse({"fusion": fusion}, "model").check(schema)
    assert "\n" not in str(error.value)


def test_a_head_without_its_language_model_and_a_target_without_any_head_are_refused() -> None:
    schema = Schema([Column("x", "number"), Column("y", "text", "target")])
    with pytest.raises(OmnifuseError, match=r"model\.heads\.y\.model: name a causal language model"):
        ModelConfig.parse({"heads": {"y": "causal_lm"}}, "model").check(schema)
    with pytest.raises(OmnifuseError, match=r"columns\.y: there is no head for datetime columns"):
        ModelConfig().check(Schema([Column("x", "number"), Column("y", "datetime", "target")]))
