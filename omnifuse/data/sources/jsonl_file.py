"""JSON, one object a line, read strictly: a broken line is named by its number or set aside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.sources.bad_rows import BadRows
from omnifuse.data.sources.config import TableSourceConfig
from omnifuse.data.sources.formats import numbered_lines, printable
from omnifuse.data.sources.part import Part

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 4096
MAX_DEPTH = 64


def open_jsonl(path: Path, config: TableSourceConfig, bad: BadRows) -> Part:
    """Open a JSONL file; it is read once for the names of its columns, of which any line may bring more.

    Raises:
        OmnifuseError: a line is not one JSON object, unless such lines are set aside; none is.
    """
    stat = path.stat()
    names, types = _columns(path, config.skip_rows, config.bad_rows == "quarantine", stat.st_size, stat.st_mtime_ns)

    words = [field.name for field in types if str(field.type) == "string"]

    def rows(_: Sequence[str] | None) -> Iterator[dict[str, Any]]:
        for row in _rows(path, config.skip_rows, bad if config.bad_rows == "quarantine" else None):
            for name in words:  # a column of words and numbers is one of words
                if not isinstance(row.get(name), str | None):
                    row[name] = str(row[name])
            yield row

    return Part(path, printable(path.name), list(names), rows, types, is_fixed=False)


def _rows(path: Path, skip: int, bad: BadRows | None) -> Iterator[dict[str, Any]]:
    for number, line in numbered_lines(path):
        if number <= skip or not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f'holds a {type(row).__name__} where an object such as {{"text": "…"}} is expected')
            if b"\\u" in line or b"\xed" in line:
                json.dumps(row, ensure_ascii=False).encode()  # halves of surrogate pairs cannot be kept
            if line.count(b"[") + line.count(b"{") > MAX_DEPTH and _is_deeper(row, MAX_DEPTH):
                raise RecursionError
        except (ValueError, RecursionError) as error:
            reason = _reason(error)
            if bad is None:
                raise OmnifuseError(f"{path}: line {number} {reason} (mend it, or set `bad_rows: quarantine` of the source)") from None
            bad.add(printable(path), number, line.decode("utf-8", "replace").strip(), reason)
            continue
        if bad:
            bad.read += 1
        yield row


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects lie in each other more than so many levels deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_is_deeper(each, levels - 1) for each in inner)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "holds half of a surrogate pair, which stands for no character"
    if isinstance(error, UnicodeError):
        return "is not UTF-8 text"
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON ({error.msg} at character {error.pos + 1})"
    return "is nested too deeply" if isinstance(error, RecursionError) else str(error)


@lru_cache(maxsize=64)
def _columns(path: Path, skip: int, lenient: bool, size: int, time: int) -> tuple[tuple[str, ...], pa.Schema]:
    """Names and Arrow types of all keys; size and time belong to the key of the cache."""
    from omnifuse.data.sources.arrow_types import Types

    names: dict[str, None] = {}
    types = Types()
    chunk: list[dict[str, Any]] = []
    for row in _rows(path, skip, BadRows() if lenient else None):
        names.update(dict.fromkeys(row))
        chunk.append(row)
        if len(chunk) == CHUNK:
            types.add(chunk)
            chunk = []
    types.add(chunk)
    if not names:
        raise OmnifuseError(f"{path}: holds no rows")
    return tuple(names), types.schema(list(names))
