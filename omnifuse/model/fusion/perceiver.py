"""Fusion by latents that read the tokens of all columns."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from omnifuse.core.values import Fused, Tokens
from omnifuse.model.fusion.config import PerceiverConfig
from omnifuse.model.fusion.fusion import Fusion
from omnifuse.model.layers.transformer import Block, CrossBlock


class Perceiver(Fusion):
    """L ← CrossBlock(L, [X_1 + c_1; …; X_M + c_M]), L ← Block(L) `blocks` times, all of it `depth` times; z = mean of norm(L).

    Tokens are read and never read anything themselves, so the cost grows in proportion to their number. Learned c_m tell
    the columns apart. The latents are the tokens that are handed on, however many came in.

    Source: Perceiver IO (Jaegle et al. 2021, arXiv 2107.14795), whose latents read once; that they read `depth` times is
    from Perceiver (Jaegle et al. 2021, arXiv 2103.03206), here with other weights each time. QK-norm.
    Shapes: N latents; tokens (B, T_m, D) → (B, N, D), all of them there. Absent: its tokens are masked as keys; a learned
    null key and value is what a row without any column reads.
    """

    def __init__(self, config: PerceiverConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D."""
        super().__init__()
        self.columns = list(columns)
        self.latents = nn.Parameter(torch.randn(config.latents, dim) * 0.02)
        self.column = nn.Parameter(torch.randn(len(columns), dim) * 0.02)
        self.reads = nn.ModuleList(CrossBlock(dim, config.heads, config.dropout) for _ in range(config.depth))
        self.blocks = nn.ModuleList(
            nn.ModuleList(Block(dim, config.heads, config.dropout) for _ in range(config.blocks)) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Read, and think it over."""
        parts = [tokens[name] for name in self.columns]
        x_BTD = torch.cat([part.values + self.column[m] for m, part in enumerate(parts)], dim=1)
        mask_BT = torch.cat([part.mask for part in parts], dim=1)
        h_BND = self.latents.to(x_BTD.dtype).repeat(len(x_BTD), 1, 1)  # views of weights confuse what counts FLOP
        always_BN = torch.ones(h_BND.shape[:2], dtype=torch.bool, device=x_BTD.device)
        for read, blocks in zip(self.reads, self.blocks, strict=True):
            assert isinstance(blocks, nn.ModuleList)
            h_BND = read(h_BND, x_BTD, mask_BT)
            for block in blocks:
                h_BND = block(h_BND, always_BN)
        h_BND = self.norm(h_BND)
        return Fused(h_BND, always_BN, h_BND.mean(dim=1))
