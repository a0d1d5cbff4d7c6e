"""What the ranks of a distributed training tell each other inside a model."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function


class _Gather(Function):
    """All ranks' rows forward; backward, each rank's rows get the sum of what all ranks found for them."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.rows = len(rows)
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].contiguous()
        dist.all_reduce(gradient)
        start = dist.get_rank() * ctx.rows
        return gradient[start : start + ctx.rows]


def gather_rows(rows: Tensor) -> Tensor:
    """(B, …) of each rank → (R·B, …), the rows of all R ranks in their order; with one rank, the rows themselves.

    Every rank has to call it, with as many rows. The gradient flows back to the rank that a row came from, summed over the
    ranks that used it, so losses that are summed over ranks have the gradient they would have on one.
    """
    if not is_distributed():
        return rows
    return _Gather.apply(rows)  # pyright: ignore[reportReturnType]


def rank() -> int:
    """Number of this rank; row b of its B rows is row rank·B + b of all."""
    return dist.get_rank() if is_distributed() else 0


def is_distributed() -> bool:
    """Whether there are several ranks."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
