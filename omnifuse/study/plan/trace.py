"""Which part of a model takes how much memory and work: one step is followed operation by operation."""

from __future__ import annotations

import weakref
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from types import FunctionType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from omnifuse.study.plan.flop import FORMULAS
from omnifuse.study.plan.parts import OUTSIDE


class Label(NamedTuple):
    """What a piece of memory is: `weights`, `gradients`, `optimizer`, `batch`, `activations` or `backward`; and whose."""

    kind: str
    part: str


@dataclass
class Peak:
    """The moment at which most memory was held.

    Attributes:
        bytes: in all.
        held: by what.
        during: in which part of the model it was, and whether forward or backward.
    """

    bytes: int = 0
    held: dict[Label, int] = field(default_factory=dict)
    during: str = ""

    def of(self, kind: str) -> int:
        """Bytes of one kind."""
        return sum(size for label, size in self.held.items() if label.kind == kind)


class Trace(TorchDispatchMode):
    """Follows storages from allocation to release, and counts FLOP, each for the part that is at work.

    In the backward pass the part is the one whose forward pass made the node of the graph: nodes are numbered in the
    order they are made. FLOP are those of matrix products, convolutions and attention, two for each multiplication with
    its addition, as `flop.py` counts them.
    """

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        """Args: parts: modules by name; what belongs to several belongs to the first."""
        super().__init__()
        self.parts = dict(parts)
        self.peak = Peak()
        self.forward_flops: Counter[str] = Counter()
        self.backward_flops: Counter[str] = Counter()
        self._live: dict[int, tuple[int, Label, weakref.ref[Any]]] = {}
        self._held: Counter[Label] = Counter()
        self._total = 0
        self._stack: list[str] = []
        self._firsts: list[int] = []  # numbers of the nodes from which on …
        self._owners: list[str] = []  # … this part makes them
        self._undo: list[Callable[[], Any]] = []

    def hold(self, tensors: Any, kind: str, part: str = OUTSIDE) -> None:
        """Count tensors that are already there."""
        for tensor in tree_flatten(tensors)[0]:
            if isinstance(tensor, Tensor):
                self._note(tensor.to_local() if isinstance(tensor, DTensor) else tensor, Label(kind, part), anew=True)

    def hold_model(self, model: nn.Module) -> None:
        """Count weights and buffers, each for the first part that has it."""
        self.hold([*model.parameters(), *model.buffers()], "weights")
        for name, module in reversed(self.parts.items()):
            self.hold([*module.parameters(), *module.buffers()], "weights", name)

    def hold_states(self, optimizer: torch.optim.Optimizer) -> None:
        """Count what an optimizer keeps of each weight."""
        for name, module in reversed(self.parts.items()):
            self.hold([list(optimizer.state.get(parameter, {}).values()) for parameter in module.parameters()], "optimizer", name)

    def __enter__(self) -> Trace:
        seen: set[int] = set()
        for name, module in self.parts.items():
            for method in _methods(module):
                self._wrap(module, method, name)
            for parameter in module.parameters():
                if parameter.requires_grad and id(parameter) not in seen:
                    seen.add(id(parameter))
                    handle = parameter.register_post_accumulate_grad_hook(lambda p, name=name: self._graded(p, name))
                    self._undo.append(handle.remove)
        self._follow_resizing()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        while self._undo:
            self._undo.pop()()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # it becomes operations on the local part
        out = func(*args, **(kwargs or {}))
        part, backward = self._at_work()
        count = FORMULAS.get(func.overloadpacket)
        if count is not None:
            (self.backward_flops if backward else self.forward_flops)[part] += count(*args, **(kwargs or {}), out_val=out)
        label = Label("backward" if backward else "activations", part)
        for tensor in tree_flatten(out)[0]:
            if isinstance(tensor, Tensor):
                self._note(tensor, label)
        return out

    def _at_work(self) -> tuple[str, bool]:
        """The part, and whether it goes backward."""
        node = torch._C._current_autograd_node()
        if node is None:
            return (self._stack[-1] if self._stack else OUTSIDE), False
        place = bisect_right(self._firsts, node._sequence_nr()) - 1
        return (self._owners[place] if place >= 0 else OUTSIDE), True

    def _note(self, tensor: Tensor, label: Label, anew: bool = False) -> None:
        try:
            storage = tensor.untyped_storage()
        except NotImplementedError:  # a tensor without storage, such as a sparse one
            return
        if storage._cdata not in self._live:
            self._found(storage, label)
        elif anew:
            self._change(storage._cdata, self._live[storage._cdata][0], label)

    def _found(self, storage: torch.UntypedStorage, label: Label) -> None:
        key = storage._cdata
        self._live[key] = (0, label, weakref.ref(storage, lambda _: self._change(key, 0, None)))
        self._change(key, storage.nbytes(), label)

    def _change(self, key: int, size: int, label: Label | None) -> None:
        """A storage has another size or label; without a label it is gone."""
        before, old, reference = self._live[key]
        self._held[old] -= before
        self._total += size - before
        if label is None:
            del self._live[key]
            return
        self._live[key] = (size, label, reference)
        self._held[label] += size
        if self._total > self.peak.bytes:
            part, backward = self._at_work()
            held = {each: bytes_ for each, bytes_ in self._held.items() if bytes_}
            where = f"the {'backward' if backward else 'forward'} pass of {part}"
            self.peak = Peak(self._total, held, "the work between the parts, such as the optimizer's" if part == OUTSIDE else where)

    def _graded(self, parameter: Tensor, part: str) -> None:
        if parameter.grad is not None:
            self.hold(parameter.grad, "gradients", part)

    def _wrap(self, module: nn.Module, method: str, name: str) -> None:
        original = getattr(module, method)
        own = method in vars(module)

        @wraps(original)
        def entered(*args: Any, **kwargs: Any) -> Any:
            with self._inside(name):
                return original(*args, **kwargs)

        vars(module)[method] = entered
        self._undo.append((lambda: vars(module).__setitem__(method, original)) if own else (lambda: vars(module).pop(method)))

    @contextmanager
    def _inside(self, name: str) -> Iterator[None]:
        self._stack.append(name)
        self._begin(name)
        try:
            yield
        finally:
            self._stack.pop()
            self._begin(self._stack[-1] if self._stack else OUTSIDE)

    def _begin(self, name: str) -> None:
        self._firsts.append(torch._C._autograd._get_sequence_nr())  # pyright: ignore[reportAttributeAccessIssue]
        self._owners.append(name)

    def _follow_resizing(self) -> None:
        """Sharding frees and fills storages in place."""
        original = torch.UntypedStorage.resize_

        def resize_(storage: torch.UntypedStorage, size: int) -> Any:
            result = original(storage, size)
            if storage._cdata in self._live:
                self._change(storage._cdata, size, self._live[storage._cdata][1])
            elif size:
                part, backward = self._at_work()
                self._found(storage, Label("backward" if backward else "activations", part))
            return result

        torch.UntypedStorage.resize_ = resize_  # type: ignore[method-assign]
        self._undo.append(lambda: setattr(torch.UntypedStorage, "resize_", original))


def _methods(module: nn.Module) -> list[str]:
    """What a part can be asked for: `forward`, and the public methods that not every module has."""
    own = [kind for kind in type(module).__mro__ if kind not in nn.Module.__mro__ and not issubclass(kind, FSDPModule)]
    found = {name for kind in own for name, value in vars(kind).items() if isinstance(value, FunctionType) and not name.startswith("_")}
    return sorted(found - set(dir(nn.Module)) | {"forward"})
