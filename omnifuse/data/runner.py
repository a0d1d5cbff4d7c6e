"""Where the work of a preparation is done: in this process, or on a Ray cluster. The results are the same, in the same order."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from omnifuse.core.errors import OmnifuseError, first_line
from omnifuse.data.fetch import BadValue, check_host

A = TypeVar("A")
B = TypeVar("B")
AHEAD = 2


class Runner(Protocol):
    """Maps a function over items, keeping their order; a bounded number of items is in work at a time."""

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """The results, in the order of the items."""
        ...


class NativeRunner:
    """Threads of this process: decoders release the interpreter lock."""

    def __init__(self, workers: int | None = None) -> None:
        """Args: workers: threads; as many as there are cores by default."""
        self.workers = workers or cores()

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """The results, in the order of the items."""
        with ThreadPoolExecutor(self.workers, thread_name_prefix="prepare") as pool:
            yield from _ahead(lambda item: pool.submit(function, item), lambda future: future.result(), items, AHEAD * self.workers)


class RayRunner:
    """Tasks on a Ray cluster.

    Files named by paths must be visible from the machines of the cluster; media come back to this process, which reads the
    tables and writes the dataset.
    """

    def __init__(self, address: str | None = None) -> None:
        """Connect; without an address, Ray is started on this machine.

        Raises:
            OmnifuseError: Ray is not installed, or there is no cluster at the address.
        """
        try:
            import ray
        except ImportError:
            raise OmnifuseError("data.runner: ray is not installed; pip install 'omnifuse[ray]'") from None
        if address is not None and address != "auto":
            _check_address(address)
        try:
            if not ray.is_initialized():
                ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise OmnifuseError(f"data.ray_address: no Ray cluster answers at {address} ({first_line(error, 120)})") from None
        self._ray = ray
        self.workers = max(1, int(ray.cluster_resources().get("CPU", 1)))

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """The results, in the order of the items."""
        shared = self._ray.put(function)
        task = self._ray.remote(_call)
        results: Iterator[Any] = _ahead(lambda item: task.remote(shared, item), self._ray.get, items, AHEAD * self.workers)
        yield from results


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_runner(name: str, address: str | None = None) -> Runner:
    """The runner that a recipe names."""
    return RayRunner(address) if name == "ray" else NativeRunner()


def _check_address(address: str) -> None:
    """Ray itself would wait for minutes where nobody answers."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdigit():
        raise OmnifuseError(f"data.ray_address: {address} is no address; write it as HOST:PORT or ray://HOST:PORT")
    try:
        check_host(host, int(port))
    except BadValue as error:
        raise OmnifuseError(f"data.ray_address: no Ray cluster answers at {address} ({error})") from None


def _ahead(start: Callable[[A], Any], finish: Callable[[Any], B], items: Iterable[A], ahead: int) -> Iterator[B]:
    """Start up to `ahead` items before the first is finished."""
    running: deque[Any] = deque()
    for item in items:
        running.append(start(item))
        if len(running) >= ahead:
            yield finish(running.popleft())
    while running:
        yield finish(running.popleft())


def _call(function: Callable[[A], B], item: A) -> B:
    return function(item)
