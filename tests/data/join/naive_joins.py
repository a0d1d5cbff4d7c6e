"""Joins as one would write them by hand: two loops over Python's rows. What the real ones are compared with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any


def key(row: dict[str, Any], columns: list[str]) -> tuple[str, ...] | None:
    """The words of a key, none when a part is absent."""
    found = []
    for column in columns:
        value = row[column]
        if value is None or value != value or (isinstance(value, str) and not value.strip()):
            return None
        word = str(int(value)) if isinstance(value, float) and value == int(value) else str(value).strip()
        whole, point, zeros = word.partition(".")
        found.append(whole if point and zeros and not zeros.strip("0") and whole.lstrip("-").isdecimal() else word)
    return tuple(found)


def by_key(left: list[dict], right: list[dict], on: list[str]) -> list[list[dict]]:
    """All partners of each row."""
    return [[theirs for theirs in right if key(ours, on) is not None and key(ours, on) == key(theirs, on)] for ours in left]


def seconds(value: Any) -> Decimal | None:
    """An exact time."""
    return None if value is None else Decimal(str(value))


def distances(ours: dict, right: list[dict], by: list[str], offset: str) -> list[tuple[Decimal, dict]]:
    """How much later each row of the same key is, and the row."""
    now = seconds(ours["t"])
    if now is None or key(ours, by) is None:
        return []
    rows = [(seconds(theirs["t"]), theirs) for theirs in right if key(theirs, by) == key(ours, by)]
    return [(time + Decimal(offset) - now, theirs) for time, theirs in rows if time is not None]


def asof(left: list[dict], right: list[dict], by: list[str], direction: str, tolerance: str, offset: str) -> list[dict | None]:
    """The nearest row: of two equally near ones the earlier, of those of one time the one with the smallest value."""
    found = []
    for ours in left:
        near = [
            (abs(d), d, theirs["v"], theirs)
            for d, theirs in distances(ours, right, by, offset)
            if direction == "nearest" or (d <= 0 if direction == "backward" else d >= 0)
        ]
        best = min(near, key=lambda one: one[:3], default=None)
        found.append(best[3] if best and best[0] <= Decimal(tolerance) else None)
    return found


def window(left: list[dict], right: list[dict], by: list[str], before: str, after: str, offset: str) -> list[list[tuple[Decimal, Any]]]:
    """Time and value of all rows in the span of each row, in order."""
    return [
        sorted((d, theirs["v"]) for d, theirs in distances(ours, right, by, offset) if -Decimal(before) <= d <= Decimal(after))
        for ours in left
    ]
