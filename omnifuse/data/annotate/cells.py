"""Values as the words and numbers of a table."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from omnifuse.data.modalities.instants import EPOCH

LONGEST_WHOLE = 1e15  # whole numbers beyond are written with an exponent


def moment_word(microseconds: int) -> str:
    """A moment, as a dataset keeps it, in ISO 8601.

    >>> moment_word(1716033600000000)
    '2024-05-18T12:00:00+00:00'
    """
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat()


def table_cell(value: Any, modality: str = "") -> Any:
    """A value as a word or number of a table: moments in ISO 8601, several values as a JSON list, `None` as it is.

    Args:
        value: canonical, or as a table has it.
        modality: of its column, for a canonical value.
    """
    if modality == "datetime" and isinstance(value, int):
        return moment_word(value)
    if isinstance(value, tuple | list | set | frozenset):
        return json.dumps(list(value), ensure_ascii=False, default=str)
    return value if isinstance(value, int | float) else str(value) if value is not None else None


def number_word(value: float) -> str:
    """A number with all of its digits.

    >>> number_word(1234567.891), number_word(3.0), number_word(0.1)
    ('1234567.891', '3', '0.1')
    """
    return str(int(value)) if value.is_integer() and abs(value) < LONGEST_WHOLE else str(value)


def score_word(value: float) -> str:
    """A figure that was computed, with six digits.

    >>> score_word(2 / 3), score_word(1.0)
    ('0.666667', '1')
    """
    return f"{value:.6g}"
