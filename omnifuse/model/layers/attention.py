"""Multi-head attention with key masks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KeysValues = tuple[Tensor, Tensor]


class Attention(nn.Module):
    """softmax(q kᵀ/√d) v over the keys that are there, with normalised queries and keys.

    Source: Vaswani et al. 2017, arXiv 1706.03762; QK-norm as in Dehghani et al. 2023, arXiv 2302.05442, with RMS.
    A row whose keys are all masked gives zeros and finite gradients. With `null`, each head has a learned key and value
    more that are always there, so that it may read nothing: the softmax has one more term, and a row whose keys are all
    masked reads the learned value. Both start at 0. Source: `add_bias_kv` of `nn.MultiheadAttention`.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.0, null: bool = False) -> None:
        """Args: dim: width D, a multiple of heads; dropout: share of the attention weights dropped in training; null: see above."""
        super().__init__()
        assert dim % heads == 0, "heads divide the width"
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(dim, dim, bias=False)
        self.key_value = nn.Linear(dim, 2 * dim, bias=False)
        self.query_norm, self.key_norm = nn.RMSNorm(dim // heads), nn.RMSNorm(dim // heads)
        self.out = nn.Linear(dim, dim)
        self.null = nn.Parameter(torch.zeros(2, heads, 1, dim // heads)) if null else None

    def forward(self, query_BTD: Tensor, memory_BSD: Tensor, mask_BS: Tensor) -> Tensor:
        """Let queries (B, T, D) read the memory (B, S, D) where the mask (B, S), or (B, T, S), is true; returns (B, T, D)."""
        return self._attend(self._queries(query_BTD), self.keys_values(memory_BSD), mask_BS)

    def keys_values(self, memory_BSD: Tensor) -> KeysValues:
        """What queries find of a memory (B, S, D): keys and values (B, H, S, E) of H heads, to be kept for later queries."""
        k, v = (self._split(part) for part in self.key_value(memory_BSD).chunk(2, dim=-1))
        return self.key_norm(k), v

    def read(self, query_BTD: Tensor, known: KeysValues, mask_BS: Tensor) -> Tensor:
        """As `forward`, with keys and values that were made before."""
        return self._attend(self._queries(query_BTD), known, mask_BS)

    def _queries(self, query_BTD: Tensor) -> Tensor:
        return self.query_norm(self._split(self.query(query_BTD)))

    def _attend(self, q: Tensor, known: KeysValues, mask_BS: Tensor) -> Tensor:
        k, v = known
        if self.null is not None:
            k, v, mask_BS = self._with_null(k, v, mask_BS, self.null)
        dropout = self.dropout if self.training else 0.0
        mask_BHTS = mask_BS[:, None, None, :] if mask_BS.ndim == 2 else mask_BS[:, None]
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=mask_BHTS, dropout_p=dropout)
        return self.out(read.transpose(1, 2).flatten(2))

    def _split(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    @staticmethod
    def _with_null(k_BHSE: Tensor, v_BHSE: Tensor, mask_BS: Tensor, null_2H1E: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        key, value = (part.to(like.dtype).expand(len(like), -1, -1, -1) for part, like in zip(null_2H1E, (k_BHSE, v_BHSE), strict=True))
        return torch.cat([key, k_BHSE], dim=2), torch.cat([value, v_BHSE], dim=2), F.pad(mask_BS, (1, 0), value=True)
