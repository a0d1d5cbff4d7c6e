"""Fusion by feature-wise linear modulation."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from omnifuse.core.values import Fused, Tokens
from omnifuse.model.fusion.config import FilmConfig
from omnifuse.model.fusion.fusion import Fusion
from omnifuse.model.layers.columns import ColumnModules


class Film(Fusion):
    """X_m ← γ_m(c) ⊙ X_m + β_m(c) for the tokens of every column m other than the condition, whose pool is c.

    γ_m(c) = 1 + G_m·c + g_m and β_m(c) = B_m·c + b_m start at 1 and 0, so the fusion starts as the identity. Handed on
    are the tokens [z, X_1, …, X_M], those of the condition as they came; z is the mean of the columns' pools.

    Source: FiLM (Perez et al. 2018, arXiv 1709.07871), where a question scales the maps of a convolutional network;
    here the condition scales the tokens that encoders made, once.
    Shapes: tokens (B, T_m, D) → (B, 1 + Σ T_m, D). Cost: 2·(M−1)·(D² + D) weights; 4·(M−1)·D² + 2·D·Σ T_m FLOP a row.
    Absent: without the condition the others pass unchanged; another column gives way to its learned token, which is
    modulated too, where it may be absent, and is left out where it may not. So a row without any column is answered
    from the learned tokens. A single column passes unchanged, for nothing is left to condition it.
    """

    def __init__(self, config: FilmConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D."""
        super().__init__()
        self.columns = list(columns)
        self.condition = (config.condition or self.columns[-1]) if len(columns) > 1 else None
        others = [name for name in columns if name != self.condition]
        self.modulation = ColumnModules({name: nn.Linear(dim, 2 * dim) for name in others if self.condition})
        for parameter in self.modulation.parameters():
            nn.init.zeros_(parameter)
        self.optional = [name for name in others if columns[name]]
        if self.optional:
            self.absent = nn.Parameter(torch.zeros(len(self.optional), dim))

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Modulate, and hand on."""
        parts = [self.modulated(name, tokens) for name in self.columns]
        mask_BT = torch.cat([part.mask for part in parts], dim=1)
        values_BTD = torch.where(mask_BT.unsqueeze(2), torch.cat([part.values for part in parts], dim=1), 0)
        there_BM = torch.stack([part.present for part in parts], dim=1)
        pools_BMD = torch.stack([part.pool() for part in parts], dim=1)
        pooled_BD = pools_BMD.sum(1) / there_BM.sum(1, keepdim=True).clamp(min=1)  # pools of absent columns are zero
        return Fused(
            tokens=torch.cat([pooled_BD.unsqueeze(1), values_BTD], dim=1),
            mask=torch.cat([torch.ones_like(mask_BT[:, :1]), mask_BT], dim=1),
            pooled=pooled_BD,
        )

    def modulated(self, name: str, tokens: Mapping[str, Tokens]) -> Tokens:
        """γ(c) ⊙ X + β(c); the condition itself as it came."""
        part = self.filled(name, tokens[name])
        if self.condition in (None, name):
            return part
        condition = tokens[self.condition]
        change_B1E = torch.where(condition.present.unsqueeze(1), self.modulation[name](condition.pool()), 0).unsqueeze(1)
        gamma_B1D, beta_B1D = change_B1E.chunk(2, dim=2)
        return Tokens((1 + gamma_B1D) * part.values + beta_B1D, part.mask)

    def filled(self, name: str, part: Tokens) -> Tokens:
        """The tokens, and in rows without any the learned one in the first place."""
        if name not in self.optional:
            return part
        absent_D = self.absent[self.optional.index(name)].to(part.values.dtype)
        first_T = torch.arange(part.mask.shape[1], device=part.mask.device) == 0
        fill_BT = ~part.present.unsqueeze(1) & first_T
        return Tokens(torch.where(fill_BT.unsqueeze(2), absent_D, part.values), part.mask | fill_BT)
