"""Residual convolutions over time, for sensor series."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import Conv1dConfig
from omnifuse.model.encoders.encoder import Encoder
from omnifuse.model.layers.norm import ChannelNorm
from omnifuse.model.layers.position import Positions


class Conv1d(Encoder):
    """Series (B, T, C) → tokens (B, ⌈T / 2^halvings⌉, D), one after another in time.

    A convolution over `kernel` steps, then for each halving a residual block of stride 2, a linear layer to D, and
    positions. A token sees (kernel − 1)·(2^(halvings+1) + 2^halvings − 2) + 1 steps, 89 with the defaults.

    Source: residual networks for time series, Wang et al. 2017, arXiv 1611.06455; here with strides, norms before
    the convolutions (He et al. 2016, arXiv 1603.05027) and over the channels of each step, since lengths differ.
    Cost: about 4·kernel·width²·T FLOP a series.
    Absent: masked tokens. Padding is never seen: every layer reads zeros behind the last step that is there.
    """

    def __init__(self, config: Conv1dConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: shape (None, C) of the series; dim: width D of the tokens."""
        super().__init__()
        channels = spec.shape[-1]
        assert channels, "series have a number of channels"
        self.first = nn.Conv1d(channels, config.width, config.kernel, padding=config.kernel // 2)
        self.blocks = nn.ModuleList(ResidualBlock(config.width, config.kernel, config.dropout) for _ in range(config.halvings))
        self.norm = ChannelNorm(config.width)
        self.last = nn.Linear(config.width, dim)
        self.positions = Positions(dim)

    def encode(self, values: Values) -> Tokens:
        """Steps → one token for each 2^halvings of them."""
        assert values.mask is not None, "series have a mask"
        mask_BT = values.mask
        x_BDT = self.first(torch.where(mask_BT.unsqueeze(-1), values.data, 0).transpose(1, 2))
        for block in self.blocks:
            x_BDT = block(x_BDT, mask_BT)
            mask_BT = mask_BT[:, ::2]
        tokens_BTD = self.last(self.norm(x_BDT).relu().transpose(1, 2))
        return Tokens(self.positions(tokens_BTD), mask_BT)


class ResidualBlock(nn.Module):
    """x ← x at every second step + conv(ReLU(norm(conv of stride 2(ReLU(norm(x))))))."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        """Args: width: channels; kernel: in steps; dropout: between the two convolutions."""
        super().__init__()
        self.first_norm, self.second_norm = ChannelNorm(width), ChannelNorm(width)
        self.first = nn.Conv1d(width, width, kernel, 2, kernel // 2)
        self.second = nn.Conv1d(width, width, kernel, 1, kernel // 2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BDT: Tensor, mask_BT: Tensor) -> Tensor:
        """(B, D, T) and which steps are there → (B, D, ⌈T/2⌉); what lies behind the last step is never read."""
        mask_B1T = mask_BT[:, None]
        h_BDT = self.first(torch.where(mask_B1T, self.first_norm(x_BDT).relu(), 0))
        h_BDT = self.dropout(self.second_norm(h_BDT).relu())
        h_BDT = self.second(torch.where(mask_B1T[..., ::2], h_BDT, 0))
        return x_BDT[..., ::2] + h_BDT
