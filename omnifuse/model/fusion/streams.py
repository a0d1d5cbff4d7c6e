"""What fusions share that keep the tokens of each column apart."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from omnifuse.core.values import Fused, Tokens
from omnifuse.model.fusion.fusion import Fusion


class StreamFusion(Fusion):
    """A fusion that hands on the tokens of each column, whatever they have read of the others: [e, X_1, …, X_M].

    z is the mean over the columns that are there of the means of their tokens. In rows without any column, z is the token
    e, which is masked in all others: a learned empty vector where every column may be absent. Where some column is always
    there no row needs one, and e is zeros.
    """

    def __init__(self, columns: Mapping[str, bool], dim: int) -> None:
        """Args: columns: whether each may be absent; dim: width D."""
        super().__init__()
        self.columns = list(columns)
        self.empty = nn.Parameter(torch.zeros(dim)) if all(columns.values()) else None

    @abstractmethod
    def mix(self, parts: Sequence[Tokens]) -> list[Tensor]:
        """What the tokens (B, T_m, D) of each column become. Finite also where a column is absent or all are."""

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Mix, pool, and hand on."""
        parts = [tokens[name] for name in self.columns]
        streams = [Tokens(values, part.mask) for values, part in zip(self.mix(parts), parts, strict=True)]
        nothing_B1 = ~torch.stack([part.present for part in parts]).any(dim=0).unsqueeze(1)
        like = streams[0].values
        empty_D = torch.zeros_like(like[0, 0]) if self.empty is None else self.empty.to(like.dtype)
        return side_by_side(Tokens(empty_D.expand(len(like), 1, -1), nothing_B1), streams)


def side_by_side(first: Tokens, streams: Sequence[Tokens]) -> Fused:
    """The tokens [first, X_1, …, X_M]; z is the mean over the columns that are there of the means of their tokens.

    In rows without any column z is the mean of `first`.
    """
    pools_BMD = torch.stack([stream.pool() for stream in streams], dim=1)
    there_BM1 = torch.stack([stream.present for stream in streams], dim=1).unsqueeze(2)
    count_B1 = there_BM1.sum(dim=1)
    pooled_BD = pools_BMD.sum(dim=1) / count_B1.clamp(min=1)  # pools of absent columns are zero
    mask_BT = torch.cat([first.mask, *(stream.mask for stream in streams)], dim=1)
    values_BTD = torch.cat([first.values, *(stream.values for stream in streams)], dim=1)
    return Fused(
        tokens=torch.where(mask_BT.unsqueeze(2), values_BTD, 0),
        mask=mask_BT,
        pooled=torch.where(count_B1 > 0, pooled_BD, first.values.mean(dim=1)),
    )
