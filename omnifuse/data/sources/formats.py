"""Which format a file has, by its first bytes and its ending, and how packed files are opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".ts": "ts",
}
MAX_LINE_BYTES = 64_000_000
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
READ = "CSV, TSV, JSONL or Parquet, Arrow or .ts"


def open_bytes(path: Path) -> Any:
    """Open a file for reading; what gzip, zstd, bzip2 or brotli (`.br`) packed is unpacked while it is read."""
    import pyarrow as pa

    file = path.open("rb")  # Arrow opens only names that are UTF-8
    head = file.read(4)
    file.seek(0)
    packing = next((name for mark, name in PACKED.items() if head.startswith(mark)), "brotli" if path.suffix == ".br" else None)
    return pa.input_stream(file, compression=packing, buffer_size=1 << 16)


def printable(path: Path | str) -> str:
    """A path that can be written everywhere: bytes of it that are not UTF-8 are spelt out."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def first_bytes(path: Path, count: int = 512) -> bytes:
    """The first bytes of a file as they are once unpacked.

    Raises:
        OmnifuseError: an empty file, or one that cannot be opened.
    """
    try:
        if path.stat().st_size == 0:
            raise OmnifuseError(f"{path}: the file is empty")
        with open_bytes(path) as stream:
            return stream.read(count)
    except OSError as error:
        raise OmnifuseError(f"{path}: cannot be read ({error.strerror or ' '.join(str(error).split())[:120]})") from None


def format_of(path: Path) -> str:
    """The format of a table file.

    Raises:
        OmnifuseError: it is none of them.
    """
    head = first_bytes(path)
    for kind, mark in (("parquet", b"PAR1"), ("arrow", b"ARROW1")):
        if head.startswith(mark):
            if printable(path) != str(path):  # Arrow opens these files itself
                raise OmnifuseError(f"{printable(path)}: Parquet and Arrow files are opened by paths that are UTF-8 alone; rename it")
            return kind
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    for suffix in reversed(path.suffixes):
        kind = FORMATS.get(suffix.lower())
        if kind in ("parquet", "arrow"):
            raise OmnifuseError(f"{path}: cannot be read as {kind}, for its first bytes are not those of such a file")
        if kind == "jsonl" and start == b"[":
            raise OmnifuseError(f"{path}: holds one JSON array; write one object a line (JSONL) instead")
        if kind:
            return kind
    if head[:16].startswith(b"SQLite format 3"):
        raise OmnifuseError(f"{path}: is a database; give `name: sql`, a `query`, and `connection: sqlite:///{path}`")
    if start == b"{":
        return "jsonl"
    raise OmnifuseError(f"{path}: unknown format; use {READ}, with that ending")


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a text file with their numbers, without the mark that Windows writes at its head.

    Raises:
        OmnifuseError: a line is longer than 64 MB, or what packed the file is damaged.
    """
    import io

    try:
        with open_bytes(path) as stream, io.BufferedReader(stream, 1 << 20) as lines:
            number = 0
            while line := lines.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise OmnifuseError(f"{path}: line {number} is longer than {MAX_LINE_BYTES // 10**6} MB; is this a table?")
                yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
    except OSError as error:
        raise OmnifuseError(f"{path}: cannot be read ({' '.join(str(error).split())[:120]})") from None
