"""Labels that have an order."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused, Values
from omnifuse.model.heads.config import OrdinalHeadConfig
from omnifuse.model.heads.head import Head, perceptron
from omnifuse.model.heads.sampling import RowNoise, Sampling, draw_one


class OrdinalHead(Head):
    """One scale s, cut in K − 1 places: P(y > k) = σ(s − θ_k), θ_1 < … < θ_{K−1}; loss −log P(y = label).

    The places are θ_1 and positive distances after it, θ_{k+1} = θ_k + softplus(δ_k), so they are in order whatever is
    learned. They begin where s = 0 makes all labels equally likely.

    Source: the proportional odds model (McCullagh 1980). It shares one scale and K − 1 places with CORAL (Cao et al. 2019,
    arXiv 1901.07884), which sums K − 1 binary losses; here the loss is the likelihood of the label, so that probabilities are
    calibrated as those of the category head are. As in CORAL, the answer is the label up to which half of the
    probability lies, the median. Shapes: output (B, K − 1), the distances s − θ_k. Absent: as in every head.
    """

    reads_tokens: ClassVar[bool] = False

    def __init__(self, config: OrdinalHeadConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: number K of labels, which are in order; dim: width D.

        Raises:
            OmnifuseError: the labels have no order, or there is one alone.
        """
        super().__init__()
        if not spec.ordered:
            raise OmnifuseError(
                "the head `ordinal` needs labels in order: these are no numbers; write them in the option `order` of the target's column"
            )
        if spec.size < 2:
            raise OmnifuseError("the head `ordinal` needs at least two labels in the training split; use the head `category`")
        self.layers = perceptron(config, dim, 1)
        even = [math.log(k / (spec.size - k)) for k in range(1, spec.size)]
        self.first = nn.Parameter(torch.tensor(even[:1]))
        steps = torch.tensor([high - low for low, high in pairwise(even)])
        self.steps = nn.Parameter(steps.expm1().log()) if len(even) > 1 else None

    def forward(self, fused: Fused) -> Tensor:
        """Distances (B, K − 1) from the places where the scale is cut."""
        return self.layers(fused.pooled).float() - self._places()

    def loss(self, output: Tensor, target: Values) -> Tensor:
        """Negative log-likelihood (B,)."""
        return -self._log_shares(output).gather(1, target.data.clamp(max=output.shape[1]).unsqueeze(1)).squeeze(1)

    def predict(self, output: Tensor) -> Tensor:
        """Probabilities (B, K)."""
        return self._log_shares(output).exp()

    def answer(self, prediction: Tensor) -> Tensor:
        """The median label (B,)."""
        return (prediction.cumsum(dim=-1) < 0.5).sum(dim=-1).clamp(max=prediction.shape[-1] - 1)

    def _places(self) -> Tensor:
        if self.steps is None:
            return self.first
        return torch.cat([self.first, self.first + F.softplus(self.steps).cumsum(0)])

    def _log_shares(self, output: Tensor) -> Tensor:
        """(B, K): σ(a) − σ(b) = σ(a)·σ(−b)·(1 − e^{b−a}) for a > b, in logarithms, finite however far s is."""
        below_BK = F.pad(F.logsigmoid(-output), (0, 1))  # P(y ≤ k), 1 for the last
        above_BK = F.pad(F.logsigmoid(output), (1, 0))  # P(y > k − 1), 1 for the first
        if self.steps is None:
            return below_BK + above_BK
        between = torch.log(-torch.expm1(-F.softplus(self.steps).clamp(min=1e-6)))
        return below_BK + above_BK + F.pad(between, (1, 1))

    def draw(self, prediction: Tensor, noise: RowNoise, sampling: Sampling) -> Tensor:
        """A label (B,) with its probability."""
        return draw_one(prediction, noise, sampling)
