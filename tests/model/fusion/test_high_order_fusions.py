"""Fusions that multiply columns: formulas written out in plain PyTorch, small cases worked by hand, and what absence leaves."""

from __future__ import annotations

from functools import reduce
from itertools import combinations, product

import pytest
import torch
from fusion_cases import fuse, fusion, randomise, vectors
from torch import Tensor, nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.model import FUSIONS

DIM = 3


def with_one(z_BD: Tensor) -> Tensor:
    return torch.cat([z_BD, torch.ones(len(z_BD), 1, dtype=z_BD.dtype)], dim=1)


def full_tensor(factors_MKRD: Tensor, weight_R: Tensor) -> Tensor:
    """The weights ((D+1)^M, D) that low-rank fusion stands for."""
    outers = []
    for r, weight in enumerate(weight_R):
        columns = [factors_KRD[:, r] for factors_KRD in factors_MKRD]
        outers.append(weight * torch.stack([reduce(torch.kron, [c[:, d] for c in columns]) for d in range(DIM)], dim=1))
    return torch.stack(outers).sum(0)


def full_rank_factors(weight_PD: Tensor) -> Tensor:
    """Factors (3, D+1, (D+1)², D) of any weights of three columns: one rank for each choice of components of the first two."""
    size = DIM + 1
    weight_KKKD = weight_PD.view(size, size, size, DIM)
    factors = torch.zeros(3, size, size**2, DIM, dtype=weight_PD.dtype)
    for r, (i, j) in enumerate(product(range(size), repeat=2)):
        factors[0, i, r] = factors[1, j, r] = 1
        factors[2, :, r] = weight_KKKD[i, j]
    return factors


# Tensor


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
@pytest.mark.parametrize("width", [None, 2])
def test_tensor_fusion_is_a_linear_map_of_the_whole_outer_product(columns: int, width: int | None) -> None:
    part, z = fusion("tensor", columns, DIM, width=width), vectors(columns, DIM)
    e = [z_BD @ layer.weight.T for z_BD, layer in zip(z, part.project.layers, strict=True)] if width else z
    outer_BP = torch.stack([reduce(torch.kron, [with_one(e_BW)[row] for e_BW in e]) for row in range(len(z[0]))])
    assert part.weight.shape == (((width or DIM) + 1) ** columns, DIM)
    torch.testing.assert_close(fuse(part, z).pooled, outer_BP @ part.weight)


def test_tensor_fusion_without_a_column_is_that_of_the_others() -> None:
    part, z = fusion("tensor", 3, DIM), vectors(3, DIM)
    two = fusion("tensor", 2, DIM)
    with torch.no_grad():
        two.weight.copy_(part.weight.view(DIM + 1, DIM + 1, DIM + 1, DIM)[:, -1].reshape(-1, DIM))
    torch.testing.assert_close(fuse(part, z, absent={1}).pooled, fuse(two, [z[0], z[2]]).pooled)


def test_tensor_fusion_that_no_machine_holds_is_refused_with_a_way_out() -> None:
    FUSIONS.parse("tensor").check(["a", "b", "c"], 64)  # type: ignore[attr-defined]
    with pytest.raises(OmnifuseError, match=r"4 columns at width 64 has 1\.1e\+09 weights; use low_rank"):
        FUSIONS.parse("tensor").check(["a", "b", "c", "d"], 64)  # type: ignore[attr-defined]
    FUSIONS.parse({"name": "tensor", "width": 8}).check(["a", "b", "c", "d"], 64)  # type: ignore[attr-defined]


# Low rank


def test_low_rank_fusion_is_a_sum_over_ranks_of_products_over_columns() -> None:
    part, z = fusion("low_rank", 3, DIM, rank=5), vectors(3, DIM)
    randomise(part)
    expected = part.bias + sum(
        part.weight[r] * reduce(torch.mul, [with_one(z_BD) @ part.factors[m, :, r] for m, z_BD in enumerate(z)]) for r in range(5)
    )
    torch.testing.assert_close(fuse(part, z).pooled, expected)


@pytest.mark.parametrize("rank", [1, 4])
def test_low_rank_fusion_equals_tensor_fusion_with_the_weights_it_stands_for(rank: int) -> None:
    low, tensor, z = fusion("low_rank", 3, DIM, rank=rank), fusion("tensor", 3, DIM), vectors(3, DIM)
    with torch.no_grad():
        tensor.weight.copy_(full_tensor(low.factors, low.weight))
    torch.testing.assert_close(fuse(low, z).pooled, fuse(tensor, z).pooled, atol=1e-12, rtol=1e-12)


def test_at_full_rank_low_rank_fusion_equals_any_tensor_fusion() -> None:
    low, tensor, z = fusion("low_rank", 3, DIM, rank=(DIM + 1) ** 2), fusion("tensor", 3, DIM), vectors(3, DIM)
    with torch.no_grad():
        low.factors.copy_(full_rank_factors(tensor.weight))
        low.weight.fill_(1)
    for absent in (set(), {0}, {1, 2}):
        torch.testing.assert_close(fuse(low, z, absent).pooled, fuse(tensor, z, absent).pooled, atol=1e-12, rtol=1e-12)


def test_an_absent_column_leaves_the_constants_of_its_factors() -> None:
    part, z = fusion("low_rank", 3, DIM, rank=2), vectors(3, DIM)
    two = fusion("low_rank", 2, DIM, rank=2)
    with torch.no_grad():
        two.weight.copy_(part.weight)
        two.factors.copy_(part.factors[[0, 2]])
        two.factors[0] *= part.factors[1, -1]
    torch.testing.assert_close(fuse(part, z, absent={1}).pooled, fuse(two, [z[0], z[2]]).pooled)


@pytest.mark.parametrize(
    ("name", "columns", "rank"), [("tensor", 2, 0), ("tensor", 3, 0), *(("low_rank", m, r) for m in (2, 4) for r in (2, 32))]
)
def test_products_keep_the_scale_of_columns_at_the_start(name: str, columns: int, rank: int) -> None:
    torch.manual_seed(0)
    part = FUSIONS.build(FUSIONS.parse({"name": name, **({"rank": rank} if rank else {})}), {str(m): False for m in range(columns)}, 24)
    with torch.no_grad():
        squares = part.combine(torch.randn(4000, columns, 24), torch.ones(4000, columns, dtype=torch.bool)).square().mean()
    assert 0.4 < squares < 2.5, "columns of mean square 1 give about 1"


# Cross


@pytest.mark.parametrize("rank", [None, 2])
def test_cross_layers_multiply_by_the_columns_again_and_again(rank: int | None) -> None:
    part, z = fusion("cross", 2, DIM, layers=3, rank=rank), vectors(2, DIM)
    randomise(part)
    x = x0 = torch.cat(z, dim=1)
    for layer in part.layers:
        matrix, bias = (layer.weight, layer.bias) if rank is None else (layer[1].weight @ layer[0].weight, layer[1].bias)
        x = x0 * (x @ matrix.T + bias) + x
    torch.testing.assert_close(fuse(part, z).pooled, x @ part.out.weight.T + part.out.bias)


def test_two_cross_layers_of_one_number_are_a_polynomial_of_degree_three() -> None:
    part = fusion("cross", 1, 1)
    with torch.no_grad():
        for layer, (weight, bias) in zip([*part.layers, part.out], [(3.0, 1.0), (0.5, -2.0), (1.0, 0.0)], strict=True):
            layer.weight.fill_(weight)
            layer.bias.fill_(bias)
    # x = 2: x₁ = 2·(3·2 + 1) + 2 = 16, x₂ = 2·(0.5·16 − 2) + 16 = 28
    assert fuse(part, [torch.tensor([[2.0]], dtype=torch.float64)]).pooled.item() == 28


def test_cross_layers_without_a_column_are_those_of_the_others() -> None:
    part, two, z = fusion("cross", 3, DIM), fusion("cross", 2, DIM), vectors(3, DIM)
    randomise(part)
    kept = [0, 1, 2, 6, 7, 8]
    with torch.no_grad():
        for small, large in zip(two.layers, part.layers, strict=True):
            small.weight.copy_(large.weight[kept][:, kept])
            small.bias.copy_(large.bias[kept])
        two.out.weight.copy_(part.out.weight[:, kept])
        two.out.bias.copy_(part.out.bias)
    torch.testing.assert_close(fuse(part, z, absent={1}).pooled, fuse(two, [z[0], z[2]]).pooled)


def test_a_rank_above_the_full_one_is_refused() -> None:
    FUSIONS.parse({"name": "cross", "rank": 32}).check(["a", "b"], 16)  # type: ignore[attr-defined]
    with pytest.raises(OmnifuseError, match="33 is above the full rank of the cross layers of 2 columns, 32"):
        FUSIONS.parse({"name": "cross", "rank": 33}).check(["a", "b"], 16)  # type: ignore[attr-defined]


# Factorization


def projected(part: nn.Module, z: list[Tensor]) -> list[Tensor]:
    return [z_BD @ layer.weight.T for z_BD, layer in zip(z, part.project.layers, strict=True)]  # type: ignore[union-attr, arg-type]


def test_a_factorization_machine_is_linear_plus_half_the_difference_of_squares() -> None:
    part, z = fusion("factorization", 4, DIM), vectors(4, DIM)
    e_MBD = torch.stack(projected(part, z))
    expected = torch.cat(z, dim=1) @ part.linear.weight.T + part.linear.bias + (e_MBD.sum(0) ** 2 - (e_MBD**2).sum(0)) / 2
    torch.testing.assert_close(fuse(part, z).pooled, expected)


@pytest.mark.parametrize("order", [3, 4])
def test_higher_orders_add_the_products_of_as_many_different_columns(order: int) -> None:
    part, z = fusion("factorization", 4, DIM, order=order), vectors(4, DIM)
    e = projected(part, z)
    expected = torch.cat(z, dim=1) @ part.linear.weight.T + part.linear.bias
    for t in range(2, order + 1):
        expected = expected + sum(reduce(torch.mul, chosen) for chosen in combinations(e, t))
    torch.testing.assert_close(fuse(part, z).pooled, expected)


def test_terms_with_an_absent_column_are_gone() -> None:
    part, z = fusion("factorization", 3, DIM, order=3), vectors(3, DIM)
    e = projected(part, z)
    expected = torch.cat([z[0], 0 * z[1], z[2]], dim=1) @ part.linear.weight.T + part.linear.bias + e[0] * e[2]
    torch.testing.assert_close(fuse(part, z, absent={1}).pooled, expected)


def test_an_order_above_the_number_of_columns_is_refused() -> None:
    FUSIONS.parse({"name": "factorization", "order": 3}).check(["a", "b", "c"], 16)  # type: ignore[attr-defined]
    with pytest.raises(OmnifuseError, match="a product of 3 columns needs as many inputs, but there are 2"):
        FUSIONS.parse({"name": "factorization", "order": 3}).check(["a", "b"], 16)  # type: ignore[attr-defined]
    with pytest.raises(OmnifuseError, match="there is 1; factorization fuses two and more"):
        FUSIONS.parse("factorization").check(["a"], 16)  # type: ignore[attr-defined]
