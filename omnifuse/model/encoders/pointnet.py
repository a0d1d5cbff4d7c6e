"""Point clouds: the same layers for every point, then what the cloud as a whole and its parts look like."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import PointNetConfig
from omnifuse.model.encoders.encoder import Encoder
from omnifuse.model.layers.attention import Attention


class PointNet(Encoder):
    """Points (B, N, 3+F) → tokens (B, 1 + queries, D), the same in whatever order the points come.

        h_n = φ(x_n),  g = max_n h_n            the first token is U·g
        k_n = ReLU(V·h_n + W·g)                 each point, knowing the whole
        t_q = s_q + Attention(s_q, {k_n})       `queries` learned vectors s_q read the points

    φ: three linear layers with ReLU, the second with a norm.

    Source: φ, the maximum, and points that know the whole: PointNet (Qi et al. 2017, arXiv 1612.00593), without its
    learned rotations; the queries: pooling by attention (Lee et al. 2019, arXiv 1810.00825).
    Cost: about 2·N·(2·width² + 2·width·D + 2·D²) FLOP a cloud; nothing grows with N².
    Absent: masked tokens. Padded points are masked in the maximum and the attention.
    """

    def __init__(self, config: PointNetConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: shape (None, 3+F) of the clouds; dim: width D of the tokens."""
        super().__init__()
        features, width = spec.shape[-1], config.width
        assert features, "points have a number of features"
        self.point = nn.Sequential(
            nn.Linear(features, width // 2),
            nn.ReLU(),
            nn.Linear(width // 2, width),
            nn.LayerNorm(width),
            nn.ReLU(),
            nn.Linear(width, width),
        )
        self.whole = nn.Linear(width, dim)
        self.own, self.context = nn.Linear(width, dim), nn.Linear(width, dim, bias=False)
        self.queries = nn.Parameter(torch.randn(config.queries, dim))
        self.memory_norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, config.heads, config.dropout)

    def encode(self, values: Values) -> Tokens:
        """Points → one token for the whole, and one for each query."""
        assert values.mask is not None, "clouds have a mask"
        h_BND = self.point(values.data)
        whole_BD = highest(h_BND, values.mask)
        memory_BND = self.memory_norm((self.own(h_BND) + self.context(whole_BD).unsqueeze(1)).relu())
        query_BQD = self.queries.expand(len(h_BND), -1, -1)
        read_BQD = query_BQD + self.attention(query_BQD, memory_BND, values.mask)
        tokens_BTD = torch.cat([self.whole(whole_BD).unsqueeze(1), read_BQD], dim=1)
        return Tokens(tokens_BTD, values.mask.any(1, keepdim=True).expand(tokens_BTD.shape[:2]))


def highest(x_BND: Tensor, mask_BN: Tensor) -> Tensor:
    """(B, D) maximum over the points that are there; zeros for a row without any."""
    lowest = torch.finfo(x_BND.dtype).min
    highest_BD = x_BND.masked_fill(~mask_BN.unsqueeze(-1), lowest).amax(1)
    return torch.where(mask_BN.any(1, keepdim=True), highest_BD, 0)
