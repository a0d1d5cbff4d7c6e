"""Sizes and durations as a plan tells them."""

from __future__ import annotations


def size_of(size: float) -> str:
    """Bytes to read, in the unit that suits.

    >>> size_of(81_234_000_000), size_of(1_191_249_431_392), size_of(2_345_678), size_of(4_096), size_of(64)
    ('81.2 GB', '1,191 GB', '2.35 MB', '4.1 kB', '64 B')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= 0.9995 * unit:
            return f"{size / unit:,.0f} {name}" if size >= 99.95 * unit else f"{size / unit:.3g} {name}"
    return f"{size:.0f} B"


def amount(number: float) -> str:
    """A count to read.

    >>> amount(70_553_706_496), amount(8_030_000), amount(950), amount(0.0)
    ('70.6 G', '8.03 M', '950', '0')
    """
    for size, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:,.3g} {letter}"
    return f"{number:.3g}"


def duration(seconds: float) -> str:
    """A time to read.

    >>> duration(0.0123), duration(75), duration(7200), duration(260_000), duration(4e9)
    ('0.0123 s', '75 s', '2 h', '3.01 days', '127 years')
    """
    for size, name in ((365 * 86400, "years"), (86400, "days"), (3600, "h"), (120, "min")):
        if seconds >= size:
            return f"{seconds / (60 if name == 'min' else size):,.3g} {name}"
    return f"{seconds:.3g} s"
