"""Numbers and texts as a page shows them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def figure(value: float) -> str:
    """A number to read: three decimals below ten, then four digits, then whole numbers.

    >>> figure(0.98765), figure(123.456), figure(12345.6), figure(1e-5)
    ('0.988', '123.5', '12,346', '1e-05')
    """
    size = abs(value)
    if size and not 0.0005 <= size < 1e9:
        return f"{value:.3g}"
    return f"{value:,.{3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0}f}"


def span(ends: Sequence[float] | None) -> str:
    """From where to where a number lies; a dash where nobody knows.

    >>> span([0.1, 12.5]), span(None)
    ('0.100 to 12.50', '–')
    """
    return f"{figure(ends[0])} to {figure(ends[1])}" if ends else "–"


def quantity(value: float) -> str:
    """A number without needless decimals: whole ones as they are, others with four digits.

    >>> quantity(1200.0), quantity(0.5), quantity(33.3333)
    ('1,200', '0.5', '33.33')
    """
    if abs(value) < 1e9 and value == int(value):
        return f"{int(value):,}"
    return f"{value:,.4g}" if 1e-4 <= abs(value) < 1e4 else f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.3g}"


def percent(part: float, whole: float) -> str:
    """A share in percent that never claims nothing or everything where there is something.

    >>> percent(0, 5), percent(1, 100_000), percent(99_999, 100_000), percent(1, 3)
    ('0 %', '< 0.1 %', '> 99.9 %', '33.3 %')
    """
    share = 100 * part / whole if whole else 0.0
    if part and share < 0.1:
        return "< 0.1 %"
    if part < whole and share > 99.9:
        return "> 99.9 %"
    return f"{share:.0f} %" if share in (0, 100) else f"{share:.1f} %"


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "row"), counted(2400, "row"), counted(2, "copy", "copies")
    ('1 row', '2,400 rows', '2 copies')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(words: list[str], most: int = 6) -> str:
    """Words as a sentence lists them.

    >>> listed(["a", "b", "c"]), listed(["a", "b", "c", "d"], most=2)
    ('a, b and c', 'a, b and 2 more')
    """
    if len(words) > most:
        words = [*words[:most], f"{len(words) - most:,} more"]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def shorten(text: str, longest: int) -> str:
    """The beginning of a text on one line, cut between words where that loses little."""
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    head = text[:longest]
    space = head.rfind(" ")
    return (head[:space] if space > longest * 0.8 else head).rstrip() + "…"


def label(text: str, width: int = 24) -> str:
    """A name that fits an axis: one line, without control characters, its middle left out where it is long."""
    clean = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text)
    sizes = [2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in clean]
    if sum(sizes) <= width:
        return clean
    average = sum(sizes) / len(sizes)
    keep = int(width / average) - 1
    return f"{clean[: keep - keep // 3]}…{clean[len(clean) - keep // 3 :]}"
