"""Fusion through a few tokens that all columns share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from omnifuse.core.values import Fused, Tokens
from omnifuse.model.fusion.config import BottleneckConfig
from omnifuse.model.fusion.fusion import Fusion
from omnifuse.model.fusion.streams import side_by_side
from omnifuse.model.layers.transformer import Block


class Bottleneck(Fusion):
    """[X_m; B_m] ← Block_m([X_m; B]), B ← mean of B_m over the columns that are there, in every block from `fuse_from` on.

    Each column attends to itself and to the shared tokens B alone, so all that passes from one column to another passes
    through them, and the cost grows with Σ T_m² in place of (Σ T_m)². Before `fuse_from`, X_m ← Block_m(X_m). Every
    column has weights of its own. z is the mean over the columns that are there of the means of norm(X_m).

    Source: multimodal bottleneck transformer (Nagrani et al. 2021, arXiv 2107.00135), with QK-norm, and means in place of
    class tokens.
    Shapes: K shared tokens; tokens (B, T_m, D) → (B, K + Σ T_m, D), the shared ones first. Absent: skipped, B is the mean
    over the others. Without any column B stays what was learned, and z is its mean.
    """

    def __init__(self, config: BottleneckConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D."""
        super().__init__()
        self.columns, self.fuse_from = list(columns), config.fuse_from
        self.shared = nn.Parameter(torch.randn(config.tokens, dim) * 0.02)
        self.blocks = nn.ModuleList(nn.ModuleList(Block(dim, config.heads, config.dropout) for _ in columns) for _ in range(config.depth))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in columns)
        self.shared_norm = nn.LayerNorm(dim)

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Block after block, all columns at once."""
        streams = [tokens[name] for name in self.columns]
        shared_BKD = self.shared.to(streams[0].values.dtype).expand(len(streams[0].values), -1, -1)
        for depth, blocks in enumerate(self.blocks):
            assert isinstance(blocks, nn.ModuleList)
            if depth < self.fuse_from:
                streams = [Tokens(block(part.values, part.mask), part.mask) for block, part in zip(blocks, streams, strict=True)]
            else:
                streams, shared_BKD = self._exchange(blocks, streams, shared_BKD)
        streams = [Tokens(norm(part.values), part.mask) for norm, part in zip(self.norms, streams, strict=True)]
        always_BK = torch.ones(shared_BKD.shape[:2], dtype=torch.bool, device=shared_BKD.device)
        return side_by_side(Tokens(self.shared_norm(shared_BKD), always_BK), streams)

    @staticmethod
    def _exchange(blocks: nn.ModuleList, streams: Sequence[Tokens], shared_BKD: Tensor) -> tuple[list[Tokens], Tensor]:
        """One block: each column with the shared tokens, then the mean of what they have become."""
        mixed, total_BKD = [], torch.zeros_like(shared_BKD)
        count_B11 = torch.stack([part.present for part in streams]).sum(dim=0)[:, None, None]
        always_BK = torch.ones(shared_BKD.shape[:2], dtype=torch.bool, device=shared_BKD.device)
        for block, part in zip(blocks, streams, strict=True):
            h_BTD = block(torch.cat([shared_BKD, part.values], dim=1), torch.cat([always_BK, part.mask], dim=1))
            own_BKD, values_BTD = h_BTD.split([shared_BKD.shape[1], part.mask.shape[1]], dim=1)
            total_BKD = total_BKD + torch.where(part.present[:, None, None], own_BKD, 0)
            mixed.append(Tokens(values_BTD, part.mask))
        return mixed, torch.where(count_B11 > 0, total_BKD / count_B11.clamp(min=1), shared_BKD)
