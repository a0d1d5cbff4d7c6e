"""Where in a sequence a token stands, for sequences of any length."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Positions(nn.Module):
    """x_t ← x_t + g ⊙ [sin ω_i t, cos ω_i t], ω_i = 10000^(−2i/D) for i = 0 … D/2 − 1, with a learned gain g.

    Nothing is tied to a length, so a sequence may be longer than any in training. Source: Vaswani et al. 2017,
    arXiv 1706.03762; the gain is ours, and sines and cosines stand in two halves instead of taking turns.
    """

    def __init__(self, dim: int, gain: float = 0.1) -> None:
        """Args: dim: width D; gain: what g begins with."""
        super().__init__()
        self.gain = nn.Parameter(torch.full((dim,), gain))

    def forward(self, x_BTD: Tensor, first: int = 0) -> Tensor:
        """(B, T, D) → (B, T, D), of which the first token stands at the place `first`."""
        length, dim = x_BTD.shape[1:]
        place_T1 = torch.arange(first, first + length, device=x_BTD.device, dtype=torch.float32).unsqueeze(1)
        step_H = torch.arange((dim + 1) // 2, device=x_BTD.device, dtype=torch.float32)
        angle_TH = place_T1 * torch.exp(step_H * (-2 * math.log(10_000) / dim))
        wave_TD = torch.cat([angle_TH.sin(), angle_TH.cos()], dim=1)[:, :dim]
        return x_BTD + (self.gain * wave_TD).to(x_BTD.dtype)
