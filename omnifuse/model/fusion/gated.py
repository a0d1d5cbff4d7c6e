"""Fusion by gates for each component."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from omnifuse.model.fusion.config import GatedConfig
from omnifuse.model.fusion.fusion import PooledFusion, Projections


class Gated(PooledFusion):
    """z = Σ_m g_m ⊙ tanh(W_m·z_m), g = softmax over the columns that are present of W_g·[z_1; …; z_M].

    Each component has a gate of its own for each column, which looks at all of them.

    Source: gated multimodal unit (Arevalo et al. 2017, arXiv 1702.01992), without biases as there; with two columns its
    gates are σ and 1 − σ, which is the softmax of two.
    Shapes: (B, M, D) → (B, D); W_g is (M·D, M·D). Cost: M·D² + M²·D² weights, 2 FLOP each a row. Absent: a gate of 0,
    and zeros in what the other gates see.
    """

    def __init__(self, config: GatedConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D."""
        super().__init__(columns, dim)
        self.project = Projections(len(columns), dim, bias=False)
        self.gate = nn.Linear(len(columns) * dim, len(columns) * dim, bias=False)

    def combine(self, z_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """Sum what the gates let through."""
        return (self.gates(z_BMD, present_BM) * torch.tanh(self.project(z_BMD))).sum(dim=1)

    def gates(self, z_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """(B, M, D) gates; they add up to 1 over the columns that are present and are 0 elsewhere."""
        score_BMD = self.gate(z_BMD.flatten(1)).unflatten(1, z_BMD.shape[1:])
        lowest = torch.finfo(score_BMD.dtype).min  # not −inf: a row without any column must stay finite
        present_BM1 = present_BM.unsqueeze(2)
        return score_BMD.masked_fill(~present_BM1, lowest).softmax(dim=1) * present_BM1
