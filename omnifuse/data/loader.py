"""From a dataset to batches of tensors, in an order that is a pure function of (seed, position)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, Protocol, TypeVar

import numpy as np

from omnifuse.core.seeds import permute, seed_of
from omnifuse.core.values import Values
from omnifuse.data.modalities.fitting import Processors
from omnifuse.data.modalities.processor import Processor
from omnifuse.data.runner import cores

T = TypeVar("T")


class RawRows(Protocol):
    """What a loader reads: canonical values by row, and files by key."""

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def take(self, index: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
        """Values of the rows, by column."""
        ...

    def media(self, keys: Sequence[str]) -> list[bytes]:
        """Files by key."""
        ...


def rows_at(start: int, stop: int, length: int, seed: int) -> np.ndarray:
    """Rows at the global sample positions [start, stop) of the endless training stream.

    Epoch e visits the rows in the order of the keyed permutation of (seed, e): row(p) = π_{seed, ⌊p/N⌋}(p mod N).

    >>> sorted(rows_at(0, 4, 4, seed=1).tolist()), rows_at(2, 4, 4, seed=1).tolist() == rows_at(0, 4, 4, seed=1).tolist()[2:]
    ([0, 1, 2, 3], True)
    """
    positions = np.arange(start, stop, dtype=np.int64)
    epochs, offsets = positions // length, positions % length
    rows = np.empty(len(positions), dtype=np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        rows[here] = permute(offsets[here], length, seed_of(seed, "order", epoch))
    return rows


class Loader:
    """Batches of some columns of a dataset as `Values`.

    Encoded items (pixels of an image, ids of a text) are kept in memory up to a limit, by value and not by row, so a
    picture that many rows share is decoded once, and later epochs decode nothing.
    """

    def __init__(
        self, rows: RawRows, processors: Processors, columns: Sequence[str], targets: Sequence[str] = (), cache_mb: int = 1024
    ) -> None:
        """Args: rows: what to read; processors: fitted, by column; columns, targets: which of them to load."""
        self.rows, self.targets = rows, set(targets)
        self.columns = list(dict.fromkeys([*columns, *targets]))
        self.processors = {name: processors[name] for name in self.columns}
        self._cache = ItemCache(cache_mb * 1_000_000)
        self._pool: ThreadPoolExecutor | None = None

    def batch(self, index: Sequence[int] | np.ndarray) -> dict[str, Values]:
        """The rows at `index`, in that order."""
        raws = self.rows.take(index, self.columns)
        return {name: self.encode(name, raws[name]) for name in self.columns}

    def encode(self, name: str, raws: Sequence[Any]) -> Values:
        """Canonical values of one column → `Values`; a target whose label was never seen counts as absent."""
        raws = self.known(name, raws)
        items = self.items(name, raws)
        return self.processors[name].collate([None if raw is None else items[raw] for raw in raws])

    def known(self, name: str, raws: Sequence[Any]) -> Sequence[Any]:
        """The same values with `None` in the place of labels that were never seen, where the column is a target."""
        processor = self.processors[name]
        return [raw if processor.is_known(raw) else None for raw in raws] if name in self.targets else raws

    def items(self, name: str, raws: Sequence[Any]) -> dict[Any, np.ndarray]:
        """Each different value as an array of its own shape, in the order they come first."""
        processor = self.processors[name]
        items: dict[Any, np.ndarray] = {}
        missing: list[Any] = []
        for raw in dict.fromkeys(raws):
            if raw is None:
                continue
            item = self._cache.get((name, raw))
            if item is None:
                missing.append(raw)
            else:
                items[raw] = item
        made = self._decode(processor, self.rows.media(missing)) if processor.is_media else map(processor.item, missing)
        for raw, item in zip(missing, made, strict=True):
            items[raw] = item
            self._cache.put((name, raw), item)
        return {raw: items[raw] for raw in dict.fromkeys(raws) if raw is not None}

    def flush(self) -> None:
        """Write what waits to be kept on disk; this loader keeps things in memory only."""

    def _decode(self, processor: Processor[Any], files: list[bytes]) -> Iterable[np.ndarray]:
        """Items of files, on all cores: decoders release the interpreter lock."""
        if len(files) < 2:
            return map(processor.item, files)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(min(8, cores()), thread_name_prefix="decode")
        return self._pool.map(processor.item, files)

    def stream(self, first: int, last: int, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> Iterator[dict[str, Values]]:
        """Training batches of the steps [first, last): this rank's part of each global batch, made ahead.

        Step s covers the positions [s·G, (s+1)·G) of the stream, G = `batch_size`, whatever the number of ranks, so a
        run may resume at any step, on another number of ranks.
        """
        assert batch_size % world == 0, "the global batch is divided evenly"
        local = batch_size // world

        def make() -> Iterator[dict[str, Values]]:
            for step in range(first, last):
                start = step * batch_size + rank * local
                yield self.batch(rows_at(start, start + local, len(self.rows), seed))

        return prefetch(make)

    def in_order(self, batch_size: int) -> Iterator[dict[str, Values]]:
        """Every row once, in the order of the dataset."""
        total = len(self.rows)
        return prefetch(lambda: (self.batch(range(at, min(at + batch_size, total))) for at in range(0, total, batch_size)))


class ItemCache:
    """Least recently used items go first when the limit is passed."""

    def __init__(self, max_bytes: int) -> None:
        """Args: max_bytes: total size of the arrays that are kept."""
        self.max_bytes, self._bytes = max_bytes, 0
        self._items: OrderedDict[Any, np.ndarray] = OrderedDict()

    def get(self, key: Any) -> np.ndarray | None:
        """The item, or `None`."""
        item = self._items.get(key)
        if item is not None:
            self._items.move_to_end(key)
        return item

    def put(self, key: Any, item: np.ndarray) -> None:
        """Keep an item; one larger than the limit is not kept."""
        if item.nbytes > self.max_bytes:
            return
        old = self._items.pop(key, None)
        self._bytes += item.nbytes - (0 if old is None else old.nbytes)
        self._items[key] = item
        while self._bytes > self.max_bytes:
            _, old = self._items.popitem(last=False)
            self._bytes -= old.nbytes


def prefetch(make: Callable[[], Iterator[T]], depth: int = 4) -> Iterator[T]:
    """Run an iterator in a thread of its own, a few items ahead; its errors are raised here.

    Threads, not processes: Lance is not safe to fork, and decoders release the interpreter lock.
    """
    queue: Queue[tuple[bool, Any]] = Queue(depth)
    stop = Event()

    def put(message: tuple[bool, Any]) -> bool:
        while not stop.is_set():
            try:
                queue.put(message, timeout=0.1)
                return True
            except Full:
                continue
        return False

    def work() -> None:
        try:
            for item in make():
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:  # handed to the consumer
            put((False, error))

    def consume() -> Iterator[T]:
        thread = Thread(target=work, daemon=True)
        thread.start()
        try:
            while True:
                more, value = queue.get()
                if more:
                    yield value
                elif value is None:
                    return
                else:
                    raise value
        finally:
            stop.set()
            while thread.is_alive():
                try:
                    queue.get_nowait()
                except Empty:
                    thread.join(0.05)

    return consume()
