"""What every fusion does, and what the pooled ones share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from omnifuse.core.values import Fused, Tokens


class Fusion(nn.Module, ABC):
    """Tokens of all columns → `Fused`.

    A subclass is built as `Class(config, columns, dim)`: the options, a mapping from column to whether it may be
    absent, and the width D. Shapes: B rows, T tokens of a column, M columns, D width.

    Attributes:
        pooled_only: set where no head reads `Fused.tokens`, so that a fusion may leave out those that the pooled vector is not made of.
    """

    pooled_only: bool = False

    @abstractmethod
    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse the tokens of the columns, in the order the fusion was built with."""


class PooledFusion(Fusion):
    """A fusion of one vector a column: z_m is the mean of the tokens of column m.

    Where every column may be absent, a row without any gets a learned empty vector. Where some column is always there,
    no row needs one and there are no weights for it; a row without any gets what `combine` makes of zeros. The vectors
    are handed on as tokens [z, z_1 … z_M].
    """

    def __init__(self, columns: Mapping[str, bool], dim: int) -> None:
        """Args: columns: whether each may be absent; dim: width D."""
        super().__init__()
        self.columns = list(columns)
        self.empty = nn.Parameter(torch.zeros(dim)) if all(columns.values()) else None

    @abstractmethod
    def combine(self, z_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """One vector (B, D) from the vectors of the columns; absent ones are zero. Finite also where all are absent."""

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Pool, combine, and hand on."""
        z_BMD = torch.stack([tokens[name].pool() for name in self.columns], dim=1)
        present_BM = torch.stack([tokens[name].present for name in self.columns], dim=1)
        anything_B1 = present_BM.any(dim=1, keepdim=True)
        fused_BD = self.combine(z_BMD, present_BM)
        if self.empty is not None:
            fused_BD = torch.where(anything_B1, fused_BD, self.empty.to(fused_BD.dtype))
        return Fused(
            tokens=torch.cat([fused_BD.unsqueeze(1), z_BMD], dim=1),
            mask=torch.cat([torch.ones_like(anything_B1), present_BM], dim=1),
            pooled=fused_BD,
        )


class Projections(nn.Module):
    """P_m·z_m + c_m for every column at once: (B, M, D) → (B, M, W)."""

    def __init__(self, count: int, dim: int, width: int | None = None, bias: bool = True) -> None:
        """Args: count: number of columns M; dim: width D; width: W, by default D; bias: without it c_m = 0, so what is absent stays 0."""
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(dim, width or dim, bias) for _ in range(count))

    def forward(self, z_BMD: Tensor) -> Tensor:
        """Project each column with its own matrix."""
        return torch.stack([layer(z_BMD[:, m]) for m, layer in enumerate(self.layers)], dim=1)
