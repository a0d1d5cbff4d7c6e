"""Media, stored once by content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from typing import Any

import numpy as np
import pyarrow as pa

from omnifuse.data.fetch import BadValue, fetch

SCHEMA = pa.schema([("key", pa.string()), ("data", pa.large_binary())])
BATCH_BYTES = 32_000_000


class Media:
    """Writes files into a Lance table while rows are read: each content once, verified by decoding it once.

    Memory: the files waiting to be written (three times 32 MB) and a short key for every different path.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Args: path: the table to make; max_bytes: larger files are refused unread."""
        self.path, self.max_bytes = path, max_bytes
        self._known: dict[tuple[str, str], str | BadValue] = {}
        self._stored: set[str] = set()
        self._batch: list[tuple[str, bytes]] = []
        self._bytes = 0
        self._queue: Queue[list[tuple[str, bytes]] | None] = Queue(maxsize=2)
        self._writer: Thread | None = None
        self._failure: BaseException | None = None

    def __len__(self) -> int:
        return len(self._stored)

    def add(self, value: str | bytes, root: Path, modality: Any) -> str:
        """Store a file (a path, or its bytes) and return its key, the hash of its content.

        Raises:
            BadValue: it cannot be read or decoded; the same path gives the same error again.
        """
        reference = (str(root), value) if isinstance(value, str) else None
        if reference in self._known:
            known = self._known[reference]
            if isinstance(known, BadValue):
                raise known
            return known
        try:
            data = fetch(value, root, self.max_bytes) if isinstance(value, str) else value
            key = media_key(data)
            if key not in self._stored:
                modality.verify(data)
                self._store(key, data)
        except BadValue as error:
            if reference:
                self._known[reference] = error
            raise
        if reference:
            self._known[reference] = key
        return key

    def __enter__(self) -> Media:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write what is waiting and finish the table; after an error, only let the writer end."""
        if kind is None and self._stored:
            self._flush()
        if self._writer is None:
            return
        if self._failure is None:
            self._put(None)
        self._writer.join()
        if kind is None and self._failure is not None:
            raise OSError(str(self._failure).splitlines()[0])

    def _store(self, key: str, data: bytes) -> None:
        self._stored.add(key)
        self._batch.append((key, data))
        self._bytes += len(data)
        if self._bytes >= BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._writer is None:
            self._writer = Thread(target=self._write, daemon=True)
            self._writer.start()
        self._put(self._batch)
        self._batch, self._bytes = [], 0

    def _put(self, batch: list[tuple[str, bytes]] | None) -> None:
        """Hand a batch to the writer; wait while it is behind, and stop when it has failed."""
        while self._writer is not None and self._writer.is_alive():
            try:
                self._queue.put(batch, timeout=0.2)
                return
            except Full:
                continue
        if self._failure is not None:
            raise OSError(str(self._failure).splitlines()[0])

    def _write(self) -> None:
        import lance

        def batches() -> Iterator[pa.RecordBatch]:
            while (batch := self._queue.get()) is not None:
                yield pa.record_batch([[key for key, _ in batch], [data for _, data in batch]], schema=SCHEMA)

        try:
            lance.write_dataset(pa.RecordBatchReader.from_batches(SCHEMA, batches()), str(self.path))
        except BaseException as error:  # told to the thread that waits for the end
            self._failure = error


class MediaReader:
    """Random access to stored media by key."""

    def __init__(self, path: Path) -> None:
        """Args: path: the table; a dataset without media has none."""
        self.path = path
        self._table: Any = None
        self._keys = self._order = np.empty(0)

    def read(self, keys: Sequence[str]) -> list[bytes]:
        """The files with these keys, in this order."""
        if not keys:
            return []
        if self._table is None:
            import lance

            self._table = lance.dataset(str(self.path))
            names = self._table.to_table(columns=["key"]).column("key").to_numpy(zero_copy_only=False).astype("S40")
            self._order = np.argsort(names)
            self._keys = names[self._order]
        wanted = np.asarray(keys, dtype="S40")
        rows = self._order[np.searchsorted(self._keys, wanted)]
        unique, back = np.unique(rows, return_inverse=True)
        files = self._table.take(unique.tolist(), columns=["data"]).column("data").to_pylist()
        return [files[i] for i in back]


def media_key(data: bytes) -> str:
    """The name of a file's content."""
    return hashlib.blake2b(data, digest_size=20).hexdigest()
