"""A U-Net: convolutions that halve and double again, over pictures, spectrograms and series."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omnifuse.core.values import Fused
from omnifuse.model.layers.transformer import CrossBlock
from omnifuse.model.layers.velocity import Condition, Velocity

GROUPS = 8


class UNet(Velocity):
    """Residual blocks that halve the places and double the channels, then the other way, each level with what it was on the way down.

    Every block is told time and condition by c (see `Condition`); at the lowest level each place reads the fused tokens. Sizes need not
    be even: what is doubled takes the size it had on the way down. A series is convolved along its one side. With a `patch` of p the
    p × p places of a patch are channels of one place, from the first layer to the last: p² times fewer places.

    Source: Ronneberger et al. 2015, arXiv 1505.04597; as a network of a flow, Ho et al. 2020, arXiv 2006.11239, smaller: one block
    a level, no attention between places.
    Cost: for 28×28 pictures of one colour, width 32 and two halvings, 0.9 M weights and 0.24 GFLOP a picture; with a patch of 2, width 64
    and one halving 0.9 M and 0.13 GFLOP.
    """

    def __init__(self, channels: int, width: int, depth: int, dim: int, heads: int, flat: bool = False, patch: int = 1) -> None:
        """Args: channels: C; width: channels at full size; depth: halvings; dim: width D of what is fused; heads: of the
        attention, as far as they divide the channels; flat: whether there is only one side to convolve along; patch: places along
        each side that are taken as one.
        """
        super().__init__()
        self.patch = (1 if flat else patch, patch)
        channels *= self.patch[0] * self.patch[1]
        widths = [width * 2**level for level in range(depth + 1)]
        inner = 4 * width
        self.kernel, self.stride = ((1, 3), (1, 2)) if flat else ((3, 3), (2, 2))
        self.condition = Condition(dim, inner)
        self.first = self._convolution(channels, width)
        self.down = nn.ModuleList(self._block(now, now, inner) for now in widths[:-1])
        self.halve = nn.ModuleList(self._convolution(now, 2 * now, self.stride) for now in widths[:-1])
        self.middle = self._block(widths[-1], widths[-1], inner)
        self.memory = nn.Linear(dim, widths[-1])
        self.cross = CrossBlock(widths[-1], math.gcd(heads, widths[-1]), expansion=1)
        self.up = nn.ModuleList(self._block(3 * now, now, inner) for now in reversed(widths[:-1]))
        self.last = self._convolution(width, channels)
        self.to(memory_format=torch.channels_last)

    def forward(self, x_BCHW: Tensor, t_B: Tensor, fused: Fused, known_B: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        c_BE, (height, width) = self.condition(t_B, fused.pooled, known_B), x_BCHW.shape[2:]
        x = self.first(folded(x_BCHW, self.patch).contiguous(memory_format=torch.channels_last))
        kept = []
        for block, halve in zip(self.down, self.halve, strict=True):
            x = block(x, c_BE)
            kept.append(x)
            x = halve(x)
        x = self._read(self.middle(x, c_BE), fused, known_B)
        for block in self.up:
            same = kept.pop()
            x = block(torch.cat([F.interpolate(x, same.shape[2:]), same], dim=1), c_BE)
        return unfolded(self.last(x), self.patch)[..., :height, :width]

    def _read(self, x_BDHW: Tensor, fused: Fused, known_B: Tensor) -> Tensor:
        places_BND = x_BDHW.flatten(2).transpose(1, 2)
        read_BND = self.cross(places_BND, self.memory(fused.tokens), fused.mask & known_B[:, None])
        return read_BND.transpose(1, 2).unflatten(2, x_BDHW.shape[2:])

    def _convolution(self, inputs: int, outputs: int, stride: tuple[int, int] = (1, 1)) -> nn.Conv2d:
        padding = (self.kernel[0] // 2, self.kernel[1] // 2)
        return nn.Conv2d(inputs, outputs, self.kernel, stride, padding)

    def _block(self, inputs: int, outputs: int, inner: int) -> ResidualBlock:
        return ResidualBlock(self._convolution(inputs, outputs), self._convolution(outputs, outputs), inner)


def folded(x_BCHW: Tensor, patch: tuple[int, int]) -> Tensor:
    """(B, C, H, W) → (B, C·p·q, ⌈H/p⌉, ⌈W/q⌉): the places of a patch become channels; what the last patch lacks is zeros."""
    if patch == (1, 1):
        return x_BCHW
    height, width = x_BCHW.shape[2:]
    x_BCHW = F.pad(x_BCHW, (0, -width % patch[1], 0, -height % patch[0]))
    x_BCRPSQ = x_BCHW.unflatten(3, (-1, patch[1])).unflatten(2, (-1, patch[0]))
    return x_BCRPSQ.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def unfolded(x_BCHW: Tensor, patch: tuple[int, int]) -> Tensor:
    """The inverse of `folded`, with what was added behind."""
    if patch == (1, 1):
        return x_BCHW
    x_BCPQRS = x_BCHW.unflatten(1, (-1, *patch))
    return x_BCPQRS.permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)


class ResidualBlock(nn.Module):
    """h = norm(conv(SiLU(norm(x)))) ⊙ (1 + γ(c)) + β(c); x ← S·x + conv(SiLU(h)), S the identity where channels agree.

    Source: group norm, Wu & He 2018, arXiv 1803.08494; γ and β, FiLM (Perez et al. 2018, arXiv 1709.07871).
    """

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d, inner: int) -> None:
        """Args: first, second: convolutions; inner: width E of c."""
        super().__init__()
        inputs, outputs = first.in_channels, first.out_channels
        self.first_norm, self.second_norm = (nn.GroupNorm(math.gcd(GROUPS, count), count) for count in (inputs, outputs))
        self.first, self.second = first, second
        self.film = nn.Linear(inner, 2 * outputs)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x_BCHW: Tensor, c_BE: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', H, W)."""
        scale_BC11, shift_BC11 = self.film(c_BE)[:, :, None, None].chunk(2, dim=1)
        h_BCHW = self.second_norm(self.first(F.silu(self.first_norm(x_BCHW))))
        h_BCHW = torch.addcmul(shift_BC11, h_BCHW, 1 + scale_BC11)
        return self.skip(x_BCHW) + self.second(F.silu(h_BCHW))
