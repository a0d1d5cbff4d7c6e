"""Networks that tell the velocity of a flow: what they are given, and how time and condition come in.

Shapes: B rows, C channels, H × W places (a series is one place high), M tokens of what is fused, D their width, E the width of c.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from omnifuse.core.values import Fused

WAVES = 64
FASTEST = 1000.0  # radians between t = 0 and t = 1


class Velocity(nn.Module, ABC):
    """v(x, t | fused): where the places of x move at time t."""

    @abstractmethod
    def forward(self, x_BCHW: Tensor, t_B: Tensor, fused: Fused, known_B: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W); rows where `known_B` is false do not see what is fused."""


class Condition(nn.Module):
    """c = SiLU(W₂·SiLU(W₁·[sin ω_i t, cos ω_i t]) + e + k·W·norm(z)) with ω_i from 1 to 1000 in equal ratios.

    z is the pooled vector, k is 1 for rows that see what is fused and 0 for others, for which the learned vector e remains. As e is
    always added, it learns in every step. Source: time as in Vaswani et al. 2017, arXiv 1706.03762, and Ho et al. 2020,
    arXiv 2006.11239; an empty condition as in Ho & Salimans 2022, arXiv 2207.12598.
    """

    def __init__(self, dim: int, width: int) -> None:
        """Args: dim: width D of the pooled vector; width: E."""
        super().__init__()
        self.time = nn.Sequential(nn.Linear(WAVES, width), nn.SiLU(), nn.Linear(width, width))
        self.pooled = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, width, bias=False))
        self.empty = nn.Parameter(torch.zeros(width))
        self.activation = nn.SiLU()

    def forward(self, t_B: Tensor, pooled_BD: Tensor, known_B: Tensor) -> Tensor:
        """(B,), (B, D) → (B, E)."""
        told_BE = torch.where(known_B[:, None], self.pooled(pooled_BD), 0)
        return self.activation(self.time(waves(t_B)) + self.empty + told_BE)


def waves(t_B: Tensor) -> Tensor:
    """(B, WAVES) sines and cosines of a time."""
    omega_W = torch.logspace(0, math.log10(FASTEST), WAVES // 2, device=t_B.device)
    angle_BW = t_B.float()[:, None] * omega_W
    return torch.cat([angle_BW.sin(), angle_BW.cos()], dim=1)
