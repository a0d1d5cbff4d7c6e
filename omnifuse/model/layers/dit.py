"""A transformer over patches that tells the velocity of a flow."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omnifuse.core.values import Fused
from omnifuse.model.layers.attention import Attention
from omnifuse.model.layers.position import Positions
from omnifuse.model.layers.velocity import Condition, Velocity

NARROW = 0.02  # deviation of weights that begin near zero
GAIN = 0.5


class DiT(Velocity):
    """Patches become tokens, blocks let them read each other and what is fused, told time and condition by c; tokens become patches.

    Places that the last patch of a side lacks are zeros, and cut off again. Positions are sines and cosines of the row and the column;
    without `ordered` there are none, so that it makes no difference in which order places stand.

    Source: DiT with adaLN-zero (Peebles & Xie 2022, arXiv 2212.09748). Differs in that gates begin near zero instead of at zero, so
    that every weight learns from the first step on, in that tokens read what is fused, and in normalised queries and keys.
    """

    def __init__(
        self, channels: int, width: int, depth: int, dim: int, heads: int, patch: int, flat: bool = False, ordered: bool = True
    ) -> None:
        """Args: channels: C; width: of the tokens, a multiple of heads; depth: blocks; dim: width D of what is fused; heads: of the
        attentions; patch: places along each side; flat: whether there is only one side; ordered: see above.
        """
        super().__init__()
        self.patch = (1 if flat else patch, patch)
        self.condition = Condition(dim, width)
        self.first = nn.Conv2d(channels, width, self.patch, self.patch)
        self.rows = None if flat or not ordered else Positions(width, GAIN)
        self.columns = Positions(width, GAIN) if ordered else None
        self.memory = nn.Sequential(nn.Linear(dim, width), nn.LayerNorm(width))
        self.blocks = nn.ModuleList(DiTBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.shift_scale = _narrow(nn.Linear(width, 2 * width))
        self.last = nn.Linear(width, channels * self.patch[0] * self.patch[1])

    def forward(self, x_BCHW: Tensor, t_B: Tensor, fused: Fused, known_B: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        height, width = x_BCHW.shape[2:]
        c_BE = self.condition(t_B, fused.pooled, known_B)
        patches_BERS = self.first(F.pad(x_BCHW, (0, -width % self.patch[1], 0, -height % self.patch[0])))
        sides = patches_BERS.shape[2:]
        x_BNE = self._placed(patches_BERS).flatten(1, 2)
        memory_BME, mask_BM = self.memory(fused.tokens), fused.mask & known_B[:, None]
        for block in self.blocks:
            x_BNE = block(x_BNE, c_BE, memory_BME, mask_BM)
        shift_B1E, scale_B1E = self.shift_scale(c_BE).unsqueeze(1).chunk(2, dim=-1)
        made_BNQ = self.last(_modulated(self.norm(x_BNE), shift_B1E, scale_B1E))
        return self._whole(made_BNQ, sides)[..., :height, :width]

    def _placed(self, patches_BERS: Tensor) -> Tensor:
        """(B, R, S, E) with the positions added."""
        x_BRSE = patches_BERS.movedim(1, -1)
        if self.columns is not None:
            x_BRSE = self.columns(x_BRSE.flatten(0, 1)).view_as(x_BRSE)
        if self.rows is not None:
            turned_BSRE = x_BRSE.transpose(1, 2)
            x_BRSE = self.rows(turned_BSRE.flatten(0, 1)).view(turned_BSRE.shape).transpose(1, 2)
        return x_BRSE

    def _whole(self, made_BNQ: Tensor, sides: torch.Size) -> Tensor:
        """(B, N, C·p·q) → (B, C, R·p, S·q)."""
        made_BRSCPQ = made_BNQ.unflatten(2, (-1, *self.patch)).unflatten(1, sides)
        return made_BRSCPQ.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


class DiTBlock(nn.Module):
    """x ← x + g₁ ⊙ Attention(n₁), then x ← x + g₂ ⊙ Attention(n₂, memory), then x ← x + g₃ ⊙ W₂·GELU(W₁·n₃).

    n_i = norm(x) ⊙ (1 + γ_i) + β_i; all of g, γ and β are linear in c.
    """

    def __init__(self, width: int, heads: int, expansion: int = 4) -> None:
        """Args: width: E, a multiple of heads; heads: of the attentions; expansion: width of the hidden layer as a multiple of E."""
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = _narrow(nn.Linear(width, 9 * width))
        self.attention, self.cross = Attention(width, heads), Attention(width, heads, null=True)
        self.mlp = nn.Sequential(nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width))

    def forward(self, x_BNE: Tensor, c_BE: Tensor, memory_BME: Tensor, mask_BM: Tensor) -> Tensor:
        """(B, N, E), c (B, E), memory (B, M, E) → (B, N, E); of the memory, tokens with a false mask are not read."""
        here_BN = torch.ones(x_BNE.shape[:2], dtype=torch.bool, device=x_BNE.device)
        parts = self.modulation(c_BE).unsqueeze(1).chunk(9, dim=-1)
        n_BNE = _modulated(self.norm(x_BNE), *parts[:2])
        x_BNE = x_BNE + parts[2] * self.attention(n_BNE, n_BNE, here_BN)
        n_BNE = _modulated(self.norm(x_BNE), *parts[3:5])
        x_BNE = x_BNE + parts[5] * self.cross(n_BNE, memory_BME, mask_BM)
        return x_BNE + parts[8] * self.mlp(_modulated(self.norm(x_BNE), *parts[6:8]))


def _modulated(x_BNE: Tensor, shift_B1E: Tensor, scale_B1E: Tensor) -> Tensor:
    return torch.addcmul(shift_B1E, x_BNE, 1 + scale_B1E)


def _narrow(layer: nn.Linear) -> nn.Linear:
    nn.init.normal_(layer.weight, std=NARROW)
    nn.init.zeros_(layer.bias)
    return layer
