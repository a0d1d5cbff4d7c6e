"""A transformer that reads a sequence from its beginning, one position after another, beside a memory.

Shapes: B rows, T new positions, L positions so far, S places of the memory, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from omnifuse.model.layers.attention import Attention, KeysValues
from omnifuse.model.layers.position import Positions
from omnifuse.model.layers.transformer import CrossBlock


@dataclass
class Reading:
    """Where a decoder stands in its sequences: what it has read, so that nothing is computed twice.

    Attributes:
        memory: of each block, keys and values of the memory.
        mask: (B, S) which places of the memory are there.
        past: of each block, keys and values of the positions so far; none at the beginning.
        length: how many positions that are.
    """

    memory: list[KeysValues]
    mask: Tensor
    past: list[KeysValues | None]
    length: int = 0

    def take(self, rows: Tensor) -> None:
        """Go on with these rows, which may repeat, in this order."""
        self.memory = [(keys[rows], values[rows]) for keys, values in self.memory]
        self.mask = self.mask[rows]
        self.past = [None if known is None else (known[0][rows], known[1][rows]) for known in self.past]


class DecoderBlock(nn.Module):
    """x ← x + A(norm(x)) over itself and what stands before; x ← x + C(norm(x), norm(memory)); x ← x + W₂·GELU(W₁·norm(x)).

    Source: Vaswani et al. 2017, arXiv 1706.03762, normalised before each sub-layer. A row without memory reads a learned value.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.0) -> None:
        """Args: dim: width D, a multiple of heads; dropout: in training, of what is added."""
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(dim), Attention(dim, heads, dropout)
        self.dropout = nn.Dropout(dropout)
        self.cross = CrossBlock(dim, heads, dropout)

    def keys_values(self, memory_BSD: Tensor) -> KeysValues:
        """What it reads of a memory (B, S, D)."""
        return self.cross.attention.keys_values(self.cross.memory_norm(memory_BSD))

    def forward(self, x_BTD: Tensor, memory: KeysValues, mask_BS: Tensor, past: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """New positions (B, T, D) → (B, T, D), and keys and values of all positions up to the last of them."""
        h_BTD = self.norm(x_BTD)
        known = self.attention.keys_values(h_BTD)
        if past is not None:
            known = (torch.cat([past[0], known[0]], dim=2), torch.cat([past[1], known[1]], dim=2))
        new, all_ = x_BTD.shape[1], known[0].shape[2]
        before_1TL = torch.ones(1, new, all_, dtype=torch.bool, device=x_BTD.device).tril(all_ - new)
        x_BTD = x_BTD + self.dropout(self.attention.read(h_BTD, known, before_1TL))
        found_BTD = self.cross.attention.read(self.cross.attention_norm(x_BTD), memory, mask_BS)
        return self.cross.add(x_BTD, found_BTD), known


class Decoder(nn.Module):
    """Positions, blocks, and one norm at the end: what stands at a place depends on the memory, on itself and on what is before it."""

    def __init__(self, dim: int, depth: int, heads: int, dropout: float = 0.0) -> None:
        """Args: dim: width D, a multiple of heads; depth: number of blocks; dropout: of the blocks."""
        super().__init__()
        self.positions = Positions(dim, gain=1.0)
        self.blocks = nn.ModuleList(DecoderBlock(dim, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def begin(self, memory_BSD: Tensor, mask_BS: Tensor) -> Reading:
        """Read the memory (B, S, D) where the mask is true."""
        memory = [block.keys_values(memory_BSD) for block in self._blocks()]
        return Reading(memory, mask_BS, [None] * len(memory))

    def forward(self, x_BTD: Tensor, reading: Reading) -> Tensor:
        """States (B, T, D) of the next positions of the sequences, which the reading then knows too."""
        x_BTD = self.positions(x_BTD, reading.length)
        for place, block in enumerate(self._blocks()):
            x_BTD, reading.past[place] = block(x_BTD, reading.memory[place], reading.mask, reading.past[place])
        reading.length += x_BTD.shape[1]
        return self.norm(x_BTD)

    def _blocks(self) -> list[DecoderBlock]:
        return list(self.blocks)  # pyright: ignore[reportReturnType]
