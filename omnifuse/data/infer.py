"""Looking at a table: which modality is each column, and does one of them give the target away?"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.schema import Column
from omnifuse.data.table import iterate_rows, read_table

SAMPLE = 5000
FEW_LABELS = 20
IMAGE_FILE = re.compile(r"\.(png|jpe?g|webp|gif|bmp|tiff?|ppm)$", re.IGNORECASE)
DRESS = re.compile(r"[$€£¥%,\s]")
DATE = re.compile(r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$")
IDENTIFIER = re.compile(r"(^|[\s_\-])(id|uuid|guid|index|idx)$|^unnamed: ?\d*$|^__index_level_\d+__$|^$", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """What a column seems to be, and why."""

    column: Column
    why: str


@dataclass(frozen=True)
class _Look:
    """What the sample of a column looks like."""

    name: str
    rows: int
    values: list[Any]
    is_target: bool

    @property
    def distinct(self) -> int:
        return len({str(value) for value in self.values})

    @property
    def missing(self) -> str:
        share = 1 - len(self.values) / self.rows
        return "" if share == 0 else f", {share:.0%} absent" if share >= 0.005 else ", a few absent"


def infer_columns(source: Any, targets: Sequence[str] = (), root: str | Path | None = None) -> dict[str, Found]:
    """Guess modality and role of every column from the first 5,000 rows.

    Args:
        source: what `read_table` takes.
        targets: columns that are to be learned.
        root: folder of relative media paths; the folder of the table by default.

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
    base = Path(root) if root else Path(source).parent if isinstance(source, str | Path) else Path.cwd()
    result = {}
    for name in table.column_names:
        values = [row[name] for row in rows if not _is_absent(row[name])]
        modality, why = _modality(_Look(name, len(rows), values, name in targets), base)
        role = "target" if name in targets else "ignore" if modality is None else "input"
        result[name] = Found(Column(name, modality or "category", role), why)
    return result


def _modality(look: _Look, root: Path) -> tuple[str | None, str]:
    """Modality (`None`: leave the column out) and the reason."""
    values, distinct = look.values, look.distinct
    if not values:
        return None, "empty"
    if not isinstance(values[0], str | int | float | bool):
        return ("image", "pictures" + look.missing) if _is_picture(values[0]) else (None, f"{type(values[0]).__name__} values are not read")
    if sum(IMAGE_FILE.search(str(value)) is not None for value in values) > 0.9 * len(values):
        there = any((root / str(value)).is_file() for value in values[:50])
        return "image", f"paths of pictures{'' if there else f' (not found under {root})'}{look.missing}"
    is_identifier = IDENTIFIER.search(look.name) is not None and not look.is_target
    if is_identifier and distinct > 0.95 * len(values):
        return None, "an identifier"
    if distinct == 1 and not look.missing and not look.is_target:
        return None, "the same value in every row"
    numbers = [number for value in values if (number := _number(value)) is not None]
    codes = sum(isinstance(value, str) and re.match(r"^0\d", value.strip()) is not None for value in values)
    if codes > 0.02 * len(values) and len(numbers) > 0.98 * len(values):
        return "category", f"codes with leading zeros ({distinct} different){look.missing}"
    if len(numbers) > 0.98 * len(values):
        return _numeric(look, numbers, is_identifier)
    if is_identifier and not look.is_target and distinct <= 0.95 * len(values):
        return "category", f"identifiers that repeat ({distinct} different){look.missing}"
    return _words(look)


def _numeric(look: _Look, numbers: list[float], is_identifier: bool) -> tuple[str, str]:
    distinct = len(set(numbers))
    whole = all(number.is_integer() for number in numbers)
    if distinct <= 2:
        return "category", f"{distinct} different values{look.missing}"
    if is_identifier:
        return "category", f"identifiers that repeat ({distinct} different){look.missing}"
    if look.is_target and whole and distinct <= FEW_LABELS:
        return "category", f"{distinct} different whole numbers{look.missing}"
    return "number", f"numbers from {min(numbers):g} to {max(numbers):g}{look.missing}"


def _words(look: _Look) -> tuple[str | None, str]:
    words = [str(value).strip() for value in look.values]
    length = sum(map(len, words)) / len(words)
    each = sum(len(word.split()) for word in words) / len(words)
    different = look.distinct / len(words)
    few = look.distinct <= 30 and different <= 0.1
    if look.is_target:
        return "category", f"{look.distinct} different labels{look.missing}"
    dressed = _dressed(words)
    if dressed:
        return None, dressed
    if not few and (each >= 4 or (different > 0.5 and (each >= 2 or length > 12))):
        return "text", f"about {each:.0f} words each, {look.distinct} different{look.missing}"
    if different > 0.5 and look.distinct > FEW_LABELS:
        return None, f"{look.distinct} different labels in {len(words)} rows: too rare to learn from"
    return "category", f"{look.distinct} different labels{look.missing}"


def _dressed(words: list[str]) -> str:
    """Why words that are really numbers or dates are left out."""
    if len(set(words)) <= FEW_LABELS:
        return ""
    if sum(_number(DRESS.sub("", word)) is not None for word in words) > 0.98 * len(words):
        return f"numbers written as {words[0]!r}; write them plainly, such as 1083.31, to use them"
    if sum(DATE.match(word) is not None for word in words) > 0.98 * len(words):
        return f"dates such as {words[0]!r} are not read; add columns for what matters, such as month or age in days"
    return ""


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and value != value)


def _is_picture(value: Any) -> bool:
    from omnifuse.data.fetch import BadValue
    from omnifuse.data.modalities.image import ImageProcessor

    try:
        canonical = ImageProcessor.canonical(value)
        ImageProcessor.verify(canonical)
    except (BadValue, TypeError, ValueError):
        return False
    return True


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
