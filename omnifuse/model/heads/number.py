"""Regression."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused, Values
from omnifuse.model.heads.config import NumberHeadConfig
from omnifuse.model.heads.head import Head, perceptron
from omnifuse.model.heads.sampling import RowNoise, Sampling


class NumberHead(Head):
    """A standardised number (B,); loss (ŷ − y)², |ŷ − y|, or Huber's with its bend at 1.

    With the loss `quantile`, numbers (B, Q) q_1 ≤ … ≤ q_Q for the levels τ: loss the mean over levels of
    max(τ·(y − q), (τ − 1)·(y − q)). Each is the one before and a positive distance, q_{k+1} = q_k + softplus(x_{k+1}), so they
    never cross. Source: quantile regression (Koenker & Bassett 1978, Econometrica 46:33–50). The answer is the one whose
    level is nearest to the median.
    """

    reads_tokens: ClassVar[bool] = False

    def __init__(self, config: NumberHeadConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: of the target; dim: width D."""
        super().__init__()
        self.levels = config.quantiles if config.loss == "quantile" else ()
        self.layers = perceptron(config, dim, len(self.levels) or 1)
        self.measure = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}.get(config.loss)
        self.middle = min(range(len(self.levels)), key=lambda place: abs(self.levels[place] - 0.5), default=0)

    def forward(self, fused: Fused) -> Tensor:
        """Numbers (B,), or quantiles (B, Q)."""
        made_BQ = self.layers(fused.pooled)
        if not self.levels:
            return made_BQ.squeeze(-1)
        first_B1, steps_BP = made_BQ.float().split([1, len(self.levels) - 1], dim=-1)
        return torch.cat([first_B1, F.softplus(steps_BP)], dim=-1).cumsum(-1)

    def loss(self, output: Tensor, target: Values) -> Tensor:
        """Loss (B,)."""
        if self.measure is not None:
            return self.measure(output.float(), target.data, reduction="none")
        off_BQ = target.data.unsqueeze(1) - output.float()
        levels_Q = torch.tensor(self.levels, device=output.device)
        return torch.maximum(levels_Q * off_BQ, (levels_Q - 1) * off_BQ).mean(1)

    def predict(self, output: Tensor) -> Tensor:
        """The number (B,) or the quantiles (B, Q), standardised."""
        return output.float()

    def answer(self, prediction: Tensor) -> Tensor:
        """The number itself, or the middle one of the quantiles."""
        return prediction[:, self.middle] if self.levels else prediction

    def draw(self, prediction: Tensor, noise: RowNoise, sampling: Sampling) -> Tensor:
        """Of quantiles, the value (B,) at a random level, linear between those that are known and constant beyond; else the number.

        A temperature moves the value towards the middle or away from it.
        """
        if not self.levels:
            return prediction
        levels_Q = torch.tensor(self.levels, device=prediction.device)
        level_B = noise.uniform().to(prediction).clamp(levels_Q[0], levels_Q[-1])
        upper_B = torch.searchsorted(levels_Q, level_B).clamp(min(1, len(levels_Q) - 1), len(levels_Q) - 1)
        lower_B = (upper_B - 1).clamp(min=0)
        low_B, high_B = (prediction.gather(1, place_B[:, None]).squeeze(1) for place_B in (lower_B, upper_B))
        width_B = (levels_Q[upper_B] - levels_Q[lower_B]).clamp(min=1e-9)
        value_B = low_B + (high_B - low_B) * (level_B - levels_Q[lower_B]) / width_B
        middle_B = self.answer(prediction)
        return middle_B + (sampling.temperature or 1.0) * (value_B - middle_B)
