"""Regression."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused, Values
from omnifuse.model.heads.config import NumberHeadConfig
from omnifuse.model.heads.head import Head, perceptron


class NumberHead(Head):
    """A standardised number (B,); loss (ŷ − y)², |ŷ − y|, or Huber's with its bend at 1.

    With the loss `quantile`, numbers (B, Q) q_1 ≤ … ≤ q_Q for the levels τ: loss the mean over levels of
    max(τ·(y − q), (τ − 1)·(y − q)). Each is the one before and a positive distance, q_{k+1} = q_k + softplus(x_{k+1}), so they
    never cross. Source: quantile regression (Koenker & Bassett 1978, Econometrica 46:33–50). The answer is the one whose
    level is nearest to the median.
    """

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
