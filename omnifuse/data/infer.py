"""Looking at a table: which modality is each column, and how is it written?"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.schema import Column
from omnifuse.data import clues
from omnifuse.data.infer_objects import guess_object
from omnifuse.data.modalities.config import NOTHING
from omnifuse.data.modalities.processor import is_absent
from omnifuse.data.table import iterate_rows, read_table

SAMPLE = 5000
FEW_LABELS = 20
MANY_LABELS = 50
LEAST_GROUPS = 30
IDENTIFIER = re.compile(r"(^|[\s_\-])(id|uuid|guid|index|idx|key)$|^unnamed: ?\d*$|^__\w+__$|^$", re.IGNORECASE)
CAMEL_IDENTIFIER = re.compile(r"[a-z0-9](Id|ID)$")
PERSON = re.compile(r"^(user|item|customer|product|author|member|shop|store)$", re.IGNORECASE)
GROUP = re.compile(r"^(patient|subject|participant|speaker|donor|recording|session)([\s_\-]?(id|no|nr|number|name|key|code))?$", re.IGNORECASE)
SPLIT_WORDS = {"train", "training", "validation", "val", "valid", "dev", "test"}

Kind = Literal["empty", "constant", "identifier", "repeating identifier", "group", "split", "media", "value", "unreadable"]


@dataclass(frozen=True)
class Guess:
    """A modality with its options, or `None` where a column is better left out, and why."""

    modality: str | None
    why: str
    kind: Kind = "value"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a column seems to be.

    Attributes:
        column: name, modality, role and options.
        why: the reason, for people.
        kind: what the decision rests on. A `group` (a patient, a speaker) is left out and should keep to one side of the splits;
            a `split` says which side.
        present: how many of the rows looked at have a value.
        distinct: how many different values they have.
    """

    column: Column
    why: str
    kind: Kind
    present: int
    distinct: int

    @property
    def keeps_together(self) -> bool:
        """Whether rows with equal values should be on one side of the splits: those of one patient, or of one picture."""
        return self.kind in ("group", "media") and LEAST_GROUPS <= self.distinct < self.present


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


def infer_columns(source: Any, targets: Sequence[str] = (), root: str | Path | None = None) -> dict[str, Found]:
    """Guess modality, options and role of every column from the first 5,000 rows.

    Args:
        source: what `read_table` takes, or a table.
        targets: columns that are to be learned.
        root: folder of relative media paths; that of the source by default.

    Raises:
        OmnifuseError: a target that is not a column, or a table without rows.
    """
    table = read_table(source)
    for name in targets:
        if name not in table.column_names:
            raise unknown("column", name, table.column_names, where="target")
    rows = list(islice(iterate_rows(table), SAMPLE))
    if not rows:
        raise OmnifuseError(f"{source if isinstance(source, str | Path) else 'the table'}: holds no rows")
    base = Path(root) if root else _base(source)
    result = {}
    for name in table.column_names:
        values = [row[name] for row in rows if not (is_absent(row[name]) or (isinstance(row[name], str) and not row[name].strip()))]
        look = Look(name, len(rows), values, name in targets)
        guess = _guess(look, base)
        role = "target" if look.is_target else "ignore" if guess.modality is None else "input"
        column = Column(name, guess.modality or "category", role, **guess.options)
        result[name] = Found(column, guess.why, guess.kind, len(values), look.distinct)
    return result


def _base(source: Any) -> Path:
    from omnifuse.data.sources import source_base

    return source_base(source, Path.cwd())


def _guess(look: Look, root: Path) -> Guess:
    if not look.words:
        return Guess(None, "empty", "empty")
    if not all(isinstance(value, str | int | float | Path) for value in look.values[:50]):
        modality, why, options = guess_object(look.values)
        return Guess(modality, why + (look.missing if modality else ""), _kind(modality), options)
    modality = clues.media_of_paths(look.words)
    if modality:
        there = any((root / word).is_file() or "://" in word for word in look.words[:50])
        thing = "pictures" if modality == "image" else f"{modality} files"
        return Guess(modality, f"paths of {thing}{'' if there else f' (not found under {root})'}{look.missing}", "media")
    if not look.is_target:
        aside = _aside(look)
        if aside:
            return aside
    codes = sum(re.match(r"^0\d", word) is not None for word in look.words if isinstance(look.values[0], str))
    if len(look.numbers) > clues.NEARLY_ALL * len(look.words):
        if codes > 0.02 * len(look.words):
            return Guess("category", f"codes with leading zeros ({look.distinct} different){look.missing}")
        return _numeric(look)
    return _written(look) or _labels(look)


def _aside(look: Look) -> Guess | None:
    """Columns that name rows, groups of rows, or splits, and those that say nothing."""
    distinct, count = look.distinct, len(look.values)
    is_group = GROUP.search(look.name) is not None
    is_name = is_group or CAMEL_IDENTIFIER.search(look.name) is not None or IDENTIFIER.search(look.name) is not None
    if is_name and distinct > 0.95 * count:
        return Guess(None, "an identifier", "identifier")
    if {word.lower() for word in look.words} <= SPLIT_WORDS and "train" in look.words:
        return Guess(None, "says which split a row belongs to", "split")
    if distinct == 1 and not look.missing:
        return Guess(None, "the same value in every row", "constant")
    if is_group and distinct >= LEAST_GROUPS:
        return Guess(None, f"groups of rows that belong together ({distinct} different){look.missing}", "group")
    is_person = PERSON.search(look.name) is not None and MANY_LABELS < distinct <= 0.5 * count
    if is_person or (is_name and 2 < distinct):
        modality = "id" if distinct > MANY_LABELS else "category"
        return Guess(modality, f"identifiers that repeat ({distinct} different){look.missing}", "repeating identifier")
    return None


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
        return Guess("datetime", f"moments {shown}", options={"format": form} if form else {})
    if look.distinct > (FEW_LABELS if look.is_target else 2):
        form = clues.number_format(words)
        if form:
            return Guess("number", f"numbers written {shown}", options={"format": form})
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
    if different > 0.5 and look.distinct > FEW_LABELS:
        return Guess(None, f"{look.distinct} different labels in {len(words)} rows: too rare to learn from", "identifier")
    return Guess("category", f"{look.distinct} different labels{look.missing}")


def _kind(modality: str | None) -> Kind:
    if modality is None:
        return "unreadable"
    return "media" if modality in clues.ENDINGS else "value"


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
