"""Numbers cut into quarters, with words for each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from omnifuse.data.modalities.instants import moment
from omnifuse.page.words import quantity

Worded = Callable[[float], str]


def quarters(values: np.ndarray, worded: Worded = quantity) -> list[tuple[str, np.ndarray]]:
    """What says in which quarter of the known values (N,) a row lies, and the rows (N,) that do; NaN lies in none.

    Ends belong to the lower quarter. Where many values are equal there are fewer than four.

    >>> [words for words, _ in quarters(np.arange(8.0))]
    ['at most 1.75', 'above 1.75, at most 3.5', 'above 3.5, at most 5.25', 'above 5.25']
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return []
    ends = [float(end) for end in np.unique(np.quantile(known, [0.25, 0.5, 0.75])) if end < known.max()]
    place = np.where(np.isnan(values), -1, np.searchsorted(ends, values, side="left"))
    words = [f"above {worded(low)}, at most {worded(high)}" for low, high in pairwise(ends)]
    words = [f"at most {worded(ends[0])}", *words, f"above {worded(ends[-1])}"] if ends else [f"at most {worded(float(known.max()))}"]
    return [(word, place == number) for number, word in enumerate(words)]


def moments_worded(values: np.ndarray, zone: dt.tzinfo) -> Worded:
    """How moments (microseconds since 1970) are written: days where they span more than a few of them, else minutes."""
    days = len(values) > 0 and float(np.nanmax(values) - np.nanmin(values)) > 8 * 86_400e6

    def worded(value: float) -> str:
        at = moment(value, zone)
        return f"{at:%Y-%m-%d}" if days else f"{at:%Y-%m-%d %H:%M}"

    return worded


def numbers_of(values: list[Any]) -> np.ndarray:
    """(N,) float64, NaN where a value is absent."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
