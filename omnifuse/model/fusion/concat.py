"""Fusion by concatenation."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from omnifuse.model.fusion.config import ConcatConfig
from omnifuse.model.fusion.fusion import PooledFusion


class Concat(PooledFusion):
    """z = W·[z_1; …; z_M] + b.

    Source: the textbook fusion. Absent: a learned vector a_m takes the place of z_m for the columns that may be
    absent (seen absent in training); zeros for the others.
    """

    def __init__(self, config: ConcatConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D."""
        super().__init__(columns, dim)
        self.linear = nn.Linear(len(columns) * dim, dim)
        self.optional = [m for m, optional in enumerate(columns.values()) if optional]
        if self.optional:
            self.absent = nn.Parameter(torch.zeros(len(self.optional), dim))

    def combine(self, z_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """One linear layer over all columns."""
        if self.optional:
            absent_MD = z_BMD.new_zeros(z_BMD.shape[1:]).index_copy(0, _index(self.optional, z_BMD), self.absent.to(z_BMD.dtype))
            z_BMD = torch.where(present_BM.unsqueeze(-1), z_BMD, absent_MD)
        return self.linear(z_BMD.flatten(1))


def _index(positions: list[int], like: Tensor) -> Tensor:
    return torch.tensor(positions, device=like.device)
