"""Norms of convolutional networks: over the batch, leaving absent rows out and agreeing between ranks; and over channels."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as collective
import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm2d):
    """y = γ·(x − μ)/√(σ² + ε) + β, with μ and σ² over the rows that are present, of all ranks together.

    So a run on several ranks computes what one rank would, and a missing picture does not shift the others. After
    training, running averages take the place of the batch's own, and rows no longer depend on each other.

    Source: Ioffe & Szegedy 2015, arXiv 1502.03167; the mask and the reduction over ranks are ours
    (`nn.SyncBatchNorm` runs on GPUs only and knows no mask).
    """

    def forward(self, x_BDHW: Tensor, present_B: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Normalise (B, D, H, W); rows where `present_B` is false do not count towards the statistics."""
        if not self.training:
            return F.batch_norm(x_BDHW, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        if not several and bool(present_B.all()):
            return super().forward(x_BDHW)
        mean_D, variance_D, count = self._statistics(x_BDHW.float(), present_B, several)
        self._remember(mean_D.detach(), variance_D.detach(), count)
        scale_D = self.weight * torch.rsqrt(variance_D + self.eps)
        shift_D = self.bias - mean_D * scale_D
        return (x_BDHW * scale_D[:, None, None] + shift_D[:, None, None]).to(x_BDHW.dtype)

    def _statistics(self, x_BDHW: Tensor, present_B: Tensor, several: bool) -> tuple[Tensor, Tensor, Tensor]:
        weight_B111 = present_B.to(x_BDHW.dtype)[:, None, None, None]
        height, width = x_BDHW.shape[2:]
        count_1 = (present_B.sum() * height * width).to(x_BDHW.dtype).reshape(1)
        sums = torch.cat([(x_BDHW * weight_B111).sum((0, 2, 3)), (x_BDHW.square() * weight_B111).sum((0, 2, 3)), count_1])
        if several:
            sums = collective.all_reduce(sums)
        count = sums[-1].clamp(min=1)
        mean_D, square_D = (sums[:-1] / count).chunk(2)
        return mean_D, (square_D - mean_D.square()).clamp(min=0), sums[-1]

    @torch.no_grad()
    def _remember(self, mean_D: Tensor, variance_D: Tensor, count: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        share = self.momentum * (count > 0)  # a batch without any picture leaves the averages alone
        self.running_mean.lerp_(mean_D, share)
        self.running_var.lerp_(variance_D * count / (count - 1).clamp(min=1), share)


class ChannelNorm(nn.LayerNorm):
    """y = γ·(x − μ)/√(σ² + ε) + β, with μ and σ² over the channels of each position alone.

    What is padded or absent, other rows and other ranks do not enter, so it needs no mask and is the same in training
    and after. Source: Ba et al. 2016, arXiv 1607.06450; in convolutional networks, Liu et al. 2022, arXiv 2201.03545.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(B, D, …) → (B, D, …)."""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)
