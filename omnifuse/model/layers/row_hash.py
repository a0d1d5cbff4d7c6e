"""Which rows of a column hold the same value, told by a number each, on every rank alike."""

from __future__ import annotations

import torch
from torch import Tensor

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Features, Values

# The constants of SplitMix64 (Steele et al. 2014), as signed numbers.
STEP, FIRST, SECOND = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15


def row_hash(values: Values, spec: ValueSpec) -> Tensor:
    """(B,) int64, equal for equal values, however far they are padded, and for different ones equal with a chance of about 2⁻³².

    h = Σ_j a_j·x_j mod 2⁶⁴ over the bits x_j of the numbers that are there, with pseudo-random odd a_j; sums of integers do
    not depend on their order. Source: multilinear hashing (Carter & Wegman 1979). Absent: 0.
    """
    data = values.data
    if values.mask is not None:  # what varies in length comes first, so that places do not depend on it
        if not isinstance(values, Features):
            data = data.movedim(1 + spec.shape.index(None), 1)
        data = torch.where(values.mask.reshape(*values.mask.shape, *[1] * (data.ndim - 2)), data, 0)
    bits_BJ = (data.float().view(torch.int32) if data.is_floating_point() else data).reshape(len(data), -1).long()
    return torch.where(values.present, (bits_BJ * _odd_numbers(bits_BJ.shape[1], data.device)).sum(1), 0)


def _odd_numbers(count: int, device: torch.device) -> Tensor:
    """(J,) the same pseudo-random numbers everywhere, by SplitMix64."""
    x = torch.arange(1, count + 1, device=device) * STEP
    x = (x ^ (x >> 30)) * FIRST
    x = (x ^ (x >> 27)) * SECOND
    return (x ^ (x >> 31)) | 1
