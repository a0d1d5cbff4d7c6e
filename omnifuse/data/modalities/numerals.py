"""Numbers as people write them: `$1,083.31`, `12 %`, `1.083,31 €`, `180 cm`."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.fetch import BadValue

Format = Literal["plain", "point", "comma"]
MINUS = str.maketrans({"−": "-", "‒": "-", "–": "-"})
EXPONENT = r"(?:[eE][-+]?\d+)?"


def _grouped(group: str, point: str) -> re.Pattern[str]:
    """Digits with or without groups; the last group has three digits, others two (as in India) or three."""
    whole = rf"\d{{1,3}}(?:[{group}'’\s]\d{{2,3}})*[{group}'’\s]\d{{3}}|\d+"
    return re.compile(rf"([-+]?)\s*(?:({whole})(?:{point}(\d*))?|{point}(\d+))({EXPONENT})")


NUMERAL = {"point": _grouped(",", r"\."), "comma": _grouped(r".", ",")}
WITH_UNIT = re.compile(rf"([-+]?(?:\d[\d.,'’\s]*|[.,]\d+){EXPONENT})\s*(\D.*)?", re.DOTALL)
SAFE_UNIT = re.compile(r"[^\W\d_°%µ]?(?:[^\W\d]|[°%/·*^²³]|-?\d(?!\d)|\s|\.(?!\d)){0,40}")


def read_numeral(word: str, form: Format) -> float:
    """The number that a word says.

    Args:
        word: what is written.
        form: `plain` takes what Python takes; `point` and `comma` say which sign stands before the fraction, allow the
            other one, blanks and apostrophes between groups of digits, and leave out signs of money and per cent.

    Raises:
        BadValue: it says no number, or its digits are not grouped as `form` says.

    >>> read_numeral("$1,083.31", "point"), read_numeral("1.083,31 €", "comma"), read_numeral("(12 %)", "point")
    (1083.31, 1083.31, -12.0)
    """
    if form == "plain":
        try:
            return float(word)
        except ValueError:
            raise BadValue(f"{word[:40]!r} is not a number") from None
    bare = word.translate(MINUS).strip()
    negative = bare.startswith("(") and bare.endswith(")")  # as accounts write it
    bare = "".join(sign for sign in bare.strip("()") if sign not in "%‰" and unicodedata.category(sign) != "Sc").strip()
    if bare.lower() in ("nan", "inf", "-inf"):
        return float(bare)
    match = NUMERAL[form].fullmatch(bare)
    if match is None or (negative and match[1]):
        raise BadValue(f"{word[:40]!r} is not a number written with a decimal {form}")
    sign, whole, fraction, only_fraction, exponent = match.groups()
    digits = re.sub(r"\D", "", whole or "0")
    number = float(f"{sign}{digits}.{fraction or only_fraction or '0'}{exponent}")
    return -number if negative else number


def read_quantity(word: str, form: Format, unit: str) -> float:
    """The number that a word says, in `unit`: `1.8 m` is 180 in centimetres; a number alone is in `unit` already.

    Raises:
        BadValue: it says no number, or a unit that is unknown or measures something else.
        OmnifuseError: `unit` itself is unknown, or pint is not installed.
    """
    match = WITH_UNIT.fullmatch(word.translate(MINUS).strip())
    if match is None:
        raise BadValue(f"{word[:40]!r} is not a number with a unit")
    number = read_numeral(match[1].strip(), form)
    written = (match[2] or "").strip()
    return number if not written or written == unit else _conversion(written, unit)(number)


def knows_unit(word: str) -> bool:
    """Whether pint is installed and knows a unit of this name."""
    try:
        return _unit(word) is not None
    except OmnifuseError:
        return False


@lru_cache(maxsize=4096)
def _conversion(written: str, unit: str) -> Callable[[float], float]:
    """From a written unit to that of the column. Most conversions are a factor, kept because pint is slow; degrees are not."""
    theirs, ours = _unit(written), _unit(unit)
    if ours is None:
        raise OmnifuseError(f"unit: {unit!r} is not a unit that pint knows, such as cm, kg, km/h or degC")
    if theirs is None:
        raise BadValue(f"{written[:40]!r} is not a unit")

    def convert(number: float) -> float:
        return float(_registry().Quantity(number, theirs).to(ours).magnitude)

    try:
        zero, factor, five = convert(0.0), convert(1.0), convert(5.0)
    except Exception:  # pint has an error for each kind of misfit
        raise BadValue(f"{written[:40]!r} cannot be converted to {unit}") from None
    is_factor = zero == 0 and math.isclose(five, 5 * factor, rel_tol=1e-12)
    return (lambda number: number * factor) if is_factor else convert


def _unit(word: str) -> Any:
    """A unit of pint, or `None`. High powers are not tried: a stranger's `m**999999999` would keep the machine busy."""
    if not SAFE_UNIT.fullmatch(word):
        return None
    try:
        return _registry().parse_units(word)
    except Exception:  # undefined units, and whatever strange words lead pint's parser to
        return None


@lru_cache(maxsize=1)
def _registry() -> Any:
    try:
        import pint
    except ImportError:
        raise OmnifuseError("unit: converting units needs pint; pip install 'omnifuse[units]'") from None
    return pint.UnitRegistry()
