"""What the tests of single fusions share: columns with one token a row, and fusions built from their options."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from omnifuse.core.values import Fused, Tokens
from omnifuse.model import FUSIONS

ROWS = 5


def vectors(columns: int, dim: int, seed: int = 0) -> list[Tensor]:
    """z_1 … z_M, each (B, D), in float64."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(ROWS, dim, generator=generator, dtype=torch.float64) for _ in range(columns)]


def tokens(z_BD: Tensor, present: bool | list[bool] = True) -> Tokens:
    """One token a row."""
    mask_B1 = torch.tensor([present] * len(z_BD) if isinstance(present, bool) else present).unsqueeze(1)
    return Tokens(z_BD.unsqueeze(1) * mask_B1.unsqueeze(-1), mask_B1)


def fusion(name: str, columns: int, dim: int, optional: bool | list[bool] = False, **options: Any) -> Any:
    """A fusion of the columns c0, c1 … in float64."""
    torch.manual_seed(0)
    may_be_absent = [optional] * columns if isinstance(optional, bool) else optional
    return FUSIONS.build(FUSIONS.parse({"name": name, **options}), {f"c{m}": may for m, may in enumerate(may_be_absent)}, dim).double()


def fuse(part: Any, z: list[Tensor], absent: set[int] | None = None) -> Fused:
    """Fuse z_1 … z_M, of which those in `absent` are absent in every row."""
    with torch.no_grad():
        return part({f"c{m}": tokens(z_BD, m not in (absent or set())) for m, z_BD in enumerate(z)})


def randomise(part: torch.nn.Module) -> None:
    """Other weights than those a fusion starts with, so that zeros and ones hide nothing."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.copy_(torch.randn_like(parameter) / 2)
