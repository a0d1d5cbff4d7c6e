"""Fusion by an elementwise product."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from omnifuse.model.fusion.config import ProductConfig
from omnifuse.model.fusion.fusion import PooledFusion, Projections


class Product(PooledFusion):
    """z = ⊙_m (present_m·(e_m − 1) + 1), with e_m = σ(P_m·z_m); without projection exactly x₁ ⊙ x₂.

    Source: the textbook fusion. Absent: a factor of 1.
    """

    def __init__(self, config: ProductConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D."""
        super().__init__(columns, dim)
        self.project = Projections(len(columns), dim) if config.project else nn.Identity()
        self.activation = nn.ReLU() if config.activation == "relu" else nn.Identity()

    def combine(self, z_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """Multiply the columns that are present."""
        factor_BMD = self.activation(self.project(z_BMD))
        return factor_BMD.masked_fill(~present_BM.unsqueeze(-1), 1.0).prod(dim=1)
