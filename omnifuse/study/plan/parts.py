"""The parts of a model, by the names a plan gives them, and their weights."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from omnifuse.model.layers.columns import ColumnModules
from omnifuse.model.multimodal import MultimodalModel

OUTSIDE = "outside the parts"
_KINDS = {"encoders": "encoder of", "heads": "head of"}


def parts_of(model: MultimodalModel) -> dict[str, nn.Module]:
    """`encoder of COLUMN`, `fusion`, `head of TARGET`, and whatever else the model holds, in the order they work."""
    parts: dict[str, nn.Module] = {}
    for name, module in model.named_children():
        if isinstance(module, ColumnModules):
            parts |= {f"{_KINDS.get(name, name)} {column}": module[column] for column in module}
        else:
            parts[name] = module
    return parts


def weights_of(model: MultimodalModel) -> dict[str, tuple[int, int]]:
    """How many weights each part has, and how many of them are trained; what parts share counts for the first.

    Weights that belong to no part are `outside the parts`.
    """
    seen: set[int] = set()
    result = {}
    for name, module in [*parts_of(model).items(), (OUTSIDE, model)]:
        own = [p for p in module.parameters() if id(p) not in seen]
        seen |= {id(p) for p in own}
        if own or name != OUTSIDE:
            result[name] = (sum(p.numel() for p in own), sum(p.numel() for p in own if p.requires_grad))
    return result


def blocks_of(model: nn.Module) -> Iterator[nn.Module]:
    """Modules that are repeated in a list, such as the blocks of a transformer: what sharding gathers one at a time."""
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) > 1 and len({type(each) for each in module}) == 1:
            yield from module
