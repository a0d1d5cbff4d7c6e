"""The fetch gate: the one place where bytes named by a user's table are read."""

from __future__ import annotations

from pathlib import Path

from omnifuse.core.errors import OmnifuseError


class BadValue(OmnifuseError):
    """A raw value that cannot be used; the message is the reason."""


def fetch(reference: str, root: Path, max_bytes: int) -> bytes:
    """Read the file that a table refers to.

    Args:
        reference: a path, absolute or relative to `root`.
        root: folder of relative paths.
        max_bytes: larger files are refused before they are read.

    Raises:
        BadValue: no such file, not a regular file, too large, unreadable, or an address on a network.
    """
    if "://" in reference:
        raise BadValue("addresses are not fetched; download the file and give its path")
    path = root / reference
    try:
        if not path.is_file():
            raise BadValue("not a regular file" if path.exists() else f"no such file in {root} (data.root names the folder)")
        size = path.stat().st_size
        if size > max_bytes:
            raise BadValue(f"{size / 1e6:.1f} MB is over the limit of {max_bytes / 1e6:.1f} MB (data.max_file_mb)")
        if size == 0:
            raise BadValue("the file is empty")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, BadValue):
            raise
        raise BadValue(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
