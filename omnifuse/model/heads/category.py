"""Classification."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused, Values
from omnifuse.model.heads.config import CategoryHeadConfig
from omnifuse.model.heads.head import Head, perceptron
from omnifuse.model.heads.sampling import RowNoise, Sampling, draw_one


class CategoryHead(Head):
    """Logits (B, K) of the labels; loss −log softmax(logits)[label]."""

    reads_tokens: ClassVar[bool] = False

    def __init__(self, config: CategoryHeadConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: number K of labels; dim: width D."""
        super().__init__()
        self.layers = perceptron(config, dim, spec.size)
        self.label_smoothing = config.label_smoothing

    def forward(self, fused: Fused) -> Tensor:
        """Logits (B, K)."""
        return self.layers(fused.pooled)

    def loss(self, output: Tensor, target: Values) -> Tensor:
        """Cross-entropy (B,)."""
        return F.cross_entropy(output.float(), target.data, reduction="none", label_smoothing=self.label_smoothing)

    def predict(self, output: Tensor) -> Tensor:
        """Probabilities (B, K)."""
        return output.float().softmax(dim=-1)

    def answer(self, prediction: Tensor) -> Tensor:
        """The most probable label (B,)."""
        return prediction.argmax(dim=-1)

    def draw(self, prediction: Tensor, noise: RowNoise, sampling: Sampling) -> Tensor:
        """A label (B,) with its probability."""
        return draw_one(prediction, noise, sampling)
