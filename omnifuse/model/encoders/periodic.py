"""Periodic features for numbers."""

from __future__ import annotations

import math

import torch
from torch import nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import PeriodicConfig
from omnifuse.model.encoders.encoder import Encoder


class Periodic(Encoder):
    """Number (B,) → one token (B, 1, D): x = ReLU(W·[v, sin 2πcv, cos 2πcv] + b), with learned frequencies c.

    Source: Gorishniy et al. 2022, arXiv 2203.05556 (PLR); here the number itself stands beside its sines.
    Absent: a masked token.
    """

    def __init__(self, config: PeriodicConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: of the column; dim: width D of the token."""
        super().__init__()
        self.frequency = nn.Parameter(torch.randn(config.frequencies) * config.scale)
        self.linear = nn.Linear(2 * config.frequencies + 1, dim)

    def encode(self, values: Values) -> Tokens:
        """Numbers → tokens."""
        number_B1 = values.data.unsqueeze(1)
        angle_BF = 2 * math.pi * number_B1 * self.frequency
        features_BF = torch.cat([number_B1, angle_BF.sin(), angle_BF.cos()], dim=1)
        return Tokens(self.linear(features_BF).relu().unsqueeze(1), values.present.unsqueeze(1))
