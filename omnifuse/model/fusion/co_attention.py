"""Fusion by streams that attend to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from omnifuse.core.values import Tokens
from omnifuse.model.fusion.config import CoAttentionConfig
from omnifuse.model.fusion.streams import StreamFusion
from omnifuse.model.layers.transformer import Block, CrossBlock


class CoAttention(StreamFusion):
    """H_m ← Block(CrossBlock(H_m, [H_n for n ≠ m])), `depth` times from H_m = X_m + c_m; X'_m = norm(H_m).

    In each layer the tokens of a column first read those of all others, as the layer before left them, then each other.
    Every column has weights of its own. Learned c_m tell the columns apart where several are read at once. z is the mean
    over the columns that are there of the means of X'_m.

    Source: two-stream, ViLBERT (Lu et al. 2019, arXiv 1908.02265), for any number of streams; with norms before the
    attentions, QK-norm, and means in place of class tokens.
    Shapes: tokens (B, T_m, D) → (B, 1 + Σ T_m, D). Absent: a learned null key and value in every attention is what is
    read of columns that are absent; an absent column is masked in what is handed on and left out of the mean; a row
    without any column gets the empty vector. A single column has no other to read and reads itself alone.
    """

    def __init__(self, config: CoAttentionConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D."""
        super().__init__(columns, dim)
        self.column = nn.Parameter(torch.randn(len(columns), dim) * 0.02)
        self.layers = nn.ModuleList(_Layer(len(columns), dim, config.heads, config.dropout) for _ in range(config.depth))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in columns)

    def mix(self, parts: Sequence[Tokens]) -> list[Tensor]:
        """Layer after layer, all columns at once."""
        streams, masks = [part.values + self.column[m] for m, part in enumerate(parts)], [part.mask for part in parts]
        for layer in self.layers:
            streams = layer(streams, masks)
        return [norm(stream) for norm, stream in zip(self.norms, streams, strict=True)]


class _Layer(nn.Module):
    """Each stream reads the others, then itself."""

    def __init__(self, count: int, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.others = nn.ModuleList(CrossBlock(dim, heads, dropout) for _ in range(count if count > 1 else 0))
        self.own = nn.ModuleList(Block(dim, heads, dropout, null=True) for _ in range(count))

    def forward(self, streams: list[Tensor], masks: list[Tensor]) -> list[Tensor]:
        read = [
            block(streams[m], torch.cat(_without(m, streams), dim=1), torch.cat(_without(m, masks), dim=1))
            for m, block in enumerate(self.others)
        ]
        return [block(stream, mask) for block, stream, mask in zip(self.own, read or streams, masks, strict=True)]


def _without(place: int, of: list[Tensor]) -> list[Tensor]:
    return of[:place] + of[place + 1 :]
