"""Learned vectors for labels."""

from __future__ import annotations

import torch
from torch import nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import EmbeddingConfig
from omnifuse.model.encoders.encoder import Encoder

SMALL = 0.1  # who was hardly seen should say little: on made-up ratings a quarter to two fifths less error than with 1


class LabelEmbedding(Encoder):
    """Label ids (B,) → one token (B, 1, D): x = E[id]; with `hidden`, x = W·ReLU(E[id]) with E of that width.

    E begins with deviation 1 for labels, and with 0.1 for ids of users and items, of which many have few rows. A label
    that the training split does not hold has the id K and the vector 0: it is there, and says nothing.

    Cost: (K + 1)·D weights, of which a step changes all, or (K + 1)·hidden + hidden·D. Absent: a masked token.
    """

    def __init__(self, config: EmbeddingConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: number K of labels; dim: width D of the token."""
        super().__init__()
        self.embedding = nn.Embedding(spec.size + 1, config.hidden or dim, padding_idx=spec.size)
        if spec.modality == "id":
            with torch.no_grad():
                self.embedding.weight.mul_(SMALL)
        self.last = nn.Sequential(nn.ReLU(), nn.Linear(config.hidden, dim, bias=False)) if config.hidden else nn.Identity()

    def encode(self, values: Values) -> Tokens:
        """Ids → tokens."""
        return Tokens(self.last(self.embedding(values.data)).unsqueeze(1), values.present.unsqueeze(1))
