"""What all ways in have in common: the fault they raise, the limits they keep."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from omnifuse.core.errors import OmnifuseError

DEADLINE_S = 60.0
WAIT_S = 20.0
ATTEMPTS = 3
BLOCK = 1 << 18
SCHEMES = ("http", "https", "s3")


class BadValue(OmnifuseError):
    """A raw value that cannot be used; the message is the reason."""


class Passing(BadValue):
    """A fault that may be gone at the next attempt."""


def check_size(size: int, max_bytes: int) -> None:
    """Refuse what is larger."""
    if size > max_bytes:
        raise BadValue(f"{size / 1e6:.1f} MB is over the limit of {max_bytes / 1e6:.1f} MB (data.max_file_mb)")


def parts_of(address: str) -> Any:
    """The parts of an address of a kind that is read here; BadValue for another."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # a port that is no number raises only when it is asked for
    except ValueError:
        raise BadValue("is not a valid address") from None
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise BadValue(f"addresses of this kind are not fetched (only {', '.join(SCHEMES)}); download the file and give its path")
    return parts
