"""What a column of words or plain numbers is: numbers, moments, labels, texts, and words that stand for something else."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from omnifuse.data import clues
from omnifuse.data.modalities.config import NOTHING

FEW_LABELS = 20

Kind = Literal["empty", "constant", "identifier", "repeating identifier", "group", "split", "media", "value", "unreadable"]


@dataclass(frozen=True)
class Guess:
    """A modality with its options, or `None` where a column is better left out, and why."""

    modality: str | None
    why: str
    kind: Kind = "value"
    options: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None


@dataclass(frozen=True)
class Look:
    """The sample of a column."""

    name: str
    rows: int
    values: list[Any]
    is_target: bool

    @cached_property
    def words(self) -> list[str]:
        """Values as words, without those that commonly stand for nothing."""
        return [word for value in self.values if (word := str(value).strip()) not in NOTHING]

    @cached_property
    def distinct(self) -> int:
        """Number of different values."""
        return len(set(map(str, self.values)))

    @cached_property
    def numbers(self) -> list[float]:
        """The words that are plain numbers."""
        return [number for word in self.words if (number := _number(word)) is not None]

    @property
    def missing(self) -> str:
        """The share of absent values, to be said at the end of a reason."""
        share = 1 - len(self.values) / self.rows
        return "" if share == 0 else f", {share:.0%} absent" if share >= 0.005 else ", a few absent"


def guess_words(look: Look) -> Guess:
    """What the words of a column are, apart from its name."""
    codes = sum(re.match(r"^0\d", word) is not None for word in look.words if isinstance(look.values[0], str))
    if len(look.numbers) > clues.NEARLY_ALL * len(look.words):
        if codes > 0.02 * len(look.words):
            guess = _labels(look)
            why = f"codes with leading zeros ({look.distinct} different){look.missing}"
            return Guess("category", why) if guess.modality == "category" else Guess(None, f"{why}: too rare to learn from", "identifier")
        return _numeric(look)
    return _written(look) or _labels(look)


def _numeric(look: Look) -> Guess:
    distinct = len(set(look.numbers))
    whole = all(number.is_integer() for number in look.numbers)
    if distinct <= 2:
        return Guess("category", f"{distinct} different values{look.missing}")
    if look.is_target and whole and distinct <= FEW_LABELS:
        return Guess("category", f"{distinct} different whole numbers{look.missing}")
    form = None if look.is_target else clues.number_date_format(look.name, look.numbers)
    if form:
        return Guess("datetime", f"moments as numbers such as {look.words[0]}{look.missing}", options={"format": form})
    return Guess("number", f"numbers from {min(look.numbers):g} to {max(look.numbers):g}{look.missing}")


def _written(look: Look) -> Guess | None:
    """Words that stand for something else: dates, numbers, vectors, several labels."""
    words, shown = look.words, f"such as {look.words[0][:40]!r}{look.missing}"
    form = None if look.is_target else clues.date_format(words)
    if form == "?":
        why = f"dates {shown}: day or month first? write `{{modality: datetime, format: …}}` to use them"
        return Guess(None, why, "unreadable")
    if form is not None:
        return Guess("datetime", f"dates {shown}", options={"format": form} if form else {})
    if look.distinct > (FEW_LABELS if look.is_target else 2):
        form = clues.number_format(words)
        if form:
            return Guess("number", f"numbers written {shown.removeprefix('such ')}", options={"format": form})
        unit = clues.unit_of(words)
        if unit:
            return Guess("number", f"numbers with units {shown}", options={"unit": unit})
    size = None if look.is_target else clues.vector_size(words)
    if size:
        return Guess("vector", f"{size} numbers {shown}")
    return _several(look)


def _several(look: Look) -> Guess | None:
    from omnifuse.data.modalities.lists import read_list

    shown = f"such as {look.words[0][:40]!r}{look.missing}"
    lists = [labels for word in look.words if (labels := read_list(word)) is not None]
    if len(lists) > clues.NEARLY_ALL * len(look.words):
        return Guess("set", f"lists of labels {shown}")
    separator = clues.set_separator(look.words)
    if separator is None or (look.is_target and separator == ","):
        return None
    return Guess("set", f"several labels {shown}", options={} if separator == "|" else {"separator": separator})


def _labels(look: Look) -> Guess:
    words = [str(value).strip() for value in look.values]
    length = sum(map(len, words)) / len(words)
    each = sum(len(word.split()) for word in words) / len(words)
    different = look.distinct / len(words)
    few = look.distinct <= 30 and different <= 0.1
    if look.is_target:
        return Guess("category", f"{look.distinct} different labels{look.missing}")
    if not few and (each >= 4 or (different > 0.5 and (each >= 2 or length > 12))):
        return Guess("text", f"about {each:.0f} words each, {look.distinct} different{look.missing}")
    strange = len(look.words) - len(look.numbers)
    if 0 < strange < 0.5 * len(look.words):
        other = next(word for word in look.words if _number(word) is None)
        why = (
            f"{strange} of {len(look.words)} values are no numbers, such as {other[:40]!r}; with these words in its `absent` it is a number"
        )
        return Guess(None, why, "unreadable")
    if different > 0.5 and look.distinct > FEW_LABELS:
        return Guess(None, f"{look.distinct} different labels in {len(words)} rows: too rare to learn from", "identifier")
    among = next((f", {word!r} among them" for word in words if word in NOTHING), "")
    return Guess("category", f"{look.distinct} different labels{among}{look.missing}")


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
