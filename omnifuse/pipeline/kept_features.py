"""Features on disk: what one frozen network makes of different values, each kept once.

    STORE/features/<key>/<name>.safetensors    keys (N, 16), ends (N,), data (ΣT, H): N values, of T states each

A file appears whole or not at all and is never changed, so a process that is killed loses only what waited to be written, and
several processes may read and write the same folder: each writes files of its own, and finds those of the others.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from omnifuse.core.atomic import is_leftover, replacing
from omnifuse.core.errors import OmnifuseError

SUFFIX = ".safetensors"
BATCH_BYTES, BATCH_S = 32_000_000, 30.0
KEY_BYTES = 16


class KeptFeatures:
    """A folder of features, by the key of their value.

    Memory: 32 bytes for each value, and what waits to be written (at most 32 MB); features are read through memory maps.

    Args:
        folder: of this network; made when something is kept.
        max_bytes: what would make the folder larger is not kept.
    """

    def __init__(self, folder: Path, max_bytes: float) -> None:
        """Nothing is read before something is looked for."""
        self.folder, self.max_bytes = folder, max_bytes
        self.trouble: str | None = None
        self._files: dict[str, _File] = {}
        self._index = _Index([])
        self._bytes, self._seen_ns = 0, -1
        self._waiting: dict[bytes, np.ndarray] = {}
        self._waiting_bytes, self._since = 0, 0.0
        self._lock = RLock()

    def find(self, keys: Sequence[bytes]) -> list[np.ndarray | None]:
        """States (T, H) by key, `None` where they are not kept."""
        with self._lock:
            found = self._look(keys)
            if any(item is None for item in found) and self._refresh():
                found = self._look(keys)
            return found

    def add(self, key: bytes, states_TH: np.ndarray) -> None:
        """Keep the states of a value, now or with the next ones."""
        with self._lock:
            if self.trouble or key in self._waiting:
                return
            if self._bytes + self._waiting_bytes + states_TH.nbytes > self.max_bytes:
                self.trouble = (
                    f"features of a frozen encoder fill {self.max_bytes / 1e9:g} GB in {self.folder}, so not all are kept; raise"
                    " data.features_gb, or use pool: mean"
                )
                return
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting[key] = states_TH
            self._waiting_bytes += states_TH.nbytes
            if self._waiting_bytes >= BATCH_BYTES or time.monotonic() - self._since > BATCH_S:
                self.flush()

    def flush(self) -> None:
        """Write what waits; a disk that is full, or may not be written, ends the keeping and not the work."""
        with self._lock:
            waiting, self._waiting, self._waiting_bytes = self._waiting, {}, 0
            if not waiting:
                return
            try:
                with replacing(self.folder / f"{_name(waiting)}{SUFFIX}") as path:
                    path.write_bytes(_packed(waiting))
            except OmnifuseError as error:
                self.trouble = f"features of a frozen encoder are not kept: {error}"
            self._refresh()

    def _look(self, keys: Sequence[bytes]) -> list[np.ndarray | None]:
        return [self._waiting.get(key, item) for key, item in zip(keys, self._index.find(keys), strict=True)]

    def _refresh(self) -> bool:
        """Open files that have come since, whoever wrote them; whether there were any."""
        try:
            changed_ns = self.folder.stat().st_mtime_ns
        except OSError:
            return False
        if changed_ns == self._seen_ns:
            return False
        self._seen_ns = changed_ns
        new = [path for path in sorted(self.folder.glob(f"*{SUFFIX}")) if path.name not in self._files and not is_leftover(path)]
        for path in new:
            self._files[path.name] = _File.open(path)
            self._bytes += path.stat().st_size
        self._index = _Index(list(self._files.values())) if new else self._index
        return bool(new)


class _File(NamedTuple):
    """Features of N values, mapped into memory: keys (N, 16), where the states of each end (N,), the states of all (S, H)."""

    keys: np.ndarray
    ends: np.ndarray
    data: np.ndarray

    @classmethod
    def open(cls, path: Path) -> _File:
        """A file that is damaged holds nothing; its values are computed again."""
        try:
            with safe_open(path, "pt") as file:  # maps what NumPy would read
                return cls(*(file.get_tensor(name).numpy() for name in ("keys", "ends", "data")))
        except (SafetensorError, OSError):
            return cls(np.empty((0, KEY_BYTES), np.uint8), np.empty(0, np.int64), np.empty((0, 0), np.float32))


class _Index:
    """Values of several files, sorted by the beginning of their keys."""

    def __init__(self, files: Sequence[_File]) -> None:
        self.files = files
        begins = np.concatenate([np.empty(0, "<u8"), *(_begins(file.keys) for file in files)])
        order = np.argsort(begins, kind="stable")
        self.begins = begins[order]
        self.file = np.repeat(np.arange(len(files), dtype=np.int32), [len(file.keys) for file in files])[order]
        self.place = np.concatenate([np.empty(0, np.int32), *(np.arange(len(file.keys), dtype=np.int32) for file in files)])[order]

    def find(self, keys: Sequence[bytes]) -> list[np.ndarray | None]:
        wanted = _begins(np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, KEY_BYTES))
        return [self._at(int(at), key) for at, key in zip(np.searchsorted(self.begins, wanted), keys, strict=True)]

    def _at(self, at: int, key: bytes) -> np.ndarray | None:
        if at == len(self.begins):
            return None
        file, place = self.files[self.file[at]], int(self.place[at])
        if file.keys[place].tobytes() != key:  # one that begins alike is computed again: of 10⁹ values, less than one
            return None
        return file.data[file.ends[place - 1] if place else 0 : file.ends[place]]


def _begins(keys_N16: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(keys_N16[:, :8]).view("<u8")[:, 0]


def value_key(raw: Any) -> bytes:
    """What a canonical value is known by: its content, for a file the hash that it is stored under."""
    return hashlib.blake2b(repr(raw).encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def _name(waiting: dict[bytes, np.ndarray]) -> str:
    """Of a file: two processes that have computed the same values write the same."""
    return hashlib.blake2b(b"".join(waiting), digest_size=KEY_BYTES).hexdigest()


def _packed(waiting: dict[bytes, np.ndarray]) -> bytes:
    keys = np.frombuffer(b"".join(waiting), dtype=np.uint8).reshape(-1, KEY_BYTES)
    ends = np.cumsum([len(states) for states in waiting.values()], dtype=np.int64)
    return save({"keys": keys, "ends": ends, "data": np.concatenate(list(waiting.values()))})
