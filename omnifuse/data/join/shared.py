"""One object that many tasks of a data frame use: in this process by reference, on Ray stored once and fetched by each worker."""

from __future__ import annotations

import sys
from itertools import count
from typing import Any
from weakref import WeakValueDictionary


class Shared:
    """Holds a value; copies of this holder, made when a plan is sent to workers, carry a reference instead of the value."""

    def __init__(self, value: Any):
        """Take the value."""
        self.value = value
        self._number, self._stored = next(_numbers), None
        _held[self._number] = self

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """What stands for it: on Ray a reference to the one stored copy, else its number in this process."""
        import daft

        if daft.runners.get_or_infer_runner_type() != "ray":
            return _held_here, (self._number,)
        ray = sys.modules["ray"]
        if self._stored is None:
            self._stored = ray.put(self.value)
        return _fetch, (self._stored,)


def _held_here(number: int) -> Shared:
    return _held[number]


def _fetch(reference: Any) -> Shared:
    key = reference.hex()
    if key not in _fetched:
        import ray

        _fetched[key] = Shared(ray.get(reference))
    return _fetched[key]


_numbers = count()
_held: WeakValueDictionary[int, Shared] = WeakValueDictionary()
_fetched: WeakValueDictionary[str, Shared] = WeakValueDictionary()
