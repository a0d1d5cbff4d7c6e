"""What brings tokens to the width of another network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from omnifuse.core.values import Tokens
from omnifuse.model.layers.attention import Attention


class Projector(nn.Module):
    """x ↦ g ⊙ rms(W₂·GELU(W₁·x)), from width D to width H; g ⊙ rms(x + W₂·GELU(W₁·x)) where H = D, with W₂ zero at first.

    Source: the two-layer projector of LLaVA-1.5 (Liu et al. 2023, arXiv 2310.03744). Differs in the norm behind it: what comes
    out begins as long as the words of the language model are, so that it neither drowns among them nor drowns them.
    At equal width it begins by leaving the direction of a token as it is, so words that come from the table of the language
    model are read as such from the first step on.
    Absent: masked tokens come out zero.
    """

    def __init__(self, dim: int, width: int, length: Tensor) -> None:
        """Args: dim: width D; width: H; length: root mean square (a single number) that g begins with."""
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim, width), nn.GELU(), nn.Linear(width, width))
        self.norm = nn.RMSNorm(width)
        self.adds = width == dim
        with torch.no_grad():
            self.norm.weight.copy_(length.expand(width))
        for parameter in self.layers[2].parameters() if self.adds else ():
            nn.init.zeros_(parameter)

    def forward(self, tokens: Tokens) -> Tokens:
        """(B, T, D) → (B, T, H)."""
        made_BTH = self.layers(tokens.values).float()
        made_BTH = self.norm(tokens.values + made_BTH if self.adds else made_BTH)
        return Tokens(torch.where(tokens.mask.unsqueeze(-1), made_BTH, 0), tokens.mask)


class Resampler(nn.Module):
    """K learned queries for each column read its tokens: q ← q + Attention(norm(q), X), so that a column of any length is K tokens.

    Source: the resampler of Flamingo (Alayrac et al. 2022, arXiv 2204.14198), of depth one and with queries for each column.
    Absent: the K tokens of the column are masked.
    """

    def __init__(self, columns: list[str], dim: int, latents: int, heads: int) -> None:
        """Args: columns: names; dim: width D; latents: K; heads: of the attention."""
        super().__init__()
        self.columns = columns
        self.queries = nn.Parameter(torch.randn(len(columns), latents, dim) * 0.5)
        self.norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)

    def forward(self, tokens: Mapping[str, Tokens]) -> dict[str, Tokens]:
        """(B, T, D) → (B, K, D), by column."""
        return {name: self._read(tokens[name], self.queries[m]) for m, name in enumerate(self.columns)}

    def _read(self, tokens: Tokens, queries_KD: Tensor) -> Tokens:
        q_BKD = queries_KD.expand(len(tokens.values), -1, -1)
        q_BKD = q_BKD + self.attention(self.norm(q_BKD), tokens.values, tokens.mask)
        return Tokens(q_BKD, tokens.present.unsqueeze(1).expand(-1, len(queries_KD))).keep(tokens.present)
