"""What every head does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from omnifuse.core.values import Fused, Values
from omnifuse.model.heads.config import PerceptronConfig
from omnifuse.model.heads.sampling import RowNoise, Sampling


class Loss(NamedTuple):
    """The loss of one target: (B,) by row, and which rows have the target."""

    per_row: Tensor
    present: Tensor


class Head(nn.Module, ABC):
    """Fused → output, loss and answer of one target.

    A subclass is built as `Class(config, spec, dim)`: the options, what the processor of the target promises, and the
    width D of what is fused. Heads whose options say `encodes_target` are built as `Class(config, spec, dim, encoder)`,
    with an encoder for the target. Rows whose target is absent get a loss too; whoever averages leaves them out.

    Attributes:
        predicts: whether it has one best answer; a head that only draws samples has none.
        reads_tokens: whether it reads `Fused.tokens`, and not the pooled vector alone.
    """

    predicts: ClassVar[bool] = True
    reads_tokens: ClassVar[bool] = True

    @abstractmethod
    def forward(self, fused: Fused) -> Any:
        """The output: logits (B, …), or whatever the loss and the prediction start from; its first axis is B."""

    @abstractmethod
    def loss(self, output: Any, target: Values) -> Tensor:
        """(B,) float32, the loss of each row."""

    @abstractmethod
    def predict(self, output: Any) -> Tensor:
        """(B, …) what is told about the target, of the kind that `tells` of the options names; float32, or ids of a text."""

    @abstractmethod
    def answer(self, prediction: Tensor) -> Tensor:
        """(B, …) one answer a row, in the form the processor of the target decodes; none where the prediction is an `embedding`."""

    def generate(self, output: Any, noise: RowNoise, sampling: Sampling) -> Tensor:
        """(B, …) one answer a row as `answer` gives it, drawn where the head draws or a temperature asks for it."""
        prediction = self.predict(output)
        return self.answer(prediction) if sampling.temperature is None else self.draw(prediction, noise, sampling)

    def draw(self, prediction: Tensor, noise: RowNoise, sampling: Sampling) -> Tensor:
        """(B, …) one of the answers that the prediction allows; of a head that knows but one, that."""
        return self.answer(prediction)

    def lengths(self, drawn: Tensor) -> list[int] | None:
        """How long each of some drawn values is, along the axis that varies; `None` where they say it themselves."""
        return None


def perceptron(config: PerceptronConfig, dim: int, outputs: int) -> nn.Sequential:
    """Norm → linear → GELU → linear; without hidden layer norm → linear."""
    hidden = 2 * dim if config.hidden is None else config.hidden
    if hidden == 0:
        return nn.Sequential(nn.LayerNorm(dim), nn.Dropout(config.dropout), nn.Linear(dim, outputs))
    return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(hidden, outputs))
