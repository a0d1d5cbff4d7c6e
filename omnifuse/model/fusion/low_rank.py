"""Tensor fusion with a weight tensor of low rank."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import torch
from torch import Tensor, nn

from omnifuse.model.fusion.config import LowRankConfig
from omnifuse.model.fusion.fusion import PooledFusion
from omnifuse.model.fusion.tensor import factor_scale


class LowRank(PooledFusion):
    """z = Σ_r w_r·⊙_m ([z_m; 1]ᵀF_m^r) + b: `tensor` with the weights Σ_r w_r ⊗_m F_m^r, which are never written out.

    Source: low-rank multimodal fusion (Liu et al. 2018, arXiv 1806.00064); differs in how the factors start, so that
    neither the number of columns nor the rank changes the scale of the result.
    Shapes: R rank, (B, M, D) → (B, D); F is (M, D+1, R, D). Cost: M·R·(D+1)·D + R + D weights, 2·M·R·(D+1)·D FLOP a
    row, which grows with M where that of `tensor` grows with (D+1)^M. Absent: z_m = 0, which leaves the constant of
    its factor: the products without column m.
    """

    def __init__(self, config: LowRankConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D."""
        super().__init__(columns, dim)
        scale_K = factor_scale(dim)
        self.factors = nn.Parameter(torch.randn(len(columns), dim + 1, config.rank, dim) * scale_K[:, None, None])
        self.weight = nn.Parameter(torch.full((config.rank,), config.rank**-0.5))
        self.bias = nn.Parameter(torch.zeros(dim))

    def combine(self, z_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """Every factor of every column in one product of matrices, then products over columns and a sum over ranks."""
        factors_MKE = self.factors.flatten(2)
        factors_MBE = torch.baddbmm(factors_MKE[:, -1:], z_BMD.transpose(0, 1), factors_MKE[:, :-1])
        # Not Tensor.prod: its gradient divides by the factors, or asks the device whether one is zero.
        product_BE = reduce(torch.mul, factors_MBE.unbind(0))
        return torch.einsum("r,brd->bd", self.weight, product_BE.unflatten(1, self.factors.shape[2:])) + self.bias
