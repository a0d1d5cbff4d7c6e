"""Fusions of interaction learn what no sum over columns can tell: whether signs agree."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from omnifuse.core.values import Tokens
from omnifuse.model import FUSIONS

DIM = 8
PAIRS = [
    {"name": "product"},
    {"name": "tensor"},
    {"name": "low_rank", "rank": 4},
    {"name": "bilinear", "kind": "mlb"},
    {"name": "bilinear", "kind": "mutan"},
    {"name": "bilinear", "kind": "mlb", "activation": "none"},
    {"name": "film"},
    {"name": "gated"},
    {"name": "cross", "layers": 1},
    {"name": "cross", "layers": 1, "rank": 4},
    {"name": "factorization"},
]
TRIPLES = [
    {"name": "tensor"},
    {"name": "low_rank", "rank": 8},
    {"name": "cross", "layers": 2},
    {"name": "factorization", "order": 3},
]


def label(options: dict[str, Any]) -> str:
    return "-".join(map(str, options.values()))


def rows(count: int, columns: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Columns (B, M, D) of noise, and whether the first components of all have a positive product."""
    z_BMD = torch.randn(count, columns, DIM, generator=generator)
    return z_BMD, (z_BMD[:, :, 0].prod(1) > 0).float()


def accuracy(options: dict[str, Any], columns: int, steps: int = 400) -> float:
    """Train a fusion and a linear head on fresh rows, and ask about others."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    fusion = FUSIONS.build(FUSIONS.parse(options), {str(m): False for m in range(columns)}, DIM)
    model = nn.ModuleList([fusion, nn.Linear(DIM, 1)])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def logits(z_BMD: Tensor) -> Tensor:
        mask_B1 = torch.ones(len(z_BMD), 1, dtype=torch.bool)
        return model[1](fusion({str(m): Tokens(z_BMD[:, m : m + 1], mask_B1) for m in range(columns)}).pooled).squeeze(1)

    for _ in range(steps):
        z_BMD, agree_B = rows(256, columns, generator)
        loss = nn.functional.binary_cross_entropy_with_logits(logits(z_BMD), agree_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    z_BMD, agree_B = rows(4000, columns, generator)
    with torch.no_grad():
        return ((logits(z_BMD) > 0) == agree_B.bool()).float().mean().item()


@pytest.mark.parametrize("options", PAIRS, ids=label)
def test_a_fusion_of_interaction_learns_whether_two_columns_agree(options: dict[str, Any]) -> None:
    assert accuracy(options, 2) > 0.95


@pytest.mark.parametrize("options", TRIPLES, ids=label)
def test_a_fusion_of_order_three_learns_the_sign_of_three(options: dict[str, Any]) -> None:
    assert accuracy(options, 3, steps=800) > 0.9


@pytest.mark.parametrize("options", [{"name": "concat"}, {"name": "weighted_sum"}], ids=label)
def test_no_sum_over_columns_learns_whether_two_agree(options: dict[str, Any]) -> None:
    assert accuracy(options, 2) < 0.56


def test_pairs_alone_do_not_tell_the_sign_of_three() -> None:
    assert accuracy({"name": "factorization", "order": 2}, 3, steps=800) < 0.56
