"""Columns that go missing by chance in training, so that a model learns to do without."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from omnifuse.core.values import Tokens


class ModalityDropout(nn.Module):
    """In training, the tokens of column m are masked with probability p_m, row by row and column by column, never all of a row.

    A row that would lose everything keeps one of the columns it has, each with the same chance. What is masked is absent to
    the fusion in every way. Outside training nothing is dropped.

    Source: ModDrop (Neverova et al. 2015, arXiv 1501.00102), where columns drop out independently; that the last one stays
    is ours. Shapes: tokens (B, T, D) of each column. Absent: stays absent.
    """

    def __init__(self, shares: Mapping[str, float]) -> None:
        """Args: shares: p_m by column."""
        super().__init__()
        self.columns = list(shares)
        self.shares_M: Tensor
        self.register_buffer("shares_M", torch.tensor(list(shares.values()), dtype=torch.float32), persistent=False)

    def forward(self, tokens: Mapping[str, Tokens]) -> dict[str, Tokens]:
        """Mask what is drawn."""
        if not self.training:
            return dict(tokens)
        present_BM = torch.stack([tokens[name].present for name in self.columns], dim=1)
        stays_BM = self.draw(present_BM)
        return {name: tokens[name].keep(stays_BM[:, m]) for m, name in enumerate(self.columns)}

    def draw(self, present_BM: Tensor) -> Tensor:
        """(B, M) which of the columns that are present stay."""
        chance_BM = torch.rand(present_BM.shape, device=present_BM.device)
        stays_BM = present_BM & (chance_BM >= self.shares_M)
        rescued_B = torch.rand(present_BM.shape, device=present_BM.device).masked_fill(~present_BM, -1.0).argmax(dim=1)
        last_BM = nn.functional.one_hot(rescued_B, present_BM.shape[1]).bool() & present_BM
        return torch.where(stays_BM.any(dim=1, keepdim=True), stays_BM, last_BM)
