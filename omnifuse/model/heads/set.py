"""Several labels at once."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused, Values
from omnifuse.model.heads.config import SetHeadConfig
from omnifuse.model.heads.head import Head, perceptron
from omnifuse.model.heads.sampling import RowNoise, Sampling


class SetHead(Head):
    """Logits (B, K), each label by itself; loss −Σ_k [y_k·log σ(x_k) + (1 − y_k)·log σ(−x_k)].

    The sum over labels is the negative log-likelihood of the whole set in nats, as the loss of the category head is that of
    its label. Absent: a set that is there and empty is learned, one that is absent is not.
    """

    reads_tokens: ClassVar[bool] = False

    def __init__(self, config: SetHeadConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: number K of labels; dim: width D."""
        super().__init__()
        labels = spec.shape[0]
        assert labels, "sets have a number of labels"
        self.layers = perceptron(config, dim, labels)
        self.threshold = config.threshold

    def forward(self, fused: Fused) -> Tensor:
        """Logits (B, K)."""
        return self.layers(fused.pooled)

    def loss(self, output: Tensor, target: Values) -> Tensor:
        """Binary cross-entropy (B,), summed over the labels."""
        return F.binary_cross_entropy_with_logits(output.float(), target.data, reduction="none").sum(1)

    def predict(self, output: Tensor) -> Tensor:
        """Probabilities (B, K)."""
        return output.float().sigmoid()

    def answer(self, prediction: Tensor) -> Tensor:
        """(B, K) float32, 1 for the labels that are probable enough."""
        return (prediction >= self.threshold).float()

    def draw(self, prediction: Tensor, noise: RowNoise, sampling: Sampling) -> Tensor:
        """(B, K) float32, 1 for the labels that are drawn, each with its probability σ(x/temperature)."""
        logits_BK = prediction.double().logit(eps=1e-12) / (sampling.temperature or 1.0)
        return (noise.uniform(prediction.shape[1]).to(logits_BK) < logits_BK.sigmoid()).float()
