"""Points in time, in whole nanoseconds, and places in an order."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from omnifuse.data.join.columns import Values, arrow, ranks
from omnifuse.data.join.scalars import NUMBER, mask, numbers, words
from omnifuse.data.modalities.config import NOTHING

if TYPE_CHECKING:
    import pyarrow as pa


LIMIT = 2**62  # so that the distance of two points in time fits into 64 bits; in nanoseconds 146 years either side of 1970
NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
WHOLE = r"^-?[0-9]{1,18}$"
MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?)?"
ZONED = MOMENT + r" ?(Z|z|[+-][0-9]{2}(:?[0-9]{2})?)$"
PLAIN_MOMENT = MOMENT + "$"


@dataclass(frozen=True)
class Instants:
    """Points in time in nanoseconds; those of rows marked `absent` or `unreadable` mean nothing."""

    values: np.ndarray
    absent: np.ndarray
    unreadable: np.ndarray


def instants(values: Values, unit: str = "s", absent: Sequence[str] = NOTHING) -> Instants:
    """Points in time, rounded to whole nanoseconds: timestamps, dates, ISO words (UTC unless they say), numbers in `unit`.

    >>> instants(["0.1", 2, "1970-01-01T00:00:01Z", "soon"]).values.tolist()
    [100000000, 2000000000, 1000000000, 0]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    array, scale = arrow(values), NANOSECONDS[unit]
    kind = None if array is None else array.type
    if (
        array is None
        or kind is None
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_null(kind)
        or pa.types.is_decimal(kind)
    ):
        spelt = words(values, absent)
        moments, readable = _parsed(spelt, scale)
        gone = mask(pc.is_null(spelt))
    elif pa.types.is_integer(kind):
        moments, readable = _scaled(_integers(array), scale)
        gone = mask(pc.is_null(array))
    elif pa.types.is_floating(kind):
        found = array.to_numpy(zero_copy_only=False)
        moments, readable = _decimal(found, scale)
        gone = np.isnan(found)
    elif pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        if pa.types.is_date(kind):
            array = array.cast(pa.timestamp("ms"))
        elif pa.types.is_time32(kind):
            array = array.cast(pa.time64("us"))
        moments, readable = _scaled(_integers(array.cast(pa.int64())), NANOSECONDS[array.type.unit])
        gone = mask(pc.is_null(array))
    else:
        moments, readable, gone = np.zeros(len(array), np.int64), np.zeros(len(array), bool), mask(pc.is_null(array))
    readable &= ~gone
    return Instants(np.where(readable, moments, 0), gone, ~readable & ~gone)


def positions(values: Values, absent: Sequence[str] = NOTHING) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """What rows are ordered by: sort keys, which rows have one, and the position as a number where it is one.

    Where at least half of the cells that say something are numbers, they go by size and the others have no place; else the same
    with dates and times (as seconds since 1970); else all go by the alphabet.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    array = arrow(values)
    spelt = words(values, absent)
    there = mask(pc.is_valid(spelt))
    if array is not None and pa.types.is_integer(array.type):
        return _integers(array), there, array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    found = numbers(values, absent)
    numeric = ~np.isnan(found.values)
    if 2 * numeric.sum() >= there.sum():
        whole = mask(pc.match_substring_regex(spelt, WHOLE))
        if not whole[numeric].all():
            return np.nan_to_num(found.values), numeric, found.values
        place = np.zeros(len(spelt), np.int64)  # 64-bit times would lose their end as floats
        place[whole] = _integers(spelt.filter(pa.array(whole)).cast(pa.int64()))
        return place, numeric, found.values
    moments = instants(values, "s", absent)
    timed = ~(moments.absent | moments.unreadable)
    if 2 * timed.sum() >= there.sum():
        return moments.values, timed, np.where(timed, moments.values / 1e9, np.nan)
    return ranks(spelt, np.arange(len(spelt))), there, None


def _parsed(spelt: pa.Array, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Points in time of words, each kind of word by its own rule."""
    import pyarrow as pa
    import pyarrow.compute as pc

    moments, readable = np.zeros(len(spelt), np.int64), np.zeros(len(spelt), bool)

    def fill(where: np.ndarray, found: tuple[np.ndarray, np.ndarray]) -> None:
        moments[where], readable[where] = found

    whole = mask(pc.match_substring_regex(spelt, WHOLE))
    broken = mask(pc.match_substring_regex(spelt, NUMBER)) & ~whole
    zoned = mask(pc.match_substring_regex(spelt, ZONED))
    plain = mask(pc.match_substring_regex(spelt, PLAIN_MOMENT))
    fill(whole, _scaled(_integers(spelt.filter(pa.array(whole)).cast(pa.int64())), scale))
    fill(broken, _scaled(np.array([_exact(word, scale) for word in spelt.filter(pa.array(broken)).to_pylist()], np.int64), 1))
    fill(zoned, _iso(spelt.filter(pa.array(zoned)), "UTC"))
    fill(plain, _iso(spelt.filter(pa.array(plain)), None))
    return moments, readable


def _iso(spelt: pa.Array, zone: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Points in time of ISO 8601 words; one by one where some day or hour does not exist."""
    import pyarrow as pa
    import pyarrow.compute as pc

    spelt = pc.replace_substring(spelt, ",", ".")
    spelt = pc.utf8_upper(pc.replace_substring_regex(spelt, r" ([Z+-])", r"\1")) if zone else spelt
    kind = pa.timestamp("ns", zone)
    try:
        return _scaled(_integers(spelt.cast(kind).cast(pa.int64())), 1)
    except pa.ArrowInvalid:
        if len(spelt) == 1:
            return np.zeros(1, np.int64), np.zeros(1, bool)
        half = len(spelt) // 2
        first, second = _iso(spelt[:half], zone), _iso(spelt[half:], zone)
        return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])


def _scaled(found: np.ndarray, scale: int) -> tuple[np.ndarray, np.ndarray]:
    readable = np.abs(found) < -(-LIMIT // scale)
    return np.where(readable, found, 0) * scale, readable


def _exact(word: str, scale: int) -> int:
    """Nanoseconds of a decimal number, LIMIT where they are too many."""
    found = Decimal(word)
    return round(found * scale) if abs(found) * scale < LIMIT - 1 else LIMIT


def _decimal(found: np.ndarray, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Nanoseconds of floats, rounded to the decimals a float of this size holds for certain, so that 0.3 means 0.3.

    Seconds since 1970 come out in whole microseconds.
    """
    readable = np.isfinite(found)
    size = np.abs(np.where(readable, found, 0))
    readable &= size < LIMIT / scale
    size[~readable] = 0
    grain = 10.0 ** np.ceil(np.log10(np.maximum(2 * scale * np.spacing(size).astype(np.float64), 1)))
    exact = np.where(readable, found, 0).astype(np.float64)
    whole = np.floor(exact)
    return whole.astype(np.int64) * scale + (np.rint((exact - whole) * scale / grain) * grain).astype(np.int64), readable


def _integers(array: pa.Array) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_uint64(array.type):  # beyond 63 bits: the largest there is
        array = pc.min_element_wise(array, pa.scalar(2**63 - 1, pa.uint64()), skip_nulls=False)
    return pc.fill_null(array.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
