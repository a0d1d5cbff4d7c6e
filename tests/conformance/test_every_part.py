"""Every registered encoder, fusion and head keeps the same contract. A new part is covered by being registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conformance_parts import (
    DIM,
    ROWS,
    assert_every_parameter_learns,
    batch_of,
    fitted,
    fused_rows,
    label,
    raws_of,
    ready,
    some_loss,
    token_columns,
    variants,
)
from safetensors.torch import load_file
from torch import Tensor, nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig
from omnifuse.core.values import Fused, Tokens, Values
from omnifuse.data.modalities import MODALITIES
from omnifuse.data.modalities.processor import Processor
from omnifuse.model import ENCODERS, FUSIONS, HEADS
from omnifuse.model.encoders.config import DEFAULT_ENCODERS
from omnifuse.model.heads.sampling import RowNoise, Sampling
from omnifuse.pipeline.pipeline import write_tensors

MAY_BE_ABSENT = {"one": True, "few": False, "many": True}


class Case:
    """One part: how it is made, what it is given, and what it gives as plain tensors."""

    def __init__(
        self, make: Callable[[], nn.Module], given: Any, outputs: Callable[[nn.Module, Any], list[Tensor]], compares_rows: bool = False
    ) -> None:
        """Args: make: builds the part from the current random state; given: its input; outputs: runs it; compares_rows: whether
        its second output, the loss, depends on the other rows of the batch.
        """
        self.make, self.given, self.outputs, self.compares_rows = make, given, outputs, compares_rows

    def built(self, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        return self.make()

    def run(self, part: nn.Module, given: Any = None, seed: int = 7) -> list[Tensor]:
        torch.manual_seed(seed)
        return self.outputs(part, self.given if given is None else given)


def rows_of(given: Any, index: Tensor | slice) -> Any:
    """Some rows of an input of any part."""
    if isinstance(given, Values):
        return given.select(index)
    if isinstance(given, Tokens):
        return Tokens(given.values[index], given.mask[index])
    if isinstance(given, Fused):
        return Fused(given.tokens[index], given.mask[index], given.pooled[index])
    if isinstance(given, dict):
        return {name: rows_of(part, index) for name, part in given.items()}
    return tuple(rows_of(part, index) for part in given)


def plain(output: Tensor | Tokens | Fused) -> Tensor:
    """The output of a head as one tensor."""
    return output.values if isinstance(output, Tokens) else output.pooled if isinstance(output, Fused) else output


def learn(outputs: list[Tensor]) -> None:
    """Gradients of a loss on everything that a part gives; a part without weights has none."""
    loss = some_loss(*(output for output in outputs if output.is_floating_point()))
    if loss.requires_grad:
        loss.backward()


def modalities_of(config: PartConfig) -> tuple[str, ...]:
    modalities = getattr(config, "modalities", ())
    assert modalities, f"{config.name}: its options say no modalities"
    return modalities


def encoder_case(config: Any, modality: str) -> tuple[Case, Processor[Any]]:
    processor = fitted(modality, ready(config).input_spec())

    def outputs(part: nn.Module, values: Values) -> list[Tensor]:
        tokens = part(values)
        return [tokens.values, tokens.mask]

    return Case(lambda: ENCODERS.build(config, processor.spec, DIM), batch_of(processor, modality), outputs), processor


def fusion_case(config: PartConfig) -> Case:
    def outputs(part: nn.Module, tokens: dict[str, Tokens]) -> list[Tensor]:
        fused = part(tokens)
        return [fused.tokens, fused.mask, fused.pooled]

    return Case(lambda: FUSIONS.build(ready(config), MAY_BE_ABSENT, DIM), token_columns(), outputs)


def head_case(config: Any, modality: str) -> Case:
    processor = fitted(modality, ready(config).input_spec())

    def outputs(part: Any, given: tuple[Fused, Values]) -> list[Tensor]:
        output = part(given[0])
        told = [part.predict(output)] if part.predicts else []
        return [plain(output), part.loss(output, given[1]), *told]

    def make() -> nn.Module:
        own = [ENCODERS.build(DEFAULT_ENCODERS[modality], processor.spec, DIM)] if config.encodes_target else []
        return HEADS.build(config, processor.spec, DIM, *own)

    return Case(make, (fused_rows(), batch_of(processor, modality)), outputs, compares_rows=config.tells == "embedding")


ENCODER_VARIANTS = [(config, modality) for config in variants(ENCODERS) for modality in modalities_of(config)]
HEAD_VARIANTS = [(config, modality) for config in variants(HEADS) for modality in modalities_of(config)]
FUSION_VARIANTS = list(variants(FUSIONS))
CASES = [
    *(pytest.param(lambda c=c, m=m: encoder_case(c, m)[0], id=f"encoder-{label(c)}-{m}") for c, m in ENCODER_VARIANTS),
    *(pytest.param(lambda c=c: fusion_case(c), id=f"fusion-{label(c)}") for c in FUSION_VARIANTS),
    *(pytest.param(lambda c=c, m=m: head_case(c, m), id=f"head-{label(c)}-{m}") for c, m in HEAD_VARIANTS),
]
every_part = pytest.mark.parametrize("make_case", CASES)
every_encoder = pytest.mark.parametrize(("config", "modality"), ENCODER_VARIANTS, ids=[f"{label(c)}-{m}" for c, m in ENCODER_VARIANTS])
every_fusion = pytest.mark.parametrize("config", FUSION_VARIANTS, ids=label)
every_head = pytest.mark.parametrize(("config", "modality"), HEAD_VARIANTS, ids=[f"{label(c)}-{m}" for c, m in HEAD_VARIANTS])


def test_every_registered_name_is_a_case() -> None:
    assert {config.name for config, _ in ENCODER_VARIANTS} == set(ENCODERS)
    assert {config.name for config in FUSION_VARIANTS} == set(FUSIONS)
    assert {config.name for config, _ in HEAD_VARIANTS} == set(HEADS)
    assert all(entry.summary for registry in (ENCODERS, FUSIONS, HEADS) for entry in registry.values())


# What every part does alike


@every_part
def test_every_parameter_gets_a_gradient(make_case: Callable[[], Case]) -> None:
    case = make_case()
    part = case.built().train()
    learn(case.run(part))
    assert_every_parameter_learns(part)


@every_part
def test_weights_survive_safetensors_bit_for_bit(make_case: Callable[[], Case], tmp_path: Path) -> None:
    case = make_case()
    part = case.built(seed=0).train()
    case.run(part)  # running averages move away from where they start
    write_tensors(part.state_dict(), tmp_path / "part.safetensors")
    other = case.built(seed=1)
    other.load_state_dict(load_file(tmp_path / "part.safetensors"))
    for expected, found in zip(case.run(part.eval()), case.run(other.eval()), strict=True):
        assert torch.equal(expected, found)


@every_part
def test_the_same_seed_gives_the_same_part_and_outputs(make_case: Callable[[], Case]) -> None:
    first, second = make_case(), make_case()
    for expected, found in zip(first.run(first.built(3).train()), second.run(second.built(3).train()), strict=True):
        assert torch.equal(expected, found)


@every_part
def test_bf16_autocast_is_finite_forwards_and_backwards(make_case: Callable[[], Case]) -> None:
    case = make_case()
    part = case.built().train()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = case.run(part)
    learn(outputs)
    assert all(torch.isfinite(output).all() for output in outputs)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in part.parameters() if p.requires_grad)
    expected = case.run(case.built().train())
    for low, high in zip(outputs, expected, strict=True):
        if high.is_floating_point():
            assert (low.float() - high).abs().max() < 0.1 * (1 + high.abs().max())


@every_part
def test_each_row_alone_gives_what_it_gives_among_others(make_case: Callable[[], Case]) -> None:
    case = make_case()
    part = case.built().eval()
    together = case.run(part)
    for row in range(ROWS):
        alone = case.run(part, rows_of(case.given, slice(row, row + 1)))
        for place, (expected, found) in enumerate(zip(together, alone, strict=True)):
            if not (case.compares_rows and place == 1):
                torch.testing.assert_close(found[0], expected[row], atol=1e-5, rtol=1e-5)


@every_part
def test_shuffling_rows_shuffles_outputs(make_case: Callable[[], Case]) -> None:
    case = make_case()
    part = case.built().eval()
    order = torch.tensor([3, 0, 7, 1, 6, 2, 5, 4])
    for expected, found in zip(case.run(part), case.run(part, rows_of(case.given, order)), strict=True):
        torch.testing.assert_close(found, expected[order], atol=1e-5, rtol=1e-5)


# Encoders


@every_encoder
def test_an_encoder_gives_tokens_of_the_width_and_zeros_where_masked(config: Any, modality: str) -> None:
    case, _ = encoder_case(config, modality)
    for part in (case.built().train(), case.built().eval()):
        values, mask = case.run(part)
        assert values.shape == (*mask.shape, DIM)
        assert len(values) == ROWS
        assert mask.dtype == torch.bool
        assert torch.equal(mask.any(1), case.given.present), "exactly the rows that are present have tokens"
        assert not values[~mask].any(), "masked tokens are zero"
        assert torch.isfinite(values).all()


@every_encoder
def test_an_encoder_does_not_see_what_is_absent_or_padded(config: Any, modality: str) -> None:
    case, processor = encoder_case(config, modality)
    given = case.given
    data = given.data.clone()
    data[~given.present] = given.data[2]
    if given.mask is not None:
        steps = data.movedim(1 + processor.spec.shape.index(None), 1)  # a view (B, T, …)
        noise = torch.arange(int((~given.mask).sum())) % 200 + 3
        steps[~given.mask] = noise.to(data.dtype).reshape(-1, *[1] * (steps.ndim - 2)).expand_as(steps[~given.mask])
    assert not torch.equal(data, given.data)
    for mode in (True, False):
        expected = case.run(case.built().train(mode))
        found = case.run(case.built().train(mode), replace(given, data=data))
        assert torch.equal(expected[1], found[1])
        torch.testing.assert_close(found[0], expected[0], atol=1e-6, rtol=0)


@every_encoder
def test_an_encoder_of_nothing_but_absent_rows_is_finite(config: Any, modality: str) -> None:
    case, processor = encoder_case(config, modality)
    part = case.built().train()
    before = {name: buffer.clone() for name, buffer in part.named_buffers() if buffer.is_floating_point()}
    values, mask = case.run(part, processor.encode([None, None, None]))
    assert not mask.any()
    assert not values.any()
    values.sum().backward()
    for name, parameter in part.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None, f"{name} has no gradient, so ranks would wait for each other"
        assert not parameter.grad.any(), f"{name} learns from nothing"
    for name, buffer in part.named_buffers():
        assert name not in before or torch.equal(buffer, before[name]), f"{name} moved although nothing was there"


@every_encoder
def test_an_encoder_gives_the_same_tokens_however_far_a_batch_is_padded(config: Any, modality: str) -> None:
    case, processor = encoder_case(config, modality)
    part = case.built().eval()
    together, mask = case.run(part)
    raw = raws_of(modality)[0]
    alone, alone_mask = case.run(part, processor.encode([raw]))
    length = int(alone_mask.sum())
    assert int(mask[0].sum()) == length
    torch.testing.assert_close(alone[0, :length], together[0, :length], atol=1e-5, rtol=1e-5)


# Fusions


@every_fusion
def test_a_fusion_gives_one_vector_a_row_and_tokens_with_zeros_where_masked(config: PartConfig) -> None:
    case = fusion_case(config)
    tokens, mask, pooled = case.run(case.built().train())
    assert pooled.shape == (ROWS, DIM)
    assert tokens.shape == (*mask.shape, DIM)
    assert len(tokens) == ROWS
    assert mask.dtype == torch.bool
    assert mask.any(1).all(), "a head finds at least one token in every row"
    assert not tokens[~mask].any()


@every_fusion
def test_a_fusion_is_finite_for_every_pattern_of_absence(config: PartConfig) -> None:
    case = fusion_case(config)
    for nothing in (False, True):
        given = {
            name: Tokens((column.values * (not nothing)).requires_grad_(), column.mask & (not nothing))
            for name, column in case.given.items()
        }
        part = case.built().train()
        tokens, _, pooled = case.run(part, given)
        assert torch.isfinite(tokens).all()
        assert torch.isfinite(pooled).all()
        some_loss(tokens, pooled).backward()
        for name, parameter in part.named_parameters():
            if not parameter.requires_grad:
                continue
            assert parameter.grad is not None, f"{name} has no gradient, so ranks would wait for each other"
            assert torch.isfinite(parameter.grad).all(), name
        for name, column in given.items():
            assert torch.isfinite(column.values.grad).all(), name


@every_fusion
def test_a_fusion_does_not_see_masked_tokens(config: PartConfig) -> None:
    case = fusion_case(config)
    noise = {name: torch.where(column.mask.unsqueeze(-1), column.values, 1e3) for name, column in case.given.items()}
    given = {name: Tokens(noise[name], column.mask) for name, column in case.given.items()}
    part = case.built().eval()
    for expected, found in zip(case.run(part), case.run(part, given), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@every_fusion
def test_a_fusion_gives_the_same_vector_however_far_tokens_are_padded(config: PartConfig) -> None:
    case = fusion_case(config)
    part = case.built().eval()
    given = {name: column.pad(column.values.shape[1] + 3) for name, column in case.given.items()}
    torch.testing.assert_close(case.run(part, given)[2], case.run(part)[2], atol=1e-5, rtol=1e-5)


@every_fusion
def test_a_fusion_reads_every_column(config: PartConfig) -> None:
    case = fusion_case(config)
    torch.manual_seed(0)
    part = case.make().eval()
    before = case.run(part)[2]
    for name, column in case.given.items():
        changed = case.run(part, {**case.given, name: Tokens(column.values * 1.5 + 0.5 * column.mask.unsqueeze(-1), column.mask)})[2]
        moved = (changed - before).abs().amax(1) > 1e-6
        assert torch.equal(moved, column.present), f"{name} counts in exactly the rows that have it"


# Heads


@every_head
def test_a_head_gives_a_loss_by_row_and_answers_its_processor_can_read(config: Any, modality: str) -> None:
    processor = fitted(modality, ready(config).input_spec())
    case = head_case(config, modality)
    head: Any = case.built().eval()
    output, loss, *answers = case.run(head)
    assert len(output) == ROWS
    assert loss.shape == (ROWS,)
    assert loss.dtype == torch.float32
    if not head.predicts:  # has no best answer, only samples
        with pytest.raises(OmnifuseError, match=r"Pipeline\.generate"):
            head.predict(output)
        drawn = head.generate(head(case.given[0]), RowNoise(range(ROWS)), Sampling(steps=2))
        assert torch.isfinite(drawn).all()
        check_decoded(processor.decode(drawn), modality)
        return
    [told] = answers
    assert told.dtype == (torch.int64 if config.tells == "text" else torch.float32)
    assert len(told) == ROWS
    if config.tells == "embedding":  # has no answer without candidates, which lie in the same space
        found = head.embed(case.given[1])
        assert found.shape == told.shape
        torch.testing.assert_close(torch.cat([found, told]).norm(dim=1), torch.ones(2 * ROWS))
        return
    check_decoded(processor.decode(head.answer(told)), modality)


def check_decoded(decoded: list[Any], modality: str) -> None:
    kinds = (type(raws_of(modality)[0]), np.ndarray) if MODALITIES[modality].load().is_media else type(raws_of(modality)[0])
    assert len(decoded) == ROWS
    assert all(isinstance(value, kinds) for value in decoded)


@every_head
def test_the_loss_of_a_head_falls_when_the_answer_gets_better(config: PartConfig, modality: str) -> None:
    case = head_case(config, modality)
    head: Any = case.built().train()
    fused, target = case.given
    rate, share = (0.02, 0.7) if head.predicts else (0.005, 0.8)  # what a draw adds cannot be foretold
    optimizer = torch.optim.Adam(head.parameters(), lr=rate)
    losses = []
    for _ in range(60):
        loss = head.loss(head(fused), target)[target.present].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < share * losses[0]


@every_head
def test_the_loss_of_a_row_does_not_depend_on_the_targets_of_others(config: PartConfig, modality: str) -> None:
    case = head_case(config, modality)
    head: Any = case.built().eval()
    fused, target = case.given
    data = target.data.clone()
    data[~target.present] = target.data[2]
    expected, found = head.loss(head(fused), target), head.loss(head(fused), replace(target, data=data))
    assert torch.equal(expected[target.present], found[target.present])
