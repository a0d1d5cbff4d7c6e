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

    With `hidden`, x = W·ReLU(Σ_k v_k·E[k]) with E of that width, so that labels may mean more together than each alone.
    The empty set is a value like others and has its learned vector e; it is not the same as an absent one. Labels that
    the training split does not hold are left out by the processor.

    Source: the bag of words of fastText (Joulin et al. 2016, arXiv 1607.01759), by a matrix product instead of look-ups;
    the layer behind the sum as in Zaheer et al. 2017, arXiv 1703.06114.
    Cost: 2·K·D FLOP and K·D weights, or (K + D)·hidden. Absent: a masked token.
    """

    def __init__(self, config: BagConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: number K of labels; dim: width D of the token."""
        super().__init__()
        labels = spec.shape[0]
        assert labels, "sets have a number of labels"
        self.mean = config.pool == "mean"
        self.embedding = nn.Parameter(torch.randn(labels, config.hidden or dim) * SMALL)
        self.empty = nn.Parameter(torch.randn(dim) * SMALL)
        self.last = nn.Sequential(nn.ReLU(), nn.Linear(config.hidden, dim, bias=False)) if config.hidden else nn.Identity()

    def encode(self, values: Values) -> Tokens:
        """Ones and zeros → one token."""
        count_B1 = values.data.sum(1, keepdim=True)
        bag_BH = values.data @ self.embedding
        if self.mean:
            bag_BH = bag_BH / count_B1.clamp(min=1)
        bag_BD = self.last(bag_BH)
        token_BD = torch.where(count_B1 > 0, bag_BD, self.empty.to(bag_BD.dtype))
        return Tokens(token_BD.unsqueeze(1), values.present.unsqueeze(1))
