"""Transformer blocks."""

from __future__ import annotations

from torch import Tensor, nn

from omnifuse.model.layers.attention import Attention


class Block(nn.Module):
    """x ← x + Attention(norm(x)); x ← x + W₂·GELU(W₁·norm(x))."""

    def __init__(self, dim: int, heads: int, dropout: float = 0.0, expansion: int = 2) -> None:
        """Args: dim: width D; expansion: width of the hidden layer as a multiple of D."""
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, dropout)
        self.mlp = nn.Sequential(nn.Linear(dim, expansion * dim), nn.GELU(), nn.Linear(expansion * dim, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D); positions with a false mask are not attended to."""
        h_BTD = self.attention_norm(x_BTD)
        x_BTD = x_BTD + self.dropout(self.attention(h_BTD, h_BTD, mask_BT))
        return x_BTD + self.dropout(self.mlp(self.mlp_norm(x_BTD)))


class Transformer(nn.Module):
    """Blocks with one norm at the end."""

    def __init__(self, dim: int, depth: int, heads: int, dropout: float = 0.0) -> None:
        """Args: dim: width D; depth: number of blocks."""
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        for block in self.blocks:
            x_BTD = block(x_BTD, mask_BT)
        return self.norm(x_BTD)
