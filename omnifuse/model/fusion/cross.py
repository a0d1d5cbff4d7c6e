"""Fusion by cross layers."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from omnifuse.model.fusion.config import CrossConfig
from omnifuse.model.fusion.fusion import PooledFusion


class Cross(PooledFusion):
    """z = W·x_L + b, x_{l+1} = x_0 ⊙ (W_l·x_l + b_l) + x_l, x_0 = [z_1; …; z_M].

    Every layer multiplies by x_0 once more, so L layers hold products of up to L + 1 components, within columns and
    between them. With `rank` R, W_l = U_l·V_l.

    Source: DCN-v2 (Wang et al. 2021, arXiv 2008.13535), the cross network alone, with a linear map to D behind it.
    It is not normalised, neither there nor here: encoders start with columns of mean square 1 or less, which
    layers then change little.
    Shapes: N = M·D, (B, M, D) → (B, D). Cost: L·(N² + N) + N·D + D weights, with rank L·(2·N·R + N) + N·D + D; about
    2 FLOP each. Absent: zeros, which no layer changes, so exactly the products without column m are left.
    """

    def __init__(self, config: CrossConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D."""
        super().__init__(columns, dim)
        width = len(columns) * dim
        self.layers = nn.ModuleList(_layer(width, config.rank) for _ in range(config.layers))
        self.out = nn.Linear(width, dim)

    def combine(self, z_BMD: Tensor, present_BM: Tensor) -> Tensor:
        """Cross, then project."""
        x0_BN = x_BN = z_BMD.flatten(1)
        for layer in self.layers:
            x_BN = x0_BN * layer(x_BN) + x_BN
        return self.out(x_BN)


def _layer(width: int, rank: int | None) -> nn.Module:
    if rank is None:
        return nn.Linear(width, width)
    return nn.Sequential(nn.Linear(width, rank, bias=False), nn.Linear(rank, width))
