"""Sizes and durations as a plan tells them."""

from __future__ import annotations


def gigabytes(size: float) -> str:
    """Bytes to read, in 10⁹, or in smaller units where there are few.

    >>> gigabytes(81_234_000_000), gigabytes(1_191_249_431_392), gigabytes(2_345_678), gigabytes(4_096), gigabytes(0)
    ('81.2 GB', '1,191 GB', '2.35 MB', '4.1 kB', '0')
    """
    if size < 1e8:
        return f"{size / 1e6:.3g} MB" if size >= 1e5 else f"{size / 1e3:.3g} kB" if size else "0"
    return f"{size / 1e9:,.0f} GB" if size >= 1e11 else f"{size / 1e9:.3g} GB"


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
