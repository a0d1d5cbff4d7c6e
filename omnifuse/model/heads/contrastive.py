"""Inputs and a target in one space."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused, Values
from omnifuse.model.heads.config import ContrastiveHeadConfig
from omnifuse.model.heads.head import Head
from omnifuse.model.layers.ranks import gather_rows, is_distributed, rank
from omnifuse.model.layers.row_hash import row_hash

COLDEST, WARMEST = 0.01, 10.0
FIRST_BIAS = -10.0


class ContrastiveHead(Head):
    """Rows u_i and targets v_i of length 1, similarity s_ij = u_i·v_j; a row is near to its own target and far from others.

    `infonce` (van den Oord et al. 2018, arXiv 1807.03748; both ways as in CLIP, Radford et al. 2021, arXiv 2103.00020):
    L_i = −½·log softmax_j(s_ij/τ)[i] − ½·log softmax_j(s_ji/τ)[i].
    `sigmoid` (SigLIP, Zhai et al. 2023, arXiv 2303.15343): L_i = −Σ_j log σ(±(s_ij/τ + b)), + for j = i, − for others.
    τ and b are learned; τ stays within 0.01 and 10.

    The others are the rows of the whole batch, over all ranks, in training; in evaluation those of the part at hand. A row j
    whose target equals that of row i is no negative of row i: the pair (i, j) counts neither way. Equal means that the values
    are equal, number by number, which a hash of each row tells. Equal inputs with different targets are negatives.

    u = norm to length 1 of W·norm(z) of what is fused, v the same of the mean of the target's tokens. Shapes: output (B, E).
    Absent: rows without target are nobody's negatives. There is no answer without candidates to choose from.
    """

    reads_tokens: ClassVar[bool] = False

    def __init__(self, config: ContrastiveHeadConfig, spec: ValueSpec, dim: int, encoder: nn.Module) -> None:
        """Args: config: options; spec: of the target; dim: width D; encoder: values of the target → tokens."""
        super().__init__()
        width = config.width or dim
        self.encoder, self.spec = encoder, spec
        self.row = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, width))
        self.target = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, width))
        self.log_scale = nn.Parameter(torch.tensor([-math.log(config.temperature)]))
        self.bias = nn.Parameter(torch.tensor([FIRST_BIAS])) if config.loss == "sigmoid" else None

    def forward(self, fused: Fused) -> Tensor:
        """Rows (B, E) of length 1, float32."""
        return F.normalize(self.row(fused.pooled).float(), dim=-1)

    def embed(self, target: Values) -> Tensor:
        """Targets (B, E) of length 1, float32; what an absent one gives means nothing."""
        return F.normalize(self.target(self.encoder(target).pool()).float(), dim=-1)

    def loss(self, output: Tensor, target: Values) -> Tensor:
        """Loss (B,), among the rows that are compared with each other."""
        targets_BE, there_B, hash_B = self.embed(target), target.present, row_hash(target, self.spec)
        together = self.training and is_distributed()
        rows_AE, targets_AE = (gather_rows(each) if together else each for each in (output.float(), targets_BE))
        there_A, hash_A = (gather_rows(each) if together else each for each in (there_B.long(), hash_B))
        own_BA = torch.arange(len(there_A), device=hash_B.device) == self._place(len(hash_B), together, hash_B.device).unsqueeze(1)
        counts_BA = own_BA | (there_A.bool() & (hash_A != hash_B.unsqueeze(1)))
        with torch.autocast(output.device.type, enabled=False):
            to_targets_BA = self._scale() * (output.float() @ targets_AE.T)
            if self.bias is not None:
                sign_BA = torch.where(own_BA, 1.0, -1.0)
                return -torch.where(counts_BA, F.logsigmoid(sign_BA * (to_targets_BA + self.bias)), 0).sum(1)
            to_rows_BA = self._scale() * (targets_BE @ rows_AE.T)
            return 0.5 * (_surprise(to_targets_BA, own_BA, counts_BA) + _surprise(to_rows_BA, own_BA, counts_BA))

    def predict(self, output: Tensor) -> Tensor:
        """Rows (B, E) of length 1."""
        return output.float()

    def answer(self, prediction: Tensor) -> Tensor:
        """There is none.

        Raises:
            OmnifuseError: always.
        """
        raise OmnifuseError("a contrastive head ranks candidates: use `Pipeline.retrieve(rows, candidates)`")

    def _scale(self) -> Tensor:
        """1/τ; the weight itself is brought back into its range, lest it stay outside without a gradient."""
        if self.training:
            self.log_scale.data.clamp_(-math.log(WARMEST), -math.log(COLDEST))
        return self.log_scale.exp()

    @staticmethod
    def _place(count: int, together: bool, device: torch.device) -> Tensor:
        """(B,) where the rows of this rank stand among those of all."""
        return torch.arange(count, device=device) + (rank() * count if together else 0)


def _surprise(logits_BA: Tensor, own_BA: Tensor, counts_BA: Tensor) -> Tensor:
    """(B,) −log softmax at the own place, among the places that count."""
    shares_BA = logits_BA.masked_fill(~counts_BA, -math.inf).log_softmax(dim=1)
    return -torch.where(own_BA, shares_BA, 0).sum(1)
