"""How much work an operation is: PyTorch's formulas, and those of attention on the CPU, which it leaves out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, flop_registry

_OPERATIONS = torch.ops.aten
_ON_CPU = {
    _OPERATIONS._scaled_dot_product_flash_attention_for_cpu: flop_registry[_OPERATIONS._scaled_dot_product_flash_attention],
    _OPERATIONS._scaled_dot_product_flash_attention_for_cpu_backward: flop_registry[
        _OPERATIONS._scaled_dot_product_flash_attention_backward
    ],
}
FORMULAS: Mapping[Any, Callable[..., int]] = {**_ON_CPU, **flop_registry}
"""By operation a function of its arguments and of `out_val`, what it gave: FLOP, two for each multiplication with its addition."""


def flop_counter() -> FlopCounterMode:
    """A context that counts the FLOP of products of matrices, convolutions and attention in it; `get_total_flops()` tells."""
    counter = FlopCounterMode(display=False)
    counter.flop_registry = {**FORMULAS, **counter.flop_registry}
    return counter
