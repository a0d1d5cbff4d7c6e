"""One object that many tasks of a data frame use: in this process by reference, on Ray stored once and fetched by each worker."""

from __future__ import annotations

import sys
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

KEPT = 4  # values that a worker holds on to: those of a few joins one after another


class Shared:
    """Holds a value; copies of this holder, made when a plan is sent to workers, carry a reference instead of the value.

    Daft copies the plan for every task: with the value inside, a join would send the whole other table each time.
    """

    def __init__(self, value: Any):
        """Take the value."""
        self.value = value
        self._number, self._store = next(_numbers), None
        _held[self._number] = self

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """What stands for it: on Ray the name of the actor that keeps it, else its number in this process."""
        import daft

        if daft.runners.get_or_infer_runner_type() != "ray":
            return _held_here, (self._number,)
        ray = sys.modules["ray"]
        name = f"omnifuse-{ray.get_runtime_context().get_job_id()}-{self._number}"
        if self._store is None:  # lives as long as this holder does
            self._store = ray.remote(_Store).options(name=name, namespace="omnifuse", num_cpus=0).remote([ray.put(self.value)])
        return _Fetched, (name,)


class _Store:
    """Keeps the reference, for a bare one does not survive the copying of a plan by another library."""

    def __init__(self, references: list[Any]):
        self._references = references

    def references(self) -> list[Any]:
        return self._references


class _Fetched:
    """The holder on a worker: fetches the value when it is first used there."""

    def __init__(self, name: str):
        self._name = name

    @property
    def value(self) -> Any:
        found = _values.get(self._name)
        if found is None:
            import ray

            store = ray.get_actor(self._name, namespace="omnifuse")
            found = _values[self._name] = ray.get(ray.get(store.references.remote())[0])
            for name in list(_values)[:-KEPT]:  # of joins that are done
                _values.pop(name, None)
        return found


def _held_here(number: int) -> Shared:
    return _held[number]


_numbers = count()
_held: WeakValueDictionary[int, Shared] = WeakValueDictionary()
_values: dict[str, Any] = {}
