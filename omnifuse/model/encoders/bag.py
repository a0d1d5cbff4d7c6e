"""Bags of labels."""

from __future__ import annotations

import torch
from torch import nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import BagConfig
from omnifuse.model.encoders.encoder import Encoder

SMALL = 0.1  # a label that was hardly seen should say little


class Bag(Encoder):
    """Set (B, K) of ones and zeros → one token (B, 1, D): x = Σ_k v_k·E[k], or their mean; x = e if the set is empty.

    The empty set is a value like others and has its learned vector e; it is not the same as an absent one. Labels that
    the training split does not hold are left out by the processor.

    Source: the bag of words of fastText (Joulin et al. 2016, arXiv 1607.01759), by a matrix product instead of look-ups.
    Cost: 2·K·D FLOP and K·D weights. Absent: a masked token.
    """

    def __init__(self, config: BagConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: number K of labels; dim: width D of the token."""
        super().__init__()
        labels = spec.shape[0]
        assert labels, "sets have a number of labels"
        self.mean = config.pool == "mean"
        self.embedding = nn.Parameter(torch.randn(labels, dim) * SMALL)
        self.empty = nn.Parameter(torch.randn(dim) * SMALL)

    def encode(self, values: Values) -> Tokens:
        """Ones and zeros → one token."""
        count_B1 = values.data.sum(1, keepdim=True)
        bag_BD = values.data @ self.embedding
        if self.mean:
            bag_BD = bag_BD / count_B1.clamp(min=1)
        token_BD = torch.where(count_B1 > 0, bag_BD, self.empty.to(bag_BD.dtype))
        return Tokens(token_BD.unsqueeze(1), values.present.unsqueeze(1))
