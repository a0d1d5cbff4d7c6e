"""Fusion by self-attention over the tokens of all columns."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from omnifuse.core.values import Fused, Tokens
from omnifuse.model.fusion.config import JointConfig
from omnifuse.model.fusion.fusion import Fusion
from omnifuse.model.layers.transformer import Transformer


class Joint(Fusion):
    """h = Transformer([latents; X_1 + c_1; …; X_M + c_M]); the pooled vector is the mean of the latents.

    Every token sees every other, so modalities meet in the first layer. Learned c_m tell the columns apart.

    Source: single-stream, VL-BERT (Su et al. 2020, arXiv 1908.08530), with QK-norm and latents instead of a class token.
    Where no head reads tokens, the last block makes the latents alone. Absent: its tokens are masked as keys; latents are always
    there, so a row without any column reads them alone.
    """

    def __init__(self, config: JointConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D."""
        super().__init__()
        self.columns = list(columns)
        self.latents = nn.Parameter(torch.randn(config.latents, dim) * 0.02)
        self.column = nn.Parameter(torch.randn(len(columns), dim) * 0.02)
        self.transformer = Transformer(dim, config.depth, config.heads, config.dropout)

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Attend, and read the latents out."""
        parts = [tokens[name] for name in self.columns]
        count, rows = len(self.latents), len(parts[0].values)
        marked = [part.values + self.column[m] for m, part in enumerate(parts)]
        x_BMD = torch.cat([self.latents.to(marked[0].dtype).expand(rows, -1, -1), *marked], dim=1)
        always_BL = torch.ones(rows, count, dtype=torch.bool, device=x_BMD.device)
        mask_BM = torch.cat([always_BL, *(part.mask for part in parts)], dim=1)
        h_BMD = self.transformer(x_BMD, mask_BM, count if self.pooled_only else None)
        mask_BM = mask_BM[:, : h_BMD.shape[1]]
        return Fused(torch.where(mask_BM.unsqueeze(-1), h_BMD, 0), mask_BM, h_BMD[:, :count].mean(dim=1))
