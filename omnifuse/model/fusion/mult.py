"""Fusion by crossmodal attention for every ordered pair of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from omnifuse.core.values import Tokens
from omnifuse.model.fusion.config import MultConfig
from omnifuse.model.fusion.streams import StreamFusion
from omnifuse.model.layers.transformer import CrossBlock, Transformer


class Mult(StreamFusion):
    """Z_nm = norm(CrossBlock(… CrossBlock(X_m, X_n) …, X_n)) for every n ≠ m; X'_m = Transformer(W_m·[Z_nm for n ≠ m] + b_m).

    Every pair has weights of its own, and at every depth column m reads the tokens of n as they came, so what is read
    stays close to what was there. z is the mean over the columns that are there of the means of X'_m.

    Source: MulT (Tsai et al. 2019, arXiv 1906.00295). There what the pairs have read stays side by side, M − 1 times as
    wide, and z is made of the last step of each column; here W_m brings it back to D and z is a mean, so that neither
    the place of a token nor the number of columns that are there matters. QK-norm.
    Shapes: tokens (B, T_m, D) → (B, 1 + Σ T_m, D). Absent: a learned null key and value in every attention is what is
    read of a column that is absent; an absent column is masked in what is handed on and left out of the mean; a row
    without any column gets the empty vector. A single column has no pair and reads itself alone.
    """

    def __init__(self, config: MultConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D."""
        super().__init__(columns, dim)
        self.streams = nn.ModuleList(_Stream(config, len(columns) - 1, dim) for _ in columns)

    def mix(self, parts: Sequence[Tokens]) -> list[Tensor]:
        """Each column reads every other, then what it has read."""
        return [stream(parts[m], [*parts[:m], *parts[m + 1 :]]) for m, stream in enumerate(self.streams)]


class _Stream(nn.Module):
    """One column and what it reads of `others` more."""

    def __init__(self, config: MultConfig, others: int, dim: int) -> None:
        super().__init__()
        self.pairs = nn.ModuleList(_Pair(dim, config.depth, config.heads, config.dropout) for _ in range(others))
        self.join = nn.Linear(others * dim, dim) if others else nn.Identity()
        self.memory = Transformer(dim, config.memory_depth, config.heads, config.dropout, null=True)

    def forward(self, own: Tokens, others: Sequence[Tokens]) -> Tensor:
        read = [pair(own.values, other) for pair, other in zip(self.pairs, others, strict=True)]
        return self.memory(self.join(torch.cat(read or [own.values], dim=2)), own.mask)


class _Pair(nn.Module):
    """One column reads one other, `depth` times."""

    def __init__(self, dim: int, depth: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(CrossBlock(dim, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x_BTD: Tensor, other: Tokens) -> Tensor:
        for block in self.blocks:
            x_BTD = block(x_BTD, other.values, other.mask)
        return self.norm(x_BTD)
