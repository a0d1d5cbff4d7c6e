"""Regression."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused, Values
from omnifuse.model.heads.config import NumberHeadConfig
from omnifuse.model.heads.head import Head, perceptron


class NumberHead(Head):
    """A standardised number (B,); loss (ŷ − y)², |ŷ − y|, or Huber's with its bend at 1."""

    def __init__(self, config: NumberHeadConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: of the target; dim: width D."""
        super().__init__()
        self.layers = perceptron(config, dim, 1)
        self.measure = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}[config.loss]

    def forward(self, fused: Fused) -> Tensor:
        """Numbers (B,)."""
        return self.layers(fused.pooled).squeeze(-1)

    def loss(self, output: Tensor, target: Values) -> Tensor:
        """Loss (B,)."""
        return self.measure(output.float(), target.data, reduction="none")

    def predict(self, output: Tensor) -> Tensor:
        """The number (B,), standardised."""
        return output.float()

    def answer(self, prediction: Tensor) -> Tensor:
        """The number itself."""
        return prediction
