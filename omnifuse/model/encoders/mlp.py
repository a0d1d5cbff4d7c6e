"""A perceptron for a fixed number of numbers."""

from __future__ import annotations

from torch import nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import MLPConfig
from omnifuse.model.encoders.encoder import Encoder


class MLP(Encoder):
    """Numbers (B, F) → one token (B, 1, D): x = W₂·ReLU(W₁v + b₁) + b₂; with `hidden: 0`, x = Wv + b; with `activation: relu`, ReLU(x).

    Source: Rosenblatt 1958; Rumelhart et al. 1986. Cost: 2·hidden·(F + D) FLOP. Absent: a masked token.
    """

    def __init__(self, config: MLPConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: shape (F,) of the values; dim: width D of the token."""
        super().__init__()
        features = spec.shape[0]
        assert features, "vectors have one length"
        hidden = 2 * dim if config.hidden is None else config.hidden
        layers: list[nn.Module] = [nn.Linear(features, dim)]
        if hidden:
            layers = [nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(hidden, dim)]
        if config.activation == "relu":
            layers.append(nn.ReLU())
        self.layers = nn.Sequential(*layers)

    def encode(self, values: Values) -> Tokens:
        """Numbers → one token."""
        return Tokens(self.layers(values.data).unsqueeze(1), values.present.unsqueeze(1))
