"""Series with timestamps: put in order, and brought to an even rate without filling wide gaps."""

from __future__ import annotations

import numpy as np

from omnifuse.data.decode.series import Series
from omnifuse.data.fetch import BadValue

UNITS_PER_S = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def split_time(series: Series, name: str, unit: str) -> tuple[Series, np.ndarray]:
    """Take the channel that holds the time out of a series and sort by it.

    Returns:
        The other channels, and (T,) seconds since the first step.

    Raises:
        BadValue: there is no such channel, or a time is missing.
    """
    if name not in series.names:
        raise BadValue(f'there is no channel "{name}" with the time; the file has {", ".join(series.names[:12]) or "no names"}')
    if len(series.names) == 1:
        raise BadValue("there is no channel beside the time")
    place = series.names.index(name)
    times = series.values[:, place] / UNITS_PER_S[unit]
    if np.isnan(times).any():
        raise BadValue(f"step {int(np.isnan(times).argmax()) + 1}: the time is missing")
    order = np.argsort(times, kind="stable")
    names = series.names[:place] + series.names[place + 1 :]
    return Series(np.delete(series.values, place, axis=1)[order], names), times[order] - times[order[0]]


def even_steps(values: np.ndarray, seconds: np.ndarray, rate_hz: float, max_gap_s: float | None, max_steps: int) -> np.ndarray:
    """(T, C) at times (T,) → (T', C) at an even rate, linearly between the neighbours of each channel.

    A step between neighbours that lie further apart than `max_gap_s` is missing, and so is one before the first or after the
    last value of its channel. By default the widest gap is twice the median step, or twice the new step if that is wider.
    """
    steps = np.diff(seconds)
    usual = float(np.median(steps)) if len(steps) else 0.0
    widest = max_gap_s if max_gap_s is not None else 2 * max(usual, 1 / rate_hz)
    count = min(max_steps, int(seconds[-1] * rate_hz * (1 + 1e-9)) + 1)
    grid = np.arange(count) / rate_hz
    tolerance = 1e-6 / rate_hz  # rounding of times that are meant to lie on the grid
    even = np.full((count, values.shape[1]), np.nan)
    for channel, column in enumerate(values.T):
        there = ~np.isnan(column)
        known_s, known = seconds[there], column[there]
        if not len(known):
            continue
        after = np.searchsorted(known_s, grid - tolerance)
        is_on = (after < len(known)) & (np.abs(known_s[np.minimum(after, len(known) - 1)] - grid) <= tolerance)
        before, after = np.clip(after - 1, 0, len(known) - 1), np.minimum(after, len(known) - 1)
        is_between = (known_s[before] < grid) & (known_s[after] > grid) & (known_s[after] - known_s[before] <= widest * (1 + 1e-9))
        even[:, channel] = np.where(is_between, np.interp(grid, known_s, known), np.nan)
        even[is_on, channel] = known[after[is_on]]
    return even
