"""WebDataset tars, streamed: nothing is extracted, and limits hold while they are unpacked."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.sources.bad_rows import BadRows
from omnifuse.data.sources.config import WebDatasetSourceConfig
from omnifuse.data.sources.places import files_of
from omnifuse.data.table import Table

Content: TypeAlias = bytes | str | None
Wanted: TypeAlias = Callable[[str], bool]

KEY = "__key__"
BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
WORDS = {"txt", "text", "cls", "cls2", "index", "inx", "id", "caption"}
MAX_SHARDS = 100_000
MAX_ENDINGS = 64
HEADER_BYTES = 1 << 16
MAX_COLUMNS = 1000
MAX_RATIO = 100
SPARE_BYTES = 64 << 20


def read(config: WebDatasetSourceConfig, base: Path) -> Table:
    """Open tars whose files of one stem are one row, in the column `__key__`; the heads of all files are read once.

    The endings are the columns: `.txt`, `.cls` and their like as words, the keys of `.json` as columns of their own when it
    holds an object, all others as bytes. A file larger than `max_file_mb` sets its row aside.

    Raises:
        OmnifuseError: a tar that is damaged, cut off, or unpacks to far more than a dataset does.
    """
    files = [file for text in shards(config.path) for file in files_of(text, base)]
    max_bytes = int(config.max_file_mb * 1e6)
    found = [_columns(file, max_bytes, *_mark(file)) for file in files]
    names = list(dict.fromkeys(name for columns in found for name in columns))
    if not names:
        raise OmnifuseError(f"{config.path}: holds no files with endings")
    bad = BadRows()

    def rows(columns: Sequence[str] | None = None) -> Iterator[Mapping[str, Any]]:
        bad.begin()
        for file in files:
            for row in _rows(file, max_bytes, bad, columns):
                bad.read += 1
                yield row

    return Table([KEY, *names], rows, bad.all, bad.counts, select=rows)


def shards(path: str) -> list[str]:
    """The tars that a path such as `train-{000..012}.tar` stands for.

    >>> shards("a-{08..10}.tar")
    ['a-08.tar', 'a-09.tar', 'a-10.tar']
    """
    match = BRACES.search(path)
    if match is None:
        return [path]
    first, last = int(match.group(1)), int(match.group(2))
    if not first <= last < first + MAX_SHARDS:
        raise OmnifuseError(f"{path}: {match.group()} stands for no shards, or for more than {MAX_SHARDS}")
    numbers = [f"{number:0{len(match.group(1))}}" for number in range(first, last + 1)]
    return [each for number in numbers for each in shards(path[: match.start()] + number + path[match.end() :])]


class _Metered:
    """A stream with a budget: it stops when more is read than was asked for, however long what it unpacks may be."""

    def __init__(self, stream: Any, packed_bytes: int, is_packed: bool) -> None:
        self._stream = stream
        self._left = packed_bytes * MAX_RATIO + SPARE_BYTES if is_packed else packed_bytes
        self._total = packed_bytes
        self.budget = HEADER_BYTES
        self.delivered = 0
        self.tail = b""

    def expect(self, size: int) -> None:
        """The head of a file says how long it is."""
        if not 0 <= size <= self._left + tarfile.RECORDSIZE:  # some of it may have been read ahead
            raise OmnifuseError(f"the head of a file in it claims {size} bytes, more than a tar of {self._total / 1e6:.1f} MB holds")
        self.budget = size + HEADER_BYTES

    def read(self, size: int) -> bytes:
        """Some more of the tar."""
        data = self._stream.read(size)
        self.budget -= len(data)
        self.delivered += len(data)
        self.tail = (self.tail + data)[-tarfile.BLOCKSIZE :]
        self._left -= len(data)
        if self._left < 0:
            raise OmnifuseError(f"unpacks to more than {MAX_RATIO} times its {self._total / 1e6:.1f} MB; that is no dataset")
        if self.budget < -tarfile.RECORDSIZE:
            raise OmnifuseError("the head of a file in it is far too long; that is no dataset")
        return data


def _members(file: Path, max_bytes: int, wanted: Wanted) -> Iterator[tuple[str, str, Content]]:
    """Key, ending and content of every file in a tar, in order; a string is the reason why it is not read, `None` not wanted."""
    packed = file.stat().st_size
    with file.open("rb") as raw:
        is_gzip = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        meter: Any = _Metered(gzip.GzipFile(fileobj=raw) if is_gzip else raw, packed, is_gzip)
        with tarfile.open(fileobj=meter, mode="r|", bufsize=tarfile.RECORDSIZE) as tar:
            while (member := _next(tar, meter)) is not None:
                meter.expect(member.size)
                folder, _, last = member.name.removeprefix("./").rpartition("/")
                stem, dot, ending = last.partition(".")
                if not member.isreg() or not dot or not stem:
                    continue
                content: Content = None
                if member.size > max_bytes:
                    content = f"{member.size / 1e6:.1f} MB is over the limit of {max_bytes / 1e6:.1f} MB (max_file_mb)"
                elif member.issparse():
                    content = "is a sparse file"
                elif wanted(ending.lower()) and (data := tar.extractfile(member)):
                    content = data.read()
                yield f"{folder}/{stem}" if folder else stem, ending.lower(), content


def _next(tar: Any, meter: _Metered) -> tarfile.TarInfo | None:
    """The head of the next file; `None` behind the last one. Where a tar breaks off, the library says nothing."""
    due = tar.offset
    member = tar.next()
    tar.members, tar.pax_headers = [], {}  # it would remember every one
    if meter.delivered < due or (member is None and (meter.delivered % tarfile.BLOCKSIZE or meter.tail.strip(b"\0"))):
        raise tarfile.ReadError("it has no end mark")
    return member


def _groups(file: Path, max_bytes: int, wanted: Wanted) -> Iterator[tuple[str, dict[str, Content]]]:
    """Neighbouring files of one key."""
    key, parts = None, {}
    try:
        for each, ending, content in _members(file, max_bytes, wanted):
            if each != key:
                if key is not None:
                    yield key, parts
                key, parts = each, {}
            if ending in parts:
                raise OmnifuseError(f"has {each[:80]}.{ending} twice")
            parts[ending] = content
            if len(parts) > MAX_ENDINGS or sum(len(part) for part in parts.values() if part) > 4 * max_bytes:
                raise OmnifuseError(f"{each[:80]} has more than {MAX_ENDINGS} files or {4 * max_bytes / 1e6:.0f} MB; that is no row")
    except OmnifuseError as error:
        raise OmnifuseError(f"{file}: {error}") from None
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        after = f" after {key}" if key else ""
        raise OmnifuseError(f"{file}: is damaged or cut off{after} ({error}); get it again, or leave it out") from None
    if key is not None:
        yield key, parts


def _rows(file: Path, max_bytes: int, bad: BadRows, columns: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    for key, parts in _groups(file, max_bytes, lambda ending: columns is None or ending == "json" or ending in columns):
        row: dict[str, Any] = {KEY: key}
        ending = ""
        try:
            for ending, content in parts.items():
                if content is None:
                    continue
                if isinstance(content, str):
                    raise ValueError(content)
                for name, value in _value(ending, content).items():
                    if name in row or (name != ending and name in parts):
                        raise ValueError(f'"{name}" is both a key of its JSON and a file')
                    row[name] = value
        except ValueError as error:
            bad.add(file, key, f"{key}.{ending}", str(error), ending)
            continue
        yield row


def _value(ending: str, data: bytes) -> dict[str, Any]:
    """A file as columns."""
    if ending.rpartition(".")[2] in WORDS:
        try:
            return {ending: data.decode("utf-8").strip()}
        except UnicodeDecodeError:
            raise ValueError("is not UTF-8 text") from None
    if ending != "json":
        return {ending: data}
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    return value if isinstance(value, dict) else {"json": value}


@lru_cache(maxsize=4096)
def _columns(file: Path, max_bytes: int, size: int, time: int) -> tuple[str, ...]:
    """The columns of a tar; size and time belong to the key of the cache."""
    names: dict[str, None] = {}
    for _, parts in _groups(file, max_bytes, lambda ending: ending == "json"):
        names.update(dict.fromkeys(ending for ending in parts if ending != "json"))
        if isinstance(content := parts.get("json"), bytes):
            try:
                names.update(dict.fromkeys(_value("json", content)))
            except ValueError:  # set aside when rows are read
                continue
        if len(names) > MAX_COLUMNS:
            raise OmnifuseError(f"{file}: has more than {MAX_COLUMNS} columns; is it a WebDataset?")
    return tuple(names)


def _mark(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns
