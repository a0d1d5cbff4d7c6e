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
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from omnifuse.core.atomic import is_leftover, replacing
from omnifuse.core.errors import OmnifuseError

SUFFIX = ".safetensors"
BATCH_BYTES, BATCH_S = 32_000_000, 20.0
KEY_BYTES = 16


class KeptFeatures:
    """A folder of features, by the key of their value.

    Memory: 24 bytes for each value, and what waits to be written (at most 32 MB); features are read through memory maps.

    Args:
        folder: of this network; made when something is kept.
        max_bytes: what would make the folder larger is not kept.
    """

    def __init__(self, folder: Path, max_bytes: float) -> None:
        """Nothing is read before something is looked for."""
        self.folder, self.max_bytes = folder, max_bytes
        self.trouble: str | None = None
        self._files: dict[str, _File | None] = {}
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
        found = [self._waiting.get(key) for key in keys]
        for file in self._files.values():
            missing = [place for place, item in enumerate(found) if item is None]
            if file is not None:
                for place in missing:
                    found[place] = file.get(keys[place])
        return found

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
        return bool(new)


class _File:
    """Features of some values, mapped into memory and found by the beginning of their key."""

    def __init__(self, keys_N16: np.ndarray, ends_N: np.ndarray, data_SH: np.ndarray) -> None:
        begins_N = keys_N16[:, :8].copy().view("<u8")[:, 0]
        self.order = np.argsort(begins_N, kind="stable").astype(np.int32)
        self.begins, self.keys = begins_N[self.order], keys_N16
        self.ends, self.data = ends_N, data_SH

    @classmethod
    def open(cls, path: Path) -> _File | None:
        """`None` for a file that is damaged; its values are computed again."""
        try:
            with safe_open(path, "pt") as file:  # maps what NumPy would read
                return cls(*(file.get_tensor(name).numpy() for name in ("keys", "ends", "data")))
        except (SafetensorError, OSError):
            return None

    def get(self, key: bytes) -> np.ndarray | None:
        wanted = np.frombuffer(key, dtype="<u8", count=1)[0]
        at = int(np.searchsorted(self.begins, wanted))
        if at == len(self.begins) or self.begins[at] != wanted:
            return None
        place = int(self.order[at])
        if self.keys[place].tobytes() != key:
            return None
        return self.data[self.ends[place - 1] if place else 0 : self.ends[place]]


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
