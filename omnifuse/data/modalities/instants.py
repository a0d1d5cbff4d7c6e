"""Moments as microseconds since 1970 UTC: read from words, numbers and the objects of Python, NumPy and pandas."""

from __future__ import annotations

import datetime as dt
import math
import re
import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError, nearest
from omnifuse.data.fetch import BadValue

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
EARLIEST = (dt.datetime(1, 1, 3, tzinfo=dt.UTC) - EPOCH) // MICROSECOND  # two days of room for zones
LATEST = (dt.datetime(9999, 12, 29, tzinfo=dt.UTC) - EPOCH) // MICROSECOND
SINCE_1970 = {"unix_s": 1_000_000.0, "unix_ms": 1000.0, "unix_us": 1.0, "unix_ns": 0.001}
ZONE = r"\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?"
CLOCK = r"(?:[T\s]\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9})\d*)?)?"
EXTENDED = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){CLOCK}{ZONE})?", re.IGNORECASE)
BASIC = re.compile(rf"(\d{{4}})()(\d{{2}})(\d{{2}})(?:T(\d{{2}})(\d{{2}})(?:(\d{{2}})(?:[.,](\d{{1,9}})\d*)?)?{ZONE})?", re.IGNORECASE)
TWO_WAYS = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})\b(.*)", re.DOTALL)


def microseconds(value: Any, form: str | None, zone: dt.tzinfo) -> int:
    """A moment as whole microseconds since 1970 UTC.

    Args:
        value: a `datetime`, a `date`, a timestamp of pandas or NumPy, a word, or a number where `form` says what it counts.
        form: `None` for ISO 8601, a format of `strptime`, or one of `unix_s`, `unix_ms`, `unix_us`, `unix_ns`.
        zone: of moments that do not say theirs. Where clocks are set back, an hour that comes twice is the first one.

    Raises:
        BadValue: it says no moment, or one that could be read in two ways, or one outside the years 1 to 9999.
    """
    try:
        found = _read(value, form, zone)
    except (OverflowError, OSError):
        raise BadValue(f"{str(value)[:40]!r} lies outside the years 1 to 9999") from None
    if not EARLIEST <= found <= LATEST:
        raise BadValue(f"{str(value)[:40]!r} lies outside the years 1 to 9999")
    return found


def moment(microseconds: float, zone: dt.tzinfo) -> dt.datetime:
    """The moment so many microseconds after 1970 UTC, on the clocks of `zone`; what lies too far is brought to the nearest year."""
    within = int(min(max(microseconds, EARLIEST), LATEST))
    return (EPOCH + dt.timedelta(microseconds=within)).astimezone(zone)


@lru_cache(maxsize=64)
def zone_of(name: str) -> dt.tzinfo:
    """The time zone of a name such as `Europe/Berlin`."""
    if name == "UTC":
        return dt.UTC  # there also where the machine has no table of zones
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        hint = nearest(name, sorted(zoneinfo.available_timezones()) or ["UTC"])
        raise OmnifuseError(f'timezone: unknown time zone "{name}"; {hint}') from None


def check_format(form: str | None) -> None:
    """Raise unless `form` is one that `microseconds` takes."""
    if form is None or form in SINCE_1970:
        return
    if "%" not in form:
        hint = nearest(form, [*SINCE_1970, "%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y"])
        raise OmnifuseError(f'format: "{form}" says nothing of how a moment is written; {hint}')
    try:
        _parsed(EPOCH.strftime(form), form)
    except ValueError as error:
        raise OmnifuseError(f'format: "{form}" is no format of strptime ({error})') from None


def _read(value: Any, form: str | None, zone: dt.tzinfo) -> int:
    if isinstance(value, np.datetime64):
        if not 1 <= int(value.astype("datetime64[Y]").astype(np.int64)) + 1970 <= 9999:
            raise OverflowError
        value = value.astype("datetime64[us]").item()
    if isinstance(value, dt.datetime):
        return _since(value, zone)
    if isinstance(value, dt.date):
        return _since(dt.datetime.combine(value, dt.time()), zone)
    if isinstance(value, bool | np.bool_) or not isinstance(value, str | int | float | np.integer | np.floating):
        raise BadValue(f"{type(value).__name__} {str(value)[:40]!r} is not a moment")
    if form in SINCE_1970:
        return _counted(value, SINCE_1970[form])
    if isinstance(value, str):
        word = value.strip()
    elif form is None:
        raise BadValue(f"{str(value)[:40]!r} is a number; say what it counts, such as `format: unix_s`, or how it is written")
    else:
        word = str(int(value)) if float(value).is_integer() else str(value)  # 20240531 with `%Y%m%d`
    return _since(_written(word, form), zone)


def _written(word: str, form: str | None) -> dt.datetime:
    try:
        return _iso(word) if form is None else _parsed(word, form)
    except ValueError as error:
        if isinstance(error, BadValue):
            raise
        why = f"does not match the format {form}" if form else f"is not a moment ({error})"
        raise BadValue(f"{word[:40]!r} {why}") from None


def _iso(word: str) -> dt.datetime:
    """ISO 8601, and near forms that have the year first: `2024/5/1 9:30`, `2024-05-01 09:30:00 +0200`, `20240501T0930`."""
    match = EXTENDED.fullmatch(word) or BASIC.fullmatch(word)
    if match is None:
        raise BadValue(_not_iso(word))
    year, _, month, day, hour, minute, second, fraction, zone = match.groups()
    micro = int(fraction[:6].ljust(6, "0")) if fraction else 0
    read = dt.datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micro)
    return read.replace(tzinfo=_offset(zone)) if zone else read


def _not_iso(word: str) -> str:
    """Why a word is refused, and what would mend it."""
    two = TWO_WAYS.fullmatch(word)
    if two is None:
        return f"{word[:40]!r} is not an ISO 8601 moment such as 2024-05-31; give the column a `format`, such as `%d %b %Y`"
    _, mark, _, year, rest = two.groups()
    tail = f"{mark}%{'Y' if len(year) == 4 else 'y'}{' %H:%M' if rest.strip() else ''}"
    return f"{word[:40]!r} may begin with the day or the month; give the column the `format` %d{mark}%m{tail} or %m{mark}%d{tail}"


def _offset(zone: str) -> dt.tzinfo:
    if zone.upper() in ("Z", "UTC", "GMT"):
        return dt.UTC
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        raise ValueError(f"an offset of {zone[1:]}")
    return dt.timezone(dt.timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1))


def _parsed(word: str, form: str) -> dt.datetime:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of formats without a year
        return dt.datetime.strptime(word, form)


def _counted(value: Any, factor: float) -> int:
    try:
        number = float(value)
    except ValueError:
        raise BadValue(f"{str(value)[:40]!r} is not a number of seconds or parts of them since 1970") from None
    if not math.isfinite(number):
        raise OverflowError
    whole = isinstance(value, int | np.integer) and factor >= 1
    return int(value) * int(factor) if whole else round(number * factor)


def _since(read: dt.datetime, zone: dt.tzinfo) -> int:
    aware = read if read.tzinfo else read.replace(tzinfo=zone)
    return (aware - EPOCH) // MICROSECOND
