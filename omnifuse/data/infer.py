"""Looking at a table: which modality is each column, and how is it written?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.schema import Column
from omnifuse.data import clues, dataset
from omnifuse.data.infer_objects import guess_object
from omnifuse.data.infer_words import Guess, Kind, Look, guess_words
from omnifuse.data.modalities.processor import is_absent
from omnifuse.data.staging import STRATUM, TIME
from omnifuse.data.table import iterate_rows, read_table

SAMPLE = 5000
MANY_LABELS = 50
LEAST_GROUPS = 30
MARKS = {dataset.ID, dataset.GROUP, dataset.SPLIT, dataset.ORIGIN, STRATUM, TIME}  # which prepare writes and keeps for itself
IDENTIFIER = re.compile(r"(^|[\s_\-])(id|uuid|guid|index|idx|key)$|^unnamed: ?\d*$|^__\w+__$|^$", re.IGNORECASE)
CAMEL_IDENTIFIER = re.compile(r"[a-z0-9](Id|ID)$")
PERSON = re.compile(r"^(user|item|customer|product|author|member|shop|store)$", re.IGNORECASE)
GROUP = re.compile(
    r"^(patient|subject|participant|speaker|donor|recording|session)([\s_\-]?(id|no|nr|number|name|key|code))?$", re.IGNORECASE
)
SPLIT_WORDS = {"train", "training", "validation", "val", "valid", "dev", "test"}


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
        folder: the folder that paths of media files are relative to; `None` where they were not found, or are none.
    """

    column: Column
    why: str
    kind: Kind
    present: int
    distinct: int
    folder: Path | None = None

    @property
    def keeps_together(self) -> bool:
        """Whether rows with equal values should be on one side of the splits: those of one patient, or of one picture."""
        return self.kind in ("group", "media") and LEAST_GROUPS <= self.distinct < self.present


def kept_together(found: Mapping[str, Found]) -> list[str]:
    """Columns whose equal values should be on one side of the splits: groups, then those of a dataset before, then files."""

    def rank(name: str) -> tuple[bool, bool]:
        return found[name].kind != "group", name == dataset.GROUP

    return sorted((name for name, item in found.items() if item.keeps_together), key=rank)


def media_folder(found: Mapping[str, Found]) -> Path | None:
    """The one folder that the paths of all media columns are relative to."""
    folders = {item.folder for item in found.values() if item.kind == "media" and item.column.is_input} - {None}
    return folders.pop() if len(folders) == 1 else None


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
        result[name] = Found(column, guess.why, guess.kind, len(values), look.distinct, guess.folder)
    return result


def _base(source: Any) -> Path:
    from omnifuse.data.sources import source_base

    return source_base(source, Path.cwd())


def _guess(look: Look, root: Path) -> Guess:
    if not look.words:
        return Guess(None, "empty", "empty")
    if look.name in MARKS and not look.is_target:
        return _mark(look)
    if not all(isinstance(value, str | int | float | Path) for value in look.values[:50]):
        modality, why, options = guess_object(look.values)
        return Guess(modality, why + (look.missing if modality else ""), _kind(modality), options)
    modality = clues.media_of_paths(look.words)
    if modality:
        folder = _folder(look.words[:50], root)
        place = f" (not found under {root})" if folder is None else f" in {folder.name}" if folder != root else ""
        thing = "pictures" if modality == "image" else f"{modality} files"
        return Guess(modality, f"paths of {thing}{place}{look.missing}", "media", folder=folder)
    if not look.is_target:
        aside = _aside(look)
        if aside:
            return aside
    return guess_words(look)


def _folder(words: Sequence[str], root: Path) -> Path | None:
    """The folder that paths are relative to: `root`, or one in it."""
    inside = [root, *sorted(path for path in islice(root.iterdir(), 1000) if path.is_dir())] if root.is_dir() else [root]
    for folder in inside:
        if any("://" in word or (folder / word).is_file() for word in words):
            return folder
    return None


def _mark(look: Look) -> Guess:
    """What omnifuse itself wrote beside the rows of a dataset."""
    if look.name == dataset.GROUP and look.distinct < len(look.values):
        return Guess(None, f"groups of rows that a dataset kept together ({look.distinct} different){look.missing}", "group")
    if look.name == dataset.SPLIT:
        return Guess(None, "the split of a row in a dataset", "split")
    return Guess(None, "a mark that omnifuse wrote", "identifier")


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
    if is_person or (is_name and distinct > 2):
        modality = "id" if distinct > MANY_LABELS else "category"
        return Guess(modality, f"identifiers that repeat ({distinct} different){look.missing}", "repeating identifier")
    return None


def _kind(modality: str | None) -> Kind:
    if modality is None:
        return "unreadable"
    return "media" if modality in clues.ENDINGS else "value"
