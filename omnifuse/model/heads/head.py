"""What every head does."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from omnifuse.core.values import Fused, Values
from omnifuse.model.heads.config import HeadConfig


class Head(nn.Module, ABC):
    """Fused → output, loss and answer of one target.

    A subclass is built as `Class(config, spec, dim)`: the options, what the processor of the target promises, and the
    width D of what is fused. Rows whose target is absent get a loss too; whoever averages leaves them out.
    """

    @abstractmethod
    def forward(self, fused: Fused) -> Tensor:
        """The output (B, …), such as logits."""

    @abstractmethod
    def loss(self, output: Tensor, target: Values) -> Tensor:
        """(B,) float32, the loss of each row."""

    @abstractmethod
    def predict(self, output: Tensor) -> Tensor:
        """(B, …) float32, what is told about the target: probabilities (B, K) or a value (B,)."""

    @abstractmethod
    def answer(self, prediction: Tensor) -> Tensor:
        """(B, …) one answer a row, in the form the processor of the target decodes."""


def perceptron(config: HeadConfig, dim: int, outputs: int) -> nn.Sequential:
    """Norm → linear → GELU → linear; without hidden layer norm → linear."""
    hidden = 2 * dim if config.hidden is None else config.hidden
    if hidden == 0:
        return nn.Sequential(nn.LayerNorm(dim), nn.Dropout(config.dropout), nn.Linear(dim, outputs))
    return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(hidden, outputs))
