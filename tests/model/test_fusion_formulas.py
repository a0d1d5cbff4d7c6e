"""The fusions of the textbook, on numbers that can be checked by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from omnifuse.core.values import Fused, Tokens
from omnifuse.model import FUSIONS

X1 = torch.tensor([[1.0, -2.0, 3.0, 4.0], [0.5, 0.0, -1.0, 2.0]])
X2 = torch.tensor([[2.0, 5.0, -1.0, 0.5], [4.0, 8.0, 2.0, -3.0]])
DIM = 4


def tokens(x_BD: Tensor, present: list[bool] | None = None) -> Tokens:
    """One token a row."""
    mask = torch.tensor(present or [True] * len(x_BD)).unsqueeze(1)
    return Tokens(x_BD.unsqueeze(1) * mask.unsqueeze(-1), mask)


def fusion(name: str, columns: dict[str, bool] | None = None, **options: Any) -> Any:
    config = FUSIONS.parse({"name": name, **options})
    torch.manual_seed(0)
    return FUSIONS.build(config, columns or {"a": True, "b": True}, DIM)


def fuse(part: Any, a: Tokens, b: Tokens) -> Fused:
    with torch.no_grad():
        return part({"a": a, "b": b})


def fill(parameter: Tensor, values: Any) -> None:
    with torch.no_grad():
        parameter.copy_(torch.as_tensor(values, dtype=torch.float32))


# Weighted sum


def test_weighted_sum_without_projection_is_w1x1_plus_w2x2() -> None:
    part = fusion("weighted_sum", normalise="none", project=False)
    assert torch.equal(fuse(part, tokens(X1), tokens(X2)).pooled, 0.5 * X1 + 0.5 * X2)
    fill(part.weight, [0.3, -1.7])
    torch.testing.assert_close(fuse(part, tokens(X1), tokens(X2)).pooled, 0.3 * X1 - 1.7 * X2, atol=0, rtol=1e-6)


def test_weighted_sum_learns_nothing_but_two_weights_and_the_empty_vector() -> None:
    part = fusion("weighted_sum", normalise="none", project=False)
    assert {name: tuple(p.shape) for name, p in part.named_parameters()} == {"weight": (2,), "empty": (DIM,)}


def test_weighted_sum_leaves_an_absent_column_out() -> None:
    part = fusion("weighted_sum", normalise="none", project=False)
    fill(part.weight, [0.3, -1.7])
    pooled = fuse(part, tokens(X1, [True, False]), tokens(X2)).pooled
    torch.testing.assert_close(pooled, torch.stack([0.3 * X1[0] - 1.7 * X2[0], -1.7 * X2[1]]))


def test_weighted_sum_projects_each_column_with_its_own_matrix() -> None:
    part = fusion("weighted_sum", normalise="none")
    fill(part.weight, [2.0, 3.0])
    p1, p2 = part.project.layers
    expected = 2 * (X1 @ p1.weight.T + p1.bias) + 3 * (X2 @ p2.weight.T + p2.bias)
    torch.testing.assert_close(fuse(part, tokens(X1), tokens(X2)).pooled, expected)


def test_softmax_weights_are_shared_among_the_columns_that_are_present() -> None:
    part = fusion("weighted_sum", project=False)
    fill(part.weight, [1.0, 3.0])
    w1, w2 = torch.tensor([1.0, 3.0]).exp() / torch.tensor([1.0, 3.0]).exp().sum()
    pooled = fuse(part, tokens(X1), tokens(X2, [True, False])).pooled
    torch.testing.assert_close(pooled, torch.stack([w1 * X1[0] + w2 * X2[0], X1[1]]))


@pytest.mark.parametrize("normalise", ["none", "softmax", "gate"])
def test_a_row_without_any_column_gives_the_learned_empty_vector(normalise: str) -> None:
    part = fusion("weighted_sum", normalise=normalise)
    fill(part.empty, [1.0, 2.0, 3.0, 4.0])
    fused = part({"a": tokens(X1, [False, True]), "b": tokens(X2, [False, True])})
    assert fused.pooled[0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert fused.mask.tolist() == [[True, False, False], [True, True, True]]
    fused.pooled.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in part.parameters())
    assert part.empty.grad.tolist() == [1.0] * DIM, "learned from the empty row alone"


def test_gate_weights_are_a_softmax_of_scores_that_depend_on_the_row() -> None:
    part = fusion("weighted_sum", normalise="gate", project=False)
    fill(part.weight, [0.25, -0.5])
    fill(part.gate.weight, [[0.1, 0.2, -0.3, 0.4]])
    v = part.gate.weight[0].detach()
    scores = torch.stack([X1 @ v + 0.25, X2 @ v - 0.5], dim=1)
    w = scores.exp() / scores.exp().sum(1, keepdim=True)
    torch.testing.assert_close(fuse(part, tokens(X1), tokens(X2)).pooled, w[:, :1] * X1 + w[:, 1:] * X2)
    assert not torch.allclose(w[0], w[1])
    alone = fuse(part, tokens(X1, [False, True]), tokens(X2, [True, False])).pooled
    torch.testing.assert_close(alone, torch.stack([X2[0], X1[1]]))


# Product


def test_product_without_projection_is_x1_times_x2() -> None:
    part = fusion("product", project=False)
    assert torch.equal(fuse(part, tokens(X1), tokens(X2)).pooled, X1 * X2)
    assert [name for name, _ in part.named_parameters()] == ["empty"]


def test_an_absent_column_is_a_factor_of_one() -> None:
    part = fusion("product", project=False)
    pooled = fuse(part, tokens(X1, [True, False]), tokens(X2, [False, True])).pooled
    assert torch.equal(pooled, torch.stack([X1[0], X2[1]]))


def test_a_product_of_nothing_is_the_learned_empty_vector() -> None:
    part = fusion("product", project=False)
    fill(part.empty, [9.0, 8.0, 7.0, 6.0])
    pooled = fuse(part, tokens(X1, [True, False]), tokens(X2, [True, False])).pooled
    assert pooled[1].tolist() == [9.0, 8.0, 7.0, 6.0]


@pytest.mark.parametrize("activation", ["none", "relu"])
def test_product_of_projections_and_activations(activation: str) -> None:
    part = fusion("product", activation=activation)
    p1, p2 = part.project.layers
    e1, e2 = X1 @ p1.weight.T + p1.bias, X2 @ p2.weight.T + p2.bias
    expected = e1.relu() * e2.relu() if activation == "relu" else e1 * e2
    torch.testing.assert_close(fuse(part, tokens(X1), tokens(X2)).pooled, expected)


# Concatenation


def test_concat_is_one_linear_layer_over_all_columns() -> None:
    part = fusion("concat")
    w1, w2 = part.linear.weight[:, :DIM], part.linear.weight[:, DIM:]
    expected = X1 @ w1.T + X2 @ w2.T + part.linear.bias
    torch.testing.assert_close(fuse(part, tokens(X1), tokens(X2)).pooled, expected)


def test_concat_puts_a_learned_vector_in_the_place_of_an_absent_optional_column() -> None:
    part = fusion("concat", {"a": False, "b": True})
    assert part.absent.shape == (1, DIM), "one for each column that may be absent"
    fill(part.absent, [[1.0, -1.0, 2.0, 0.5]])
    w1, w2 = part.linear.weight[:, :DIM], part.linear.weight[:, DIM:]
    expected = X1 @ w1.T + part.absent[0] @ w2.T + part.linear.bias
    torch.testing.assert_close(fuse(part, tokens(X1), tokens(X2, [False, False])).pooled, expected)


def test_concat_puts_zeros_in_the_place_of_a_column_that_was_never_absent_in_training() -> None:
    part = fusion("concat", {"a": False, "b": False})
    assert "absent" not in dict(part.named_parameters())
    expected = X1 @ part.linear.weight[:, :DIM].T + part.linear.bias
    torch.testing.assert_close(fuse(part, tokens(X1), tokens(X2, [False, False])).pooled, expected)


# What all pooled fusions share


def test_where_a_column_is_always_there_no_weights_are_kept_for_rows_without_any() -> None:
    columns = {"a": False, "b": True}
    assert [name for name, _ in fusion("product", columns, project=False).named_parameters()] == []
    assert {n: tuple(p.shape) for n, p in fusion("concat", {"a": False, "b": False}).named_parameters()} == {
        "linear.weight": (DIM, 2 * DIM),
        "linear.bias": (DIM,),
    }


@pytest.mark.parametrize(("name", "expected"), [("concat", [0.5, -1.0, 0.0, 2.0]), ("weighted_sum", [0.0] * DIM), ("product", [1.0] * DIM)])
def test_a_row_without_any_column_that_training_never_saw_is_fused_from_zeros(name: str, expected: list[float]) -> None:
    part = fusion(name, {"a": False, "b": False})
    if name == "concat":
        fill(part.linear.bias, expected)
    nothing = fuse(part, tokens(X1, [False, True]), tokens(X2, [False, True]))
    assert nothing.mask.tolist() == [[True, False, False], [True, True, True]]
    assert nothing.pooled[0].tolist() == expected


@pytest.mark.parametrize("name", ["concat", "weighted_sum", "product"])
def test_pooled_fusions_see_the_mean_of_the_tokens_that_are_there(name: str) -> None:
    part = fusion(name)
    values = torch.stack([X1, X2, torch.full_like(X1, 100.0)], dim=1)
    several = Tokens(values, torch.tensor([[True, True, False], [True, True, False]]))
    expected = fuse(part, tokens((X1 + X2) / 2), tokens(X2))
    found = fuse(part, several, tokens(X2))
    torch.testing.assert_close(found.pooled, expected.pooled)
    torch.testing.assert_close(found.tokens, expected.tokens)


@pytest.mark.parametrize("name", ["concat", "weighted_sum", "product"])
def test_pooled_fusions_hand_on_the_fused_vector_and_one_vector_a_column(name: str) -> None:
    fused = fuse(fusion(name), tokens(X1), tokens(X2, [True, False]))
    assert torch.equal(fused.tokens, torch.stack([fused.pooled, X1, X2 * torch.tensor([[1.0], [0.0]])], dim=1))
    assert fused.mask.tolist() == [[True, True, True], [True, True, False]]


# Joint


def test_joint_reads_latents_alone_when_every_column_is_absent() -> None:
    part = fusion("joint", heads=2).eval()
    nothing = fuse(part, tokens(X1, [False, False]), tokens(X2, [False, False]))
    assert torch.equal(nothing.pooled[0], nothing.pooled[1]), "it does not depend on what the absent rows held"
    with torch.no_grad():
        latents = part.latents.unsqueeze(0)
        alone = part.transformer(latents, torch.ones(latents.shape[:2], dtype=torch.bool)).mean(1)
    torch.testing.assert_close(nothing.pooled[:1], alone, atol=1e-6, rtol=0)


def test_joint_does_not_change_when_absent_tokens_do() -> None:
    part = fusion("joint", heads=2).eval()
    absent = torch.tensor([[False], [True]])
    expected = fuse(part, tokens(X1), Tokens(torch.where(absent, X2, 0).unsqueeze(1), absent)).pooled
    found = fuse(part, tokens(X1), Tokens(torch.where(absent, X2, -77.0).unsqueeze(1), absent)).pooled
    assert torch.equal(expected, found)


def test_joint_tells_columns_apart() -> None:
    part = fusion("joint", heads=2).eval()
    here, there = fuse(part, tokens(X1), tokens(X2)).pooled, fuse(part, tokens(X2), tokens(X1)).pooled
    assert not torch.allclose(here, there, atol=1e-5)
