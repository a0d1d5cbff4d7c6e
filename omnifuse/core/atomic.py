"""Writes that happen whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from omnifuse.core.errors import OmnifuseError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_PREFIX = ".writing-"
_LOCK = ".lock"
ALONE = ".held"
_DAY_S = 86_400


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; when the block ends well, it takes the place of `path` at once.

    A file replaces an older file. A directory must be new: an older one is left alone and the write is dropped,
    so that two processes that make the same directory do not harm each other.

    Raises:
        OmnifuseError: the disk is full or the place cannot be written; nothing is left half-written.
    """
    path = Path(path)
    temporary = path.parent / f"{_PREFIX}{path.name}-{uuid4().hex[:8]}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        if temporary.is_dir():
            try:
                temporary.rename(path)
            except OSError:
                if not path.is_dir():
                    raise
        else:
            temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise OmnifuseError(
            f"{path}: cannot be written ({error.strerror or error}); nothing was changed, free some space or choose another place"
        ) from error
    finally:
        _remove(temporary)


@contextmanager
def scratch(folder: str | Path) -> Iterator[Path]:
    """Give a folder for intermediate files inside `folder`, gone when the block ends.

    What a killed process left there before is removed; the scratch folders of processes that still run are left alone.

    Raises:
        OmnifuseError: the disk is full or the place cannot be written.
    """
    folder = Path(folder)
    path = folder / f"{_PREFIX}scratch-{uuid4().hex[:8]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"{_PREFIX}*"):
            if _is_dead(old):
                _remove(old)
        path.mkdir()
        with open(path / f"{_LOCK}ing", "w") as lock:
            if _lock(lock):
                os.rename(lock.name, path / _LOCK)  # it appears locked, so nobody takes the folder for dead meanwhile
            yield path
    except OSError as error:
        raise OmnifuseError(f"{folder}: cannot be written ({error.strerror or error}); free some space or choose another place") from error
    finally:
        _remove(path)


@contextmanager
def alone(folder: str | Path, doing: str) -> Iterator[None]:
    """Hold a folder that no two processes may write at once, made where it is not there, and gone again where nothing was put into it.

    The lock is the system's, so that of a process that was killed is free. Where there is none (Windows), nothing is held.

    Raises:
        OmnifuseError: another process holds it, or it cannot be written; `doing` says what the other one does.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ALONE, "w")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise OmnifuseError(f"{folder}: cannot be written ({error.strerror or error})") from error
    with lock:
        if fcntl is not None and not _lock(lock):
            raise OmnifuseError(f"{folder}: another process {doing} here; wait for it, or choose another folder")
        try:
            yield
        finally:
            _remove(folder / ALONE)
            with suppress(OSError):
                folder.rmdir()  # which only an empty folder allows


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | Path, what: str) -> Any:
    """Read a JSON file that omnifuse wrote; `what` names it in the error."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OmnifuseError(f"{path}: there is no {what} here") from None
    except (OSError, ValueError) as error:
        raise OmnifuseError(f"{path}: this {what} cannot be read ({error})") from None


def is_leftover(path: Path) -> bool:
    """Whether an interrupted write left this behind."""
    return path.name.startswith(_PREFIX)


def remove_leftovers(folder: str | Path) -> None:
    """Delete what an interrupted write left in `folder`."""
    for leftover in Path(folder).glob(f"{_PREFIX}*"):
        _remove(leftover)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):  # nothing was made there, or it cannot be reached; an earlier error says more
            path.unlink(missing_ok=True)


def _lock(file: IO[str]) -> bool:
    """Take the lock of a file that only one living process can hold; false where another has it."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_dead(path: Path) -> bool:
    """Whether nobody writes there any more: its lock is free, or it has none and is a day old."""
    with suppress(OSError):
        if (path / _LOCK).exists() and fcntl is not None:
            with open(path / _LOCK, "w") as lock:
                return _lock(lock)
        return time.time() - path.stat().st_mtime > _DAY_S
    return False


def _sync(path: Path) -> None:
    for file in [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]:
        with open(file, "rb") as handle:
            os.fsync(handle.fileno())


def _sync_directory(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
