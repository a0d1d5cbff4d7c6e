"""Fusion by bilinear pooling of pairs of columns."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor, nn

from omnifuse.model.fusion.config import BilinearConfig
from omnifuse.model.fusion.fusion import PooledFusion, Projections


class Bilinear(PooledFusion):
    """z = P·h + b, h = mean over pairs m < n of Σ_r σ(U_mn^r·z_m) ⊙ σ(V_mn^r·z_n).

    `mlb`: a single product. `mutan`: a sum of R products, so a bilinear map whose every component has rank R.

    Source: `mlb` low-rank bilinear pooling (Kim et al. 2017, arXiv 1610.04325), `mutan` (Ben-younes et al. 2017, arXiv
    1705.06676). Differs in σ, which is tanh in both papers: ReLU or the identity; in `mutan`, whose projections before
    those of the products are merged into them; and in taking more than two columns, by pairs. U and V have a bias each.
    Shapes: H `width`, R products, (B, M, D) → (B, D). Cost: M·(M−1)·R·H·(D+1) + H·D + D weights, about 2 FLOP each.
    Absent: a factor of 1, so its pairs give the other's factor; pairs without any present column do not count.
    A single column gives z = P·Σ_r σ(U^r·z_1) + b.
    """

    def __init__(self, config: BilinearConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D."""
        super().__init__(columns, dim)
        width = config.width or dim
        self.pairs = list(combinations(range(len(columns)), 2))
        # Of each column, for each of the others in their order, the R factors of that pair.
        self.shape = (max(len(columns) - 1, 1), config.rank if config.kind == "mutan" else 1, width)
        self.factors = Projections(len(columns), dim, self.shape[0] * self.shape[1] * width)
        self.activation = nn.ReLU() if config.activation == "relu" else nn.Identity()
        self.out = nn.Linear(width, dim)

    def combine(self, z_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """Multiply within pairs, average over them, and project."""
        factors = self.activation(self.factors(z_BMD)).unflatten(2, self.shape)
        factors_MBORH = factors.masked_fill(~present_BM[:, :, None, None, None], 1.0).unbind(1)
        if not self.pairs:
            return self.out(torch.where(present_BM, factors_MBORH[0][:, 0].sum(1), 0))
        counts_BN = torch.stack([present_BM[:, m] | present_BM[:, n] for m, n in self.pairs], dim=1).to(z_BMD.dtype)
        # Among the others of column m, column n > m has place n − 1; among those of n, m has place m.
        products_BNH = torch.stack([(factors_MBORH[m][:, n - 1] * factors_MBORH[n][:, m]).sum(1) for m, n in self.pairs], dim=1)
        return self.out((products_BNH * counts_BN.unsqueeze(2)).sum(1) / counts_BN.sum(1, keepdim=True).clamp(min=1))
