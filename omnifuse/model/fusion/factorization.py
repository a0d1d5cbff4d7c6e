"""Fusion by a factorization machine."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from omnifuse.model.fusion.config import FactorizationConfig
from omnifuse.model.fusion.fusion import PooledFusion, Projections


class Factorization(PooledFusion):
    """z = W₁·[z_1; …; z_M] + b + Σ_{t=2..order} A_t(e_1, …, e_M), with e_m = P_m·z_m.

    A_t is the sum of the elementwise products of any t different columns; A_2 = ½[(Σ_m e_m)² − Σ_m e_m²].

    Source: Rendle 2010; a vector and not its sum, the bi-interaction pooling of NFM (He & Chua 2017, arXiv 1708.05027);
    A_t by dynamic programming as in higher-order factorization machines (Blondel et al. 2016, arXiv 1607.07195), in the
    variant where all orders share one projection. Here the features are columns, each a vector with a matrix.
    Shapes: (B, M, D) → (B, D). Cost: 2·M·D² + D weights; 4·M·D² FLOP a row and about 2·M·order·D for the products.
    Absent: e_m = 0, so exactly the terms without column m are left. Errors: `FactorizationConfig.check` refuses an
    order above the number of columns.
    """

    def __init__(self, config: FactorizationConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D."""
        super().__init__(columns, dim)
        self.order = config.order
        self.linear = nn.Linear(len(columns) * dim, dim)
        self.project = Projections(len(columns), dim, bias=False)
        for weight in self.project.parameters():
            nn.init.normal_(weight, std=dim**-0.5)  # e_m has the scale of z_m, so products are not tiny from the start

    def combine(self, z_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """The linear map and the products."""
        return self.linear(z_BMD.flatten(1)) + sum(interactions(self.project(z_BMD), self.order))


def interactions(e_BMD: Tensor, order: int) -> list[Tensor]:
    """[A_2, …, A_order], each (B, D), one column after another: A_t ← A_t + e_m ⊙ A_{t−1}.

    As exact as the products themselves; ½[(Σe)² − Σe²] subtracts large numbers, which half precision does not bear.
    """
    sums = [torch.ones_like(e_BMD[:, 0]), *(torch.zeros_like(e_BMD[:, 0]) for _ in range(order))]
    for e_BD in e_BMD.unbind(1):
        for t in range(order, 0, -1):
            sums[t] = sums[t] + e_BD * sums[t - 1]
    return sums[2:]
