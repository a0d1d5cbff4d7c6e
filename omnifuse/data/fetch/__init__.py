"""The fetch gate: the one place where files and addresses that a user names are read; limits stand before the work."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path
from typing import BinaryIO

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.fetch.limits import ATTEMPTS, DEADLINE_S, WAIT_S, Passing, check_size, parts_of
from omnifuse.data.fetch.limits import BadValue as BadValue


def fetch(reference: str, root: Path, max_bytes: int, *, allow_private: bool = False, deadline_s: float = DEADLINE_S) -> bytes:
    """Read the file or address that a table refers to.

    Args:
        reference: a path, absolute or relative to `root`, or an http(s):// or s3:// address.
        root: folder of relative paths.
        max_bytes: larger files are refused before they are read, or, where the server does not say, while they are.
        allow_private: whether addresses may lead to this machine or a private network.
        deadline_s: an address that has not been read whole by then is given up.

    Raises:
        BadValue: no such file, not a regular file, too large, unreadable; no answer, another answer than 200, a redirect to
            where this may not go. The message shows neither credentials nor the query of an address.
    """
    if is_address(reference):
        body = io.BytesIO()
        _read_address(reference, body, max_bytes, allow_private, deadline_s)
        if not body.tell():
            raise BadValue("the file is empty")
        return body.getvalue()
    path = root / reference
    try:
        if not path.is_file():  # before it is opened: a named pipe would wait for its writer
            raise BadValue("not a regular file" if path.exists() else f"no such file in {root} (data.root names the folder)")
        size = path.stat().st_size
        check_size(size, max_bytes)
        if size == 0:
            raise BadValue("the file is empty")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
        check_size(len(data), max_bytes)
        return data
    except (OSError, ValueError) as error:
        if isinstance(error, BadValue):
            raise
        raise BadValue(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def download(address: str, target: Path, max_bytes: int, deadline_s: float = 3600.0) -> None:
    """Write what the recipe's own address leads to into a file. It may be private; it may not lead from outside to inside."""
    from omnifuse.data.fetch import web

    try:
        parts_of(address)
        with target.open("wb") as file:
            _read_address(address, file, max_bytes, not address.startswith("s3:") and web.starts_private(address), deadline_s)
    except BadValue as error:
        raise OmnifuseError(f"{shown(address)}: {error}") from None


def stamp(address: str) -> str:
    """What tells versions of an address apart without reading it: ETag, time and size; empty when the server says nothing."""
    from omnifuse.data.fetch import s3, web

    try:
        if parts_of(address).scheme == "s3":
            info = s3.object_info(address)
            return f"{info.size}:{info.mtime_ns}"
        with web.answer_of(address, web.starts_private(address), WAIT_S, method="HEAD") as (_, headers):
            marks = [headers.get(name) or "" for name in ("ETag", "Last-Modified")]
            return ":".join([*marks, headers.get("Content-Length") or ""]) if any(marks) else ""
    except BadValue as error:
        raise OmnifuseError(f"{shown(address)}: {error}") from None


def listing(pattern: str) -> list[str]:
    """The s3:// addresses that a pattern such as `s3://bucket/part-*.parquet` finds, sorted."""
    from omnifuse.data.fetch import s3

    return s3.listing(pattern)


def check_host(host: str, port: int) -> None:
    """Whether somebody listens at a host that the recipe names; BadValue if not."""
    from omnifuse.data.fetch import web

    web.check_host(host, port)


def is_address(reference: str) -> bool:
    """Whether a word is an address rather than a path."""
    return "://" in reference[:64]


def shown(reference: str) -> str:
    """An address as messages and reports may show it: without credentials, query and fragment."""
    if not is_address(reference):
        return reference
    scheme, _, rest = reference.partition("://")
    host, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    host = host.rpartition("@")[2]
    if "@" in rest and not re.fullmatch(r"([^:]*|\[.*\])(:\d*)?", host):  # a password with a mark that seems to end the host
        return f"{scheme}://…"
    return f"{scheme}://{host}{slash}{path}"


def _read_address(address: str, sink: BinaryIO, max_bytes: int, allow_private: bool, deadline_s: float) -> None:
    """Copy an address into `sink`; faults that pass are tried again while there is time."""
    from omnifuse.data.fetch import s3, web

    end = time.monotonic() + deadline_s
    scheme = parts_of(address).scheme
    for attempt in range(ATTEMPTS):
        left = end - time.monotonic()
        try:
            if scheme == "s3":
                return s3.copy_object(address, sink, max_bytes, end)
            with web.answer_of(address, allow_private, left) as (read, headers):
                return web.copy_answer(read, headers, sink, max_bytes)
        except Passing as fault:
            wait = 0.25 * 4**attempt
            if attempt == ATTEMPTS - 1 or time.monotonic() + wait >= end:
                raise BadValue(str(fault)) from None
            sink.seek(0)
            sink.truncate()
            time.sleep(wait)
