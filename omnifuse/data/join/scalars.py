"""What a cell says: a key (a word) or a number. The same cell says the same in CSV, Parquet and Python."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.join.columns import Values, arrow
from omnifuse.data.modalities.config import NOTHING

if TYPE_CHECKING:
    import pyarrow as pa


NUMBER = r"^-?([0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})([eE][+-]?[0-9]{1,3})?$"
# As programs write floats: with a point, or with a sign before the exponent. `1e5` and `12e3` may be codes and stay words.
EXPONENT = r"^-?(0|[1-9][0-9]*)(\.[0-9]*[eE][+-]?|[eE][+-])[0-9]{1,3}$"
FLOAT_DIGITS = 19  # that programs write of a float at most; what has more is a decimal


@dataclass(frozen=True)
class Numbers:
    """Numbers of a column, NaN where there is none; `unreadable` marks cells that say something else."""

    values: np.ndarray
    unreadable: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """Cells that say nothing."""
        return np.isnan(self.values) & ~self.unreadable


def words(values: Values, absent: Sequence[str] = ()) -> pa.Array:
    """Keys as words: trimmed, one normal form (NFC), whole numbers without a point, numbers without an exponent; null where none is.

    >>> words([7, 7.0, " 7 ", "007", None, " "]).to_pylist()
    ['7', '7', '7', '007', None, None]
    >>> words([1e-5, "1e-05", "0.00001", "1e5"]).to_pylist()
    ['0.00001', '0.00001', '0.00001', '1e5']
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    array = arrow(values)
    if array is None:
        array = pa.array([_word(value) for value in values], pa.large_string())
    spelt = _spelt(array)
    if not pa.types.is_large_string(spelt.type):
        return spelt.cast(pa.large_string())  # numbers, which need no trimming
    spelt = pc.utf8_normalize(pc.utf8_trim_whitespace(spelt), form="NFC")
    spelt = pc.replace_substring_regex(spelt, r"^(-?\d+)\.0+$", r"\1")  # as labels are read: pandas writes 7.0 beside a gap
    written = _written_out(spelt)
    marks = pa.array(["", *absent], pa.large_string())
    nothing = pc.or_(pc.is_in(spelt, value_set=marks), pc.is_in(written, value_set=marks))
    return pc.if_else(nothing, pa.scalar(None, pa.large_string()), written)


def numbers(values: Values, absent: Sequence[str] = NOTHING) -> Numbers:
    """Numbers as they are, words that are numbers; infinite ones count as unreadable.

    >>> numbers(["1.5", "", "2,5", 3]).values.tolist()
    [1.5, nan, nan, 3.0]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    array = arrow(values)
    if array is not None and pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    if array is not None and (pa.types.is_floating(array.type) or pa.types.is_integer(array.type) or pa.types.is_decimal(array.type)):
        found = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
        unreadable = np.isinf(found)
        return Numbers(np.where(unreadable, np.nan, found), unreadable)
    spelt = words(values, absent)
    is_number = mask(pc.match_substring_regex(spelt, NUMBER))
    found = np.full(len(spelt), np.nan)
    found[is_number] = [float(word) for word in spelt.filter(pa.array(is_number)).to_pylist()]
    unreadable = (~is_number | np.isinf(found)) & mask(pc.is_valid(spelt))
    return Numbers(np.where(unreadable, np.nan, found), unreadable)


def _spelt(array: pa.Array) -> pa.Array:
    """Words of an Arrow array; strings (not yet trimmed) as large strings, the words of numbers as strings."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        return _spelt(array.dictionary_decode())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return array.cast(pa.large_string())
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return array.cast(pa.string())
    if pa.types.is_floating(kind):
        found = array.to_numpy(zero_copy_only=False)
        whole = np.isfinite(found) & (found == np.floor(found)) & (np.abs(found) < 2.0**63)
        if (whole | np.isnan(found)).all():
            return pa.array(np.where(whole, found, 0).astype(np.int64), mask=~whole).cast(pa.string())
        return pa.array([_word(value) for value in found], pa.string())
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        short = pc.replace_substring_regex(array.cast(pa.string()), r"^(.*\.\d*?)0*(Z?)$", r"\1\2")
        return _written_out(pc.replace_substring_regex(short, r"\.(Z?)$", r"\1"))
    raise OmnifuseError(f"a column of {kind} cannot be compared; keys, numbers and times are words, numbers or dates")


def _word(value: Any) -> str | None:
    """The word of one Python value, the same as that of an Arrow array of its kind."""
    import pyarrow as pa

    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            return None
        return str(int(value)) if math.isfinite(value) and value == math.floor(value) else np.format_float_positional(value, trim="-")
    if isinstance(value, int | np.integer):
        return str(value)
    if isinstance(value, date | datetime | time | timedelta | Decimal):
        return _spelt(pa.array([value]))[0].as_py()
    raise OmnifuseError(f"a value of {type(value).__name__} cannot be compared; keys, numbers and times are words, numbers or dates")


def _written_out(spelt: pa.Array) -> pa.Array:
    """Words with the numbers among them that have an exponent written as those that have none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    places = mask(pc.match_substring_regex(spelt, EXPONENT))
    if not places.any():
        return spelt
    return pc.replace_with_mask(spelt, pa.array(places), pa.array(map(_plain, spelt.filter(pa.array(places)).to_pylist()), spelt.type))


def _plain(word: str) -> str:
    """A number with an exponent as it is spelt without; as it stands where a float cannot hold it."""
    exact, found = Decimal(word), float(word)
    if len("".join(map(str, exact.as_tuple().digits)).strip("0")) > FLOAT_DIGITS:
        return format(exact, "f").rstrip("0") if exact % 1 else format(exact, "f")
    return word if math.isinf(found) or (found == 0 and exact) else str(_word(found))


def mask(array: pa.Array) -> np.ndarray:
    """Truth values for NumPy; null is false."""
    import pyarrow.compute as pc

    return pc.fill_null(array, False).to_numpy(zero_copy_only=False).astype(bool)
