"""Errors for the people who use omnifuse: one line that says what, where and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class OmnifuseError(ValueError):
    """Something the user gave cannot be used; the message is one line and says how to mend it."""


class UnknownName(OmnifuseError, KeyError):
    """A name that is not in a table; the message offers the nearest one that is."""

    def __str__(self) -> str:  # KeyError would show the repr of the message
        return str(self.args[0])


def nearest(name: object, known: Iterable[str]) -> str:
    """Return a hint that names the known word closest to `name`, or lists what is known.

    >>> nearest("aswer", ["answer", "image"])
    'did you mean "answer"?'
    >>> nearest("zzz", ["answer", "image"])
    'known: answer, image'
    """
    words = [str(word) for word in known]
    lowered = {word.lower(): word for word in words}
    close = get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{lowered[close[0]]}"?'
    if not words:
        return "nothing is known here"
    shown = ", ".join(words[:12])
    return f"known: {shown}" + (", …" if len(words) > 12 else "")


def unknown(kind: str, name: object, known: Iterable[str], where: str = "") -> UnknownName:
    """Build the error for a name that is not in a table.

    >>> str(unknown("fusion", "concta", ["concat", "product"], where="model.fusion"))
    'model.fusion: unknown fusion "concta"; did you mean "concat"?'
    """
    place = f"{where}: " if where else ""
    return UnknownName(f'{place}unknown {kind} "{name}"; {nearest(name, known)}')


def first_line(error: BaseException, most: int = 160) -> str:
    r"""The beginning of what another library says, for a message of one line; the kind of the error where it says nothing.

    >>> first_line(ValueError("no header\nin this file"))
    'no header'
    >>> first_line(KeyError())
    'KeyError'
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0][:most]
