"""A transformer for texts."""

from __future__ import annotations

import torch
from torch import nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import TextTransformerConfig
from omnifuse.model.encoders.encoder import Encoder
from omnifuse.model.layers.transformer import Transformer


class TextTransformer(Encoder):
    """Token ids (B, T) → tokens (B, T, D): x = Transformer(E[id] + position), attending both ways; of another `width` than D, x ← W·x.

    Source: Vaswani et al. 2017, arXiv 1706.03762; normalised before each sub-layer.
    Absent: masked tokens; padding is masked in the attention.
    """

    def __init__(self, config: TextTransformerConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: vocabulary and longest text; dim: width D of the tokens."""
        super().__init__()
        inner = config.inner(dim)
        self.embedding = nn.Embedding(spec.size, inner)
        self.position = nn.Parameter(torch.randn(spec.max_length, inner) * 0.1)
        self.dropout = nn.Dropout(config.dropout)
        self.transformer = Transformer(inner, config.depth, config.heads, config.dropout)
        self.last = nn.Linear(inner, dim) if inner != dim else nn.Identity()

    def encode(self, values: Values) -> Tokens:
        """Ids → tokens."""
        assert values.mask is not None, "texts have a mask"
        tokens_BTD = self.dropout(self.embedding(values.data) + self.position[: values.data.shape[1]])
        return Tokens(self.last(self.transformer(tokens_BTD, values.mask)), values.mask)
