"""Fusion by a weighted sum with learned weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from omnifuse.model.fusion.config import WeightedSumConfig
from omnifuse.model.fusion.fusion import PooledFusion, Projections


class WeightedSum(PooledFusion):
    """z = Σ_m w_m·e_m, with e_m = P_m·z_m.

    `softmax`: w = softmax over the columns that are present, of learned scores. `none`: w learned, starting at 1/M;
    without projection exactly w₁x₁ + w₂x₂. `gate`: w = softmax over the columns that are present, of v·z_m + s_m.

    Source: the textbook fusion. Absent: left out.
    """

    def __init__(self, config: WeightedSumConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D."""
        super().__init__(columns, dim)
        self.normalise = config.normalise
        self.project = Projections(len(columns), dim) if config.project else nn.Identity()
        start = 1 / len(columns) if config.normalise == "none" else 0.0
        self.weight = nn.Parameter(torch.full((len(columns),), start))
        self.gate = nn.Linear(dim, 1, bias=False) if config.normalise == "gate" else None

    def combine(self, z_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """Sum over the columns that are present."""
        return (self.weights(z_BMD, present_BM).unsqueeze(-1) * self.project(z_BMD)).sum(dim=1)

    def weights(self, z_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """(B, M) weight of each column in each row; 0 where it is absent."""
        score_BM = self.weight.expand(present_BM.shape)
        if self.gate is not None:
            score_BM = score_BM + self.gate(z_BMD).squeeze(-1)
        if self.normalise == "none":
            return score_BM * present_BM
        masked_BM = score_BM.masked_fill(~present_BM, float("-inf"))
        return torch.where(present_BM.any(1, keepdim=True), masked_BM, torch.zeros_like(masked_BM)).softmax(1) * present_BM
