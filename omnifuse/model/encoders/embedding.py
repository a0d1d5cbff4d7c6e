"""Learned vectors for labels."""

from __future__ import annotations

from torch import nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import EmbeddingConfig
from omnifuse.model.encoders.encoder import Encoder


class LabelEmbedding(Encoder):
    """Label ids (B,) → one token (B, 1, D): x = E[id].

    A label that the training split does not hold has the id K and the vector 0: it is there, and says nothing.
    Absent: a masked token.
    """

    def __init__(self, config: EmbeddingConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: number K of labels; dim: width D of the token."""
        super().__init__()
        self.embedding = nn.Embedding(spec.size + 1, dim, padding_idx=spec.size)

    def encode(self, values: Values) -> Tokens:
        """Ids → tokens."""
        return Tokens(self.embedding(values.data).unsqueeze(1), values.present.unsqueeze(1))
