"""Every registered optimizer keeps the same contract."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from omnifuse.train.config import OPTIMIZERS

every_optimizer = pytest.mark.parametrize("name", list(OPTIMIZERS))


def descend(name: str, steps: int) -> list[float]:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight.fill_(1.0)
        model.bias.fill_(-1.0)
    optimizer = OPTIMIZERS[name].load()(OPTIMIZERS[name].config(), model)
    losses = []
    for _ in range(steps):
        loss = sum(((p - 0.25) ** 2).sum() for p in model.parameters())
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return losses


@every_optimizer
def test_an_optimizer_goes_down_a_quadratic(name: str) -> None:
    losses = descend(name, 300)
    assert losses[-1] < 0.5 * losses[0]
    assert all(later < earlier for earlier, later in pairwise(losses[:51]))


@every_optimizer
def test_an_optimizer_is_deterministic(name: str) -> None:
    assert descend(name, 20) == descend(name, 20)


@every_optimizer
def test_an_optimizer_leaves_frozen_weights_alone(name: str) -> None:
    model = nn.Linear(4, 3)
    model.weight.requires_grad_(False)
    before = model.weight.clone()
    optimizer = OPTIMIZERS[name].load()(OPTIMIZERS[name].config(), model)
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert len(held) == 1
    assert held[0] is model.bias
    model.bias.sum().backward()
    optimizer.step()
    assert torch.equal(model.weight, before)
