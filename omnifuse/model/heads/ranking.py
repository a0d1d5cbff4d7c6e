"""Which of many items comes first."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused, Values
from omnifuse.model.heads.config import RankingHeadConfig
from omnifuse.model.heads.head import Head

SMALL = 0.1  # an item that was hardly seen should say little


class RankingHead(Head):
    """A row u = W·norm(z) and a vector v_k for each of K items; score s_k = u·v_k + b_k.

    Losses for the chosen item i: `softmax`, −log softmax(s)[i] over all items; `bpr`, the mean over drawn items j ≠ i of
    −log σ(s_i − s_j) (Bayesian personalized ranking, Rendle et al. 2009, arXiv 1205.2618). Differs: a row is whatever is
    fused, not a user id alone, so that new users are served by what else is known of them; items are drawn evenly, anew at
    each step, and out of training all of them are taken.

    Cost: (K + 1)·D weights; softmax 2·K·D FLOP a row, bpr 2·(n + 1)·D. Shapes: output (B, D), the rows. Absent: rows without
    an item, and items that the training split does not hold, are left out of the loss; the latter never come up as answers.
    """

    reads_tokens: ClassVar[bool] = False

    def __init__(self, config: RankingHeadConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: number of items; dim: width D."""
        super().__init__()
        count = spec.size - spec.shares_last
        self.row = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim))
        self.items = nn.Parameter(torch.randn(count, dim) * SMALL)
        self.bias = nn.Parameter(torch.zeros(count))
        self.pairs, self.negatives = config.loss == "bpr", config.negatives

    def forward(self, fused: Fused) -> Tensor:
        """Rows (B, D) in the space of the items."""
        return self.row(fused.pooled)

    def loss(self, output: Tensor, target: Values) -> Tensor:
        """Loss (B,)."""
        chosen_B = target.data.clamp(max=len(self.items) - 1)
        if not self.pairs:
            return F.cross_entropy(self._scores(output), chosen_B, reduction="none")
        if self.training:
            drawn_BN = torch.randint(len(self.items), (len(chosen_B), self.negatives), device=chosen_B.device)
            other_BN = (output.float().unsqueeze(1) * self.items[drawn_BN].float()).sum(-1) + self.bias[drawn_BN]
            own_B = (output.float() * self.items[chosen_B].float()).sum(-1) + self.bias[chosen_B]
        else:
            drawn_BN = torch.arange(len(self.items), device=chosen_B.device).expand(len(chosen_B), -1)
            other_BN = self._scores(output)
            own_B = other_BN.gather(1, chosen_B.unsqueeze(1)).squeeze(1)
        is_other_BN = drawn_BN != chosen_B.unsqueeze(1)
        lost_BN = torch.where(is_other_BN, -F.logsigmoid(own_B.unsqueeze(1) - other_BN), 0)
        return lost_BN.sum(1) / is_other_BN.sum(1).clamp(min=1)

    def predict(self, output: Tensor) -> Tensor:
        """Scores (B, K)."""
        return self._scores(output)

    def answer(self, prediction: Tensor) -> Tensor:
        """The item that comes first (B,)."""
        return prediction.argmax(dim=-1)

    def _scores(self, rows_BD: Tensor) -> Tensor:
        return (rows_BD @ self.items.T).float() + self.bias
