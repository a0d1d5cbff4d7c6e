"""Transformer blocks."""

from __future__ import annotations

from torch import Tensor, nn

from omnifuse.model.layers.attention import Attention


class Block(nn.Module):
    """x ← x + Attention(norm(x)); x ← x + W₂·GELU(W₁·norm(x))."""

    def __init__(self, dim: int, heads: int, dropout: float = 0.0, expansion: int = 2, null: bool = False) -> None:
        """Args: dim: width D; expansion: width of the hidden layer as a multiple of D; null: of the attention."""
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, dropout, null)
        self.mlp = nn.Sequential(nn.Linear(dim, expansion * dim), nn.GELU(), nn.Linear(expansion * dim, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor, first: int | None = None) -> Tensor:
        """(B, T, D) → (B, T, D), or of the `first` so many positions alone; positions with a false mask are not attended to."""
        h_BTD = self.attention_norm(x_BTD)
        return self.read(x_BTD[:, :first], h_BTD[:, :first], h_BTD, mask_BT)

    def read(self, x_BTD: Tensor, query_BTD: Tensor, memory_BSD: Tensor, mask_BS: Tensor) -> Tensor:
        """Add what the queries find in the memory, then what the hidden layer makes of it."""
        return self.add(x_BTD, self.attention(query_BTD, memory_BSD, mask_BS))

    def add(self, x_BTD: Tensor, found_BTD: Tensor) -> Tensor:
        """Add what was found, then what the hidden layer makes of it."""
        x_BTD = x_BTD + self.dropout(found_BTD)
        return x_BTD + self.dropout(self.mlp(self.mlp_norm(x_BTD)))


class CrossBlock(Block):
    """x ← x + Attention(norm(x), norm(memory)); x ← x + W₂·GELU(W₁·norm(x)). A row without memory reads a learned value."""

    def __init__(self, dim: int, heads: int, dropout: float = 0.0, expansion: int = 2) -> None:
        """Args: as those of `Block`."""
        super().__init__(dim, heads, dropout, expansion, null=True)
        self.memory_norm = nn.LayerNorm(dim)

    def forward(self, x_BTD: Tensor, memory_BSD: Tensor, mask_BS: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(B, T, D), memory (B, S, D) → (B, T, D); of the memory, positions with a false mask are not read."""
        return self.read(x_BTD, self.attention_norm(x_BTD), self.memory_norm(memory_BSD), mask_BS)


class Transformer(nn.Module):
    """Blocks with one norm at the end."""

    def __init__(self, dim: int, depth: int, heads: int, dropout: float = 0.0, null: bool = False) -> None:
        """Args: dim: width D; depth: number of blocks; null: of the attentions."""
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, heads, dropout, null=null) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor, first: int | None = None) -> Tensor:
        """(B, T, D) → (B, T, D), or of the `first` so many positions alone, for which the last block does no work for the others."""
        for number, block in enumerate(self.blocks, start=1):
            x_BTD = block(x_BTD, mask_BT, first if number == len(self.blocks) else None)
        return self.norm(x_BTD[:, :first])
