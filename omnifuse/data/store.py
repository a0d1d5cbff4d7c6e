"""The store of a dataset: media files and what is known of them, shared by all its versions.

    STORE/media.lance    key, data                                  each content once
    STORE/seen.lance     key, reader, reason, facts, fingerprint    what decoding it once has told
    STORE/paths.lance    path, size, mtime, key                     which content a file held when it was read
    STORE/<version>/     rows, manifest, quarantine, report

All three tables only grow, in batches that are committed whole, so a killed preparation keeps what it has done, and two at
once do not harm each other (at worst a file is kept twice).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import omnifuse
from omnifuse.core.errors import OmnifuseError, first_line
from omnifuse.data.modalities.config import ModalityConfig
from omnifuse.data.modalities.processor import Facts

MEDIA = pa.schema([("key", pa.string()), ("data", pa.large_binary())])
SEEN = pa.schema(
    [("key", pa.string()), ("reader", pa.string()), ("reason", pa.string()), ("facts", pa.string()), ("fingerprint", pa.binary())]
)
PATHS = pa.schema([("path", pa.string()), ("size", pa.int64()), ("mtime", pa.int64()), ("key", pa.string())])
BATCH_BYTES, BATCH_FILES = 32_000_000, 20_000


class Store:
    """Media of a dataset, while it is prepared.

    Memory: a short key for every file, and the files that wait to be written (three times 32 MB).
    """

    def __init__(self, path: Path) -> None:
        """Read what is known already; nothing is made before the first file comes."""
        self.path = path
        seen = _rows(path / "seen.lance", ["key", "reader", "reason"])
        self._seen: dict[tuple[str, str], str | None] = {(row["key"], sys.intern(row["reader"])): row["reason"] for row in seen}
        self._paths = {row["path"]: (row["size"], row["mtime"], row["key"]) for row in _rows(path / "paths.lance")}
        self._stored = {row["key"] for row in _rows(path / "media.lance", ["key"])}
        self._media: list[dict[str, Any]] = []
        self._new_seen: list[dict[str, Any]] = []
        self._new_paths: list[dict[str, Any]] = []
        self._bytes = 0
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._writing: list[Future[None]] = []

    def key_of(self, path: str, size: int, mtime: int) -> str | None:
        """The content of an unchanged file, where it was read before."""
        known = self._paths.get(path)
        return known[2] if known is not None and known[:2] == (size, mtime) else None

    def has(self, key: str, reader: str) -> bool:
        """Whether a content need not be read again: it is stored, or known to be bad."""
        return (key, reader) in self._seen and (key in self._stored or self._seen[key, reader] is not None)

    def reason(self, key: str, reader: str) -> str | None:
        """Why a content cannot be used; `None` where it can."""
        return self._seen[key, reader]

    def add(self, key: str, reader: str, reason: str | None, facts: Facts, data: bytes) -> None:
        """Keep a file that was examined, or the reason why it is bad."""
        if reason is None and key not in self._stored:
            self._stored.add(key)
            self._media.append({"key": key, "data": data})
            self._bytes += len(data)
        if (key, reader) not in self._seen:
            self._seen[key, reader] = reason
            told = {"reason": reason, "facts": json.dumps(dict(facts.numbers)), "fingerprint": facts.fingerprint}
            self._new_seen.append({"key": key, "reader": reader, **told})
        if self._bytes >= BATCH_BYTES or len(self._new_seen) >= BATCH_FILES:
            self.flush()

    def remember(self, path: str, size: int, mtime: int, key: str) -> None:
        """Keep which content a file holds."""
        if self._paths.get(path) != (size, mtime, key):
            self._paths[path] = (size, mtime, key)
            self._new_paths.append({"path": path, "size": size, "mtime": mtime, "key": key})

    def flush(self) -> None:
        """Hand what is waiting to the writer; wait while it is more than two batches behind."""
        while len(self._writing) > 2:
            self._writing.pop(0).result()
        batch = (self._media, self._new_seen, self._new_paths)
        self._media, self._new_seen, self._new_paths, self._bytes = [], [], [], 0
        if any(batch):
            self._writing.append(self._writer.submit(self._write, *batch))

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write what is waiting, after an error too: it need not be read again."""
        try:
            self.flush()
            for writing in self._writing:
                writing.result()
        except BaseException:
            if kind is None:
                raise
        finally:
            self._writer.shutdown(wait=True)

    def _write(self, media: list[dict[str, Any]], seen: list[dict[str, Any]], paths: list[dict[str, Any]]) -> None:
        """Media first: what is said to be seen must be there."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name, rows, schema in (("media", media, MEDIA), ("seen", seen, SEEN), ("paths", paths, PATHS)):
            if rows:
                append(self.path / f"{name}.lance", pa.Table.from_pylist(rows, schema=schema))


class MediaReader:
    """Random access to stored media by key, and to what is known of them."""

    def __init__(self, store: Path) -> None:
        """Args: store: folder of the store; one without media has no tables."""
        self.store = store
        self._table: Any = None
        self._keys = self._order = np.empty(0)
        self._facts: dict[str, dict[str, Facts]] = {}

    def read(self, keys: Sequence[str]) -> list[bytes]:
        """The files with these keys, in this order.

        Raises:
            OmnifuseError: a file is no longer in the store.
        """
        if not keys:
            return []
        table = self._open()
        wanted = np.asarray(keys, dtype="S40")
        places = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        if (self._keys[places] != wanted).any():
            raise OmnifuseError(f"{self.store}: media files of this dataset are missing; prepare it again")
        unique, back = np.unique(self._order[places], return_inverse=True)
        try:
            files = table.take(unique.tolist(), columns=["data"]).column("data").to_pylist()
        except (OSError, ValueError) as error:
            raise _damaged(self.store / "media.lance", error) from None
        return [files[i] for i in back]

    def facts(self, reader: str, keys: Sequence[str]) -> list[Facts]:
        """What decoding the files once has told."""
        if reader not in self._facts:
            rows = _rows(self.store / "seen.lance", ["key", "reader", "facts", "fingerprint"])
            self._facts[reader] = {
                row["key"]: Facts(json.loads(row["facts"]), row["fingerprint"]) for row in rows if row["reader"] == reader
            }
        known = self._facts[reader]
        return [known.get(key, Facts()) for key in keys]

    def _open(self) -> Any:
        """The table, with its keys sorted for the search."""
        if self._table is not None:
            return self._table
        import lance

        path = self.store / "media.lance"
        if not _is_table(path):
            raise OmnifuseError(f"{path}: the media files of this dataset are missing; prepare it again")
        try:
            table = lance.dataset(str(path))
            names = table.to_table(columns=["key"]).column("key").to_numpy(zero_copy_only=False).astype("S40")
        except (OSError, ValueError) as error:
            raise _damaged(path, error) from None
        self._order = np.argsort(names, kind="stable")
        self._keys = names[self._order]
        self._table = table
        return table


def reader_of(config: ModalityConfig) -> str:
    """What a file was examined with: its modality, the options that matter for reading it, the version of the decoders."""
    options = {option: getattr(config, option) for option in config.reads}
    word = json.dumps(options, default=str, sort_keys=True)
    return f"{config.name}:{omnifuse.__version__}" + (f":{hashlib.blake2b(word.encode(), digest_size=6).hexdigest()}" if options else "")


def media_key(data: bytes) -> str:
    """The name of a file's content."""
    return hashlib.blake2b(data, digest_size=20).hexdigest()


def append(path: Path, table: pa.Table, attempts: int = 10) -> None:
    """Add rows to a Lance table, or make it; again when another process has just done the same."""
    import lance

    for attempt in range(attempts):
        try:
            lance.write_dataset(table, str(path), mode="append" if _is_table(path) else "create")
            return
        except (OSError, ValueError) as error:
            raced = "already exists" in str(error).lower() or "conflict" in str(error).lower()
            if not raced or attempt == attempts - 1:
                raise OSError(first_line(error)) from None


def _is_table(path: Path) -> bool:
    """Whether something was ever committed there; a process killed at its first write leaves a folder without versions."""
    return any((path / "_versions").glob("*.manifest"))


def _rows(path: Path, columns: Iterable[str] | None = None) -> Iterator[dict[str, Any]]:
    if not _is_table(path):
        return
    import lance

    try:
        for batch in lance.dataset(str(path)).to_batches(columns=list(columns) if columns else None):
            yield from batch.to_pylist()
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> OmnifuseError:
    reason = first_line(error)
    return OmnifuseError(f"{path}: this part of the store is damaged; remove {path.parent} and prepare again ({reason})")
