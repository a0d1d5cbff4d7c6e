"""What can be said of a row by one column: the conditions that slices are made of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omnifuse.core.schema import Column
from omnifuse.data.dataset import Dataset
from omnifuse.data.decode.image import decode_image
from omnifuse.data.modalities.config import DatetimeConfig, column_config
from omnifuse.data.modalities.instants import zone_of
from omnifuse.evaluation.slices.quarters import moments_worded, numbers_of, quarters
from omnifuse.page.words import quantity, shorten

MOST_VALUES, MOST_WORDS = 50, 40
FEW_NUMBERS = 8  # so many different ones are values rather than amounts
MOST_PICTURES = 4000  # of which the brightness is measured
SIDE = 16  # pixels; what a picture is scaled to for it
WORDS = re.compile(r"\w+")
SIZES = {  # by modality: what is known of a file, and the words for little and much of it
    "audio": (("seconds",), "short", "long"),
    "video": (("seconds",), "short", "long"),
    "series": (("steps",), "short", "long"),
    "points": (("points",), "of few points", "of many points"),
    "image": (("height", "width"), "small", "large"),
}


@dataclass(frozen=True)
class Condition:
    """Something that is so in some rows.

    Attributes:
        column: which column says it.
        words: in words, such as `colour is red`.
        rows: (N,) bool, where it is so.
    """

    column: str
    words: str
    rows: np.ndarray


def conditions_of(data: Dataset, rows: Sequence[int], columns: Sequence[str], least: int) -> tuple[list[Condition], list[str]]:
    """Conditions by the values of some columns.

    Args:
        data: where the values are.
        rows: (N,) the rows that were judged.
        columns: which columns.
        least: conditions that fewer rows fulfil, or fewer do not fulfil, are left out, and those that say the same as an earlier one.

    Returns:
        The conditions, and what was not looked at, in words.
    """
    values, left_out = data.take(rows, columns), []
    found = [condition for name in columns for condition in _of_column(data, data.schema[name], values[name], left_out)]
    return _useful(found, least), left_out


def truth_conditions(target: Column, truth: Sequence[Any], least: int) -> list[Condition]:
    """Conditions by the true values of the target."""
    return _useful(list(_of_values(target, f"the true {target.name}", list(truth))), least)


def _useful(found: list[Condition], least: int) -> list[Condition]:
    """Those that split the rows, each split once."""
    different: dict[bytes, Condition] = {}
    for condition in found:
        if least <= condition.rows.sum() <= len(condition.rows) - least:
            different.setdefault(np.packbits(condition.rows).tobytes(), condition)
    return list(different.values())


def _of_column(data: Dataset, column: Column, values: list[Any], left_out: list[str]) -> Iterator[Condition]:
    yield Condition(column.name, f"{column.name} is absent", np.array([value is None for value in values]))
    if column.modality not in SIZES:
        yield from _of_values(column, column.name, values)
        return
    names, little, much = SIZES[column.modality]
    keys = list(dict.fromkeys(value for value in values if value is not None))
    facts = dict(zip(keys, data.facts(column.name, keys), strict=True))
    sizes = {key: float(np.prod([fact.numbers.get(name, np.nan) for name in names])) for key, fact in facts.items()}
    unit = "pixels" if column.modality == "image" else names[0]
    yield from _ends(column.name, _by_key(values, sizes), little, much, unit)
    if column.modality == "image" and len(keys) > MOST_PICTURES:
        left_out.append(f"whether {column.name} is dark or bright: more than {MOST_PICTURES:,} different pictures")
    elif column.modality == "image":
        yield from _ends(column.name, _by_key(values, _brightness(data, keys)), "dark", "bright", "of brightness")


def _of_values(column: Column, said: str, values: list[Any]) -> Iterator[Condition]:
    """Conditions of a column without files; `said` is what it is called."""
    modality, name = column.modality, column.name
    if modality == "text":
        lengths = np.array([np.nan if value is None else len(value) for value in values])
        for words, rows in quarters(lengths):
            yield Condition(name, f"{said} has {words} letters", rows)
        words = [set(WORDS.findall(value.casefold())) if value else set() for value in values]
        yield from (Condition(name, f"{said} contains “{shorten(word, 40)}”", rows) for word, rows in _holding(words, MOST_WORDS))
    elif modality == "set":
        yield Condition(name, f"{said} is empty", np.array([value == () for value in values]))
        yield from (Condition(name, f"{said} has {shorten(label, 60)}", rows) for label, rows in _holding(values, MOST_VALUES))
    elif modality in ("number", "datetime"):
        yield from _of_numbers(column, said, numbers_of(values))
    elif modality != "vector":
        each = [() if value is None else (str(value),) for value in values]
        yield from (Condition(name, f"{said} is {shorten(label, 60)}", rows) for label, rows in _holding(each, MOST_VALUES))


def _of_numbers(column: Column, said: str, values: np.ndarray) -> Iterator[Condition]:
    options, different = column_config(column), np.unique(values[~np.isnan(values)])
    if isinstance(options, DatetimeConfig):
        worded = moments_worded(values, zone_of(options.timezone))
    elif len(different) <= FEW_NUMBERS:
        yield from (Condition(column.name, f"{said} is {quantity(value)}", values == value) for value in different.tolist())
        return
    else:
        worded = quantity
    for words, rows in quarters(values, worded):
        yield Condition(column.name, f"{said} is {words}", rows)


def _holding(values: Sequence[Any], most: int) -> Iterator[tuple[str, np.ndarray]]:
    """The words that most rows hold, and where."""
    counts = Counter(word for value in values if value for word in value)
    for word, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]:
        yield word, np.array([bool(value) and word in value for value in values])


def _ends(name: str, values: np.ndarray, little: str, much: str, unit: str) -> Iterator[Condition]:
    """The lowest and the highest quarter of a measure."""
    parts = quarters(values)
    if len(parts) > 1:
        for adjective, (words, rows) in ((little, parts[0]), (much, parts[-1])):
            yield Condition(name, f"{name} is {adjective} ({words} {unit})", rows)


def _by_key(values: list[Any], measured: dict[Any, float]) -> np.ndarray:
    return np.array([measured.get(value, np.nan) for value in values])


def _brightness(data: Dataset, keys: list[str]) -> dict[str, float]:
    """The mean of the pixels of each picture, from 0 for black to 1 for white."""
    found = {}
    for at in range(0, len(keys), 64):
        part = keys[at : at + 64]
        for key, file in zip(part, data.media(part), strict=True):
            found[key] = float(decode_image(file, 1, (SIDE, SIDE)).mean()) / 255
    return found
