"""Tensors that have a shape and take no memory, for running a model that does not fit anywhere.

PyTorch's fake tensors know everything about a tensor but its values. Some parts of a model decide by values: is any
picture of the batch absent, which positions are padding? What follows from real masks, ids and constants alone is small,
so it is really computed beside the fake tensors, and such decisions come out as they would in training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    UnsupportedOperatorException,
    unset_fake_temporarily,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.values import Values

aten = torch.ops.aten
MOST_KNOWN = 1 << 20  # values of a tensor that are computed; larger ones are only shapes
# What is raised where something depends on values that are not known.
UNKNOWN = (DataDependentOutputException, DynamicOutputShapeException, UnsupportedOperatorException)
_UNSET = (
    aten.empty.memory_format,
    aten.empty_strided.default,
    aten.new_empty.default,
    aten.new_empty_strided.default,
    aten.empty_like.default,
)


@contextmanager
def fake_tensors() -> Iterator[FakeTensorMode]:
    """Within it, every new tensor is fake.

    Raises:
        OmnifuseError: a part decides by values that follow from its weights, which nobody knows.
    """
    try:
        with FakeTensorMode(allow_non_fake_inputs=True) as mode, KnownValues(mode), _converting():
            yield mode
    except UNKNOWN as error:
        raise OmnifuseError(f"model: a part decides by values ({error.func}), so it cannot be planned without its weights") from None


def fake_batch(mode: FakeTensorMode, batch: Mapping[str, Values]) -> dict[str, Any]:
    """A batch of the same shapes; masks and ids keep their values beside them."""

    def fake(value: Tensor | None) -> Tensor | None:
        if value is None:
            return None
        if value.untyped_storage().nbytes() > value.nbytes:  # rows of a larger batch
            with unset_fake_temporarily():
                value = value.clone()
        made = mode.from_tensor(value, static_shapes=True)
        if not value.is_floating_point() and value.numel() <= MOST_KNOWN:
            with unset_fake_temporarily():
                made._known = value.clone()  # type: ignore[attr-defined]
        return made

    return {name: type(values)(fake(values.data), fake(values.present), fake(values.mask)) for name, values in batch.items()}  # type: ignore[arg-type]


@contextmanager
def _converting() -> Iterator[None]:
    """`module.to(…)` puts new weights in the place of old ones.

    PyTorch swaps fake weights, which it refuses where anything refers to them weakly, as its own fake mode does.
    """
    original = nn.Module._apply
    converted: dict[int, tuple[Tensor, nn.Parameter]] = {}  # tied weights stay tied

    def apply(module: nn.Module, fn: Any, recurse: bool = True) -> nn.Module:
        if recurse:
            for child in module.children():
                apply(child, fn)
        for name, weight in module._parameters.items():
            if weight is not None:
                with torch.no_grad():
                    made = fn(weight)
                if made is not weight and id(weight) not in converted:
                    converted[id(weight)] = (weight, nn.Parameter(made, weight.requires_grad))
                if made is not weight:
                    module._parameters[name] = converted[id(weight)][1]
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = fn(buffer)
        return module

    nn.Module._apply = apply  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module._apply = original  # type: ignore[method-assign]


class KnownValues(TorchDispatchMode):
    """Computes, beside the fake tensors, what follows from known values alone."""

    def __init__(self, mode: FakeTensorMode) -> None:
        """Args: mode: that the fake tensors belong to."""
        super().__init__()
        self.mode = mode

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if any(not issubclass(kind, FakeTensor) and kind is not Tensor and kind is not nn.Parameter for kind in types):
            return NotImplemented  # sharded tensors first become their local parts
        known = self._compute(func, args, kwargs)
        if func is aten._local_scalar_dense.default and known is not None:
            return known[0]
        if torch.Tag.dynamic_output_shape in func.tags:
            if known is not None:
                return tree_map_only(Tensor, self._adopt, known[0])
            args = self._by_position(func, args)
            if func is aten.masked_select.default:
                func, args = aten.index.Tensor, self._by_position(aten.index.Tensor, (args[0], [args[1]]))
        out = func(*args, **kwargs)
        self._remember(func, args, out, known)
        return out

    def _compute(self, func: Any, args: Any, kwargs: Any) -> list[Any] | None:
        """The real result, in a list; `None` where something that enters is not known, or it is random or large."""
        if torch.Tag.nondeterministic_seeded in func.tags or func in _UNSET or func.namespace != "aten":
            return None
        tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
        if any(_known(x) is None for x in tensors) or (not tensors and _elements(args) > MOST_KNOWN):
            return None
        with unset_fake_temporarily():
            real_args, real_kwargs = tree_map_only(Tensor, _known, (args, kwargs))
            if "device" in real_kwargs:
                real_kwargs = {**real_kwargs, "device": torch.device("cpu")}
            return [func(*real_args, **real_kwargs)]

    def _remember(self, func: Any, args: Any, out: Any, known: list[Any] | None) -> None:
        if known is not None:
            for made, real in zip(tree_flatten(out)[0], tree_flatten(known[0])[0], strict=True):
                if isinstance(made, Tensor) and real.numel() <= MOST_KNOWN:
                    made._known = real  # type: ignore[attr-defined]
        elif func._schema.is_mutable:
            for argument, value in zip(func._schema.arguments, args, strict=False):
                if argument.alias_info is not None and argument.alias_info.is_write:
                    for changed in tree_flatten(value)[0]:
                        if isinstance(changed, Tensor):
                            changed._known = None  # type: ignore[attr-defined]

    def _adopt(self, real: Tensor) -> Tensor:
        with self.mode:
            made = torch.empty_strided(real.shape, real.stride(), dtype=real.dtype)
        made._known = real  # type: ignore[attr-defined]
        return made

    def _by_position(self, func: Any, args: Any) -> Any:
        """`x[mask]` with a known mask as `x[positions]`, whose shape is known."""
        if func is not aten.index.Tensor:
            return args
        positions: list[Any] = []
        for index in args[1]:
            if isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) and _known(index) is not None:
                with unset_fake_temporarily():
                    found = _known(index).nonzero().unbind(1)  # type: ignore[union-attr]
                positions += [self._adopt(each.contiguous()) for each in found]
            else:
                positions.append(index)
        return (args[0], positions)


def _known(value: Tensor) -> Tensor | None:
    return getattr(value, "_known", None) if isinstance(value, FakeTensor) else value.detach() if value.numel() <= MOST_KNOWN else None


def _elements(args: Any) -> int:
    """At most how many elements a tensor has that is made from sizes alone."""
    total = 1
    for value in tree_flatten(args)[0]:
        if isinstance(value, int) and not isinstance(value, bool):
            total *= max(1, abs(value))
    return total
