"""Fusions of which one column scales or gates another: formulas written out in plain PyTorch, and what absence leaves."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch
from fusion_cases import ROWS, fuse, fusion, randomise, tokens, vectors
from torch import Tensor

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.values import Tokens
from omnifuse.model import FUSIONS

DIM = 4
WIDTH = 3

# Bilinear


def factors(part: Any, z: list[Tensor], m: int, n: int, rank: int, relu: bool) -> Tensor:
    """σ(U^r z_m + u^r) of the pair (m, n) for every r, (R, B, H); column m keeps those for the others in their order."""
    layer = part.factors.layers[m]
    place = n - 1 if n > m else n
    rows = slice(place * rank * WIDTH, (place + 1) * rank * WIDTH)
    factor_BE = z[m] @ layer.weight[rows].T + layer.bias[rows]
    return (factor_BE.relu() if relu else factor_BE).unflatten(1, (rank, WIDTH)).transpose(0, 1)


@pytest.mark.parametrize("activation", ["none", "relu"])
@pytest.mark.parametrize(("kind", "rank"), [("mlb", 1), ("mutan", 2)])
@pytest.mark.parametrize("columns", [2, 3, 4])
def test_bilinear_pooling_is_the_mean_over_pairs_of_sums_of_products(columns: int, kind: str, rank: int, activation: str) -> None:
    part, z = fusion("bilinear", columns, DIM, kind=kind, rank=2, width=WIDTH, activation=activation), vectors(columns, DIM)
    relu = activation == "relu"
    pairs = [sum(factors(part, z, m, n, rank, relu) * factors(part, z, n, m, rank, relu)) for m, n in combinations(range(columns), 2)]
    expected = torch.stack(pairs).mean(0) @ part.out.weight.T + part.out.bias
    torch.testing.assert_close(fuse(part, z).pooled, expected)


@pytest.mark.parametrize(("kind", "rank"), [("mlb", 1), ("mutan", 2)])
def test_a_pair_with_one_absent_column_is_the_factor_of_the_other(kind: str, rank: int) -> None:
    part, z = fusion("bilinear", 2, DIM, kind=kind, rank=2, width=WIDTH), vectors(2, DIM)
    expected = factors(part, z, 1, 0, rank, True).sum(0) @ part.out.weight.T + part.out.bias
    torch.testing.assert_close(fuse(part, z, absent={0}).pooled, expected)


def test_a_pair_of_which_both_are_absent_does_not_count() -> None:
    part, z = fusion("bilinear", 3, DIM, width=WIDTH), vectors(3, DIM)
    pairs = factors(part, z, 2, 0, 1, True).sum(0) + factors(part, z, 2, 1, 1, True).sum(0)
    expected = pairs / 2 @ part.out.weight.T + part.out.bias
    torch.testing.assert_close(fuse(part, z, absent={0, 1}).pooled, expected)


def test_bilinear_pooling_of_one_column_projects_it() -> None:
    part, z = fusion("bilinear", 1, DIM, width=WIDTH), vectors(1, DIM)
    (layer,) = part.factors.layers
    expected = (z[0] @ layer.weight.T + layer.bias).relu() @ part.out.weight.T + part.out.bias
    torch.testing.assert_close(fuse(part, z).pooled, expected)
    torch.testing.assert_close(fuse(part, z, absent={0}).pooled, part.out.bias.detach().expand(ROWS, DIM))


# FiLM


def test_film_starts_as_the_identity() -> None:
    part, z = fusion("film", 3, DIM), vectors(3, DIM)
    fused = fuse(part, z)
    torch.testing.assert_close(fused.tokens, torch.stack([torch.stack(z).mean(0), *z], dim=1))
    assert torch.equal(fused.tokens[:, 0], fused.pooled)


def test_film_scales_and_shifts_every_token_by_the_pool_of_the_condition() -> None:
    part = fusion("film", 3, DIM, condition="c1")
    randomise(part)
    longer_BTD = torch.randn(ROWS, 2, DIM, dtype=torch.float64)
    mask_BT = torch.tensor([[True, row % 2 == 0] for row in range(ROWS)])
    _, c, g = vectors(3, DIM)
    with torch.no_grad():
        fused = part({"c0": Tokens(longer_BTD, mask_BT), "c1": tokens(c), "c2": tokens(g)})
    expected = [torch.zeros_like(longer_BTD[:, :1]), longer_BTD, c.unsqueeze(1), g.unsqueeze(1)]
    for place, name in ((1, "c0"), (3, "c2")):
        weight, bias = part.modulation[name].weight, part.modulation[name].bias
        gamma, beta = 1 + c @ weight[:DIM].T + bias[:DIM], c @ weight[DIM:].T + bias[DIM:]
        expected[place] = gamma.unsqueeze(1) * expected[place] + beta.unsqueeze(1)
    weights_BT1 = mask_BT.unsqueeze(2).double()
    expected[1] = expected[1] * weights_BT1
    pools = torch.stack([expected[1].sum(1) / weights_BT1.sum(1), expected[2][:, 0], expected[3][:, 0]])
    torch.testing.assert_close(fused.pooled, pools.mean(0))
    torch.testing.assert_close(fused.tokens[:, 1:], torch.cat(expected[1:], dim=1))
    assert fused.mask.tolist() == [[True, True, row % 2 == 0, True, True] for row in range(ROWS)]


def test_without_its_condition_film_changes_nothing() -> None:
    part, (f, c) = fusion("film", 2, DIM), vectors(2, DIM)
    randomise(part)
    assert torch.equal(fuse(part, [f, c], absent={1}).pooled, f)


def test_an_absent_column_gives_way_to_its_learned_token_which_is_modulated() -> None:
    part, (f, c) = fusion("film", 2, DIM, optional=True), vectors(2, DIM)
    randomise(part)
    change_BE = c @ part.modulation["c0"].weight.T + part.modulation["c0"].bias
    expected = (1 + change_BE[:, :DIM]) * part.absent[0] + change_BE[:, DIM:]
    fused = fuse(part, [f, c], absent={0})
    torch.testing.assert_close(fused.tokens[:, 1], expected)
    torch.testing.assert_close(fused.pooled, (expected + c) / 2)
    nothing = fuse(part, [f, c], absent={0, 1})
    torch.testing.assert_close(nothing.pooled, part.absent.detach().expand(ROWS, DIM))


def test_a_column_that_was_never_absent_in_training_has_no_learned_token_and_is_left_out() -> None:
    part, (f, c) = fusion("film", 2, DIM, optional=[False, True]), vectors(2, DIM)
    assert "absent" not in dict(part.named_parameters())
    fused = fuse(part, [f, c], absent={0})
    assert torch.equal(fused.pooled, c)
    assert fused.mask.tolist() == [[True, False, True]] * ROWS


def test_a_single_column_has_nothing_to_condition_it() -> None:
    part, (f,) = fusion("film", 1, DIM), vectors(1, DIM)
    assert not list(part.parameters())
    assert torch.equal(fuse(part, [f]).pooled, f)


def test_a_condition_that_is_no_input_is_refused_with_a_suggestion() -> None:
    FUSIONS.parse({"name": "film", "condition": "question"}).check(["image", "question"], 16)  # type: ignore[attr-defined]
    with pytest.raises(OmnifuseError, match=r"model\.fusion\.condition.*questions.*question"):
        FUSIONS.parse({"name": "film", "condition": "questions"}).check(["image", "question"], 16)  # type: ignore[attr-defined]


# Gated


def test_each_component_of_each_column_has_a_gate_that_sees_all_columns() -> None:
    part, z = fusion("gated", 3, DIM), vectors(3, DIM)
    scores = (torch.cat(z, dim=1) @ part.gate.weight.T).unflatten(1, (3, DIM)).exp()
    values = torch.stack([torch.tanh(z_BD @ layer.weight.T) for z_BD, layer in zip(z, part.project.layers, strict=True)], dim=1)
    torch.testing.assert_close(fuse(part, z).pooled, (scores / scores.sum(1, keepdim=True) * values).sum(1))


def test_with_two_columns_the_gate_is_the_sigmoid_of_the_paper() -> None:
    part, (x, y) = fusion("gated", 2, DIM), vectors(2, DIM)
    gate = torch.sigmoid(torch.cat([x, y], dim=1) @ (part.gate.weight[:DIM] - part.gate.weight[DIM:]).T)
    first, second = (torch.tanh(z @ layer.weight.T) for z, layer in zip((x, y), part.project.layers, strict=True))
    torch.testing.assert_close(fuse(part, [x, y]).pooled, gate * first + (1 - gate) * second)


def test_the_gate_of_an_absent_column_is_zero_and_the_others_share_what_it_had() -> None:
    part, z = fusion("gated", 3, DIM), vectors(3, DIM)
    present_BM = torch.tensor([[True, True, True], [True, False, True], [False, False, True], [False, False, False], [True] * 3])
    gates = part.gates(torch.stack(z, dim=1) * present_BM.unsqueeze(2), present_BM)
    assert not gates[~present_BM].any()
    torch.testing.assert_close(gates.sum(1), present_BM.any(1, keepdim=True).double().expand(ROWS, DIM))
    assert torch.equal(gates[2, 2], torch.ones(DIM, dtype=torch.float64))
