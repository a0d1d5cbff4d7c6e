"""Labels of a category that are rare, and those that look like misspellings of another."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from omnifuse.core.errors import OmnifuseError

NAMED = 100
SHORTEST = 5  # letters of a word; among shorter words, one letter makes another word (cat, cut)
TWO_EDITS = 9  # letters from which two slips are one word still
MUCH_RARER = 10  # times the misspelling must be rarer than the label it is held for
OPPOSITES = (("hyper", "hypo"), ("intra", "inter"), ("macro", "micro"))
INNER = re.compile(r"(?<=\w)[-_‐‑–](?=\w)")
MANY = 5000  # labels; of more only equal spellings are looked for


@dataclass(frozen=True)
class Misspelling:
    """A label that is likely meant to be another.

    Attributes:
        label, rows: as it is written, and how often.
        meant, meant_rows: the label it is likely meant to be.
        why: `spelling` (equal but for capitals, spaces, hyphens, accents) or `letters` (one or two letters differ).
    """

    label: str
    rows: int
    meant: str
    meant_rows: int
    why: str

    def __str__(self) -> str:
        return f'"{self.label}" ({self.rows} rows) looks like "{self.meant}" ({self.meant_rows} rows)'


@dataclass(frozen=True)
class LabelReport:
    """What is odd about the labels of a column.

    Attributes:
        column: which.
        labels: how many different ones.
        rare: labels with few rows, and how many; the rarest first, at most 100.
        rare_count: how many labels are rare.
        misspelt: likely misspellings, at most 100.
        misspelt_count: how many.
    """

    column: str
    labels: int
    rare: dict[str, int]
    rare_count: int
    misspelt: tuple[Misspelling, ...]
    misspelt_count: int

    @property
    def replace(self) -> dict[str, str]:
        """The mapping from misspelling to label that would mend them."""
        return {item.label: item.meant for item in self.misspelt}

    def dump(self) -> dict[str, Any]:
        """The report as JSON."""
        return asdict(self) | {"misspelt": [asdict(item) for item in self.misspelt], "replace": self.replace}


def find_odd_labels(counts: Mapping[str, int], rare_labels: int = 5, *, column: str = "") -> LabelReport:
    """Find rare labels and likely misspellings.

    Two labels are one when they are equal but for capitals, spaces, accents, and hyphens inside: the more frequent is meant.
    A label is held for a misspelling of one at least ten times as frequent when, in words of five letters and more, one letter
    differs, is left out, added or swapped with its neighbour (two from nine letters on), and not the first.

    Not held for misspellings: other numbers (`v1` and `v2`, `size 10` and `size 12`, `type I` and `type II`, `grade A` and
    `grade B`), codes of letters and digits, opposites such as `hypertension` and `hypotension`, and words of scripts
    without capitals, in which one sign makes another word. Still a guess: look before you replace.

    Args:
        counts: rows of each label.
        rare_labels: labels with fewer rows are rare.
        column: which, for the report.
    """
    rare = sorted(((label, count) for label, count in counts.items() if count < rare_labels), key=lambda item: (item[1], item[0]))
    spelling = list(_same_spelling(counts))
    settled = {item.label for item in spelling}
    letters = [] if len(counts) > MANY else list(_few_letters({label: n for label, n in counts.items() if label not in settled}))
    misspelt = sorted([*spelling, *letters], key=lambda item: (-item.rows, item.label))
    return LabelReport(column, len(counts), dict(rare[:NAMED]), len(rare), tuple(misspelt[:NAMED]), len(misspelt))


def replace_option(report: LabelReport) -> str:
    """The lines of a recipe that would mend the misspellings, to be looked through before they are used."""
    if not report.misspelt:
        raise OmnifuseError(f"columns.{report.column}: no label looks misspelt, so there is nothing to replace")
    return replace_lines(report.column, report.replace)


def replace_lines(column: str, replace: Mapping[str, str]) -> str:
    """The lines of a recipe that give labels of a column other names."""
    import yaml

    return yaml.safe_dump({"columns": {column: {"replace": dict(replace)}}}, allow_unicode=True, sort_keys=False)


def _bare(label: str) -> str:
    """A label without capitals, accents, spaces and hyphens between letters; other signs stay: `C++` is not `C`, `A-` not `A`."""
    parted = unicodedata.normalize("NFKD", label).casefold()
    joined = INNER.sub("", parted)
    return "".join(letter for letter in joined if not ("\u0300" <= letter <= "\u036f" or letter.isspace()))


def _same_spelling(counts: Mapping[str, int]) -> Iterator[Misspelling]:
    by_form: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        by_form[_bare(label)].append(label)
    for labels in by_form.values():
        meant, *others = sorted(labels, key=lambda label: (-counts[label], label))
        for label in others:
            if _bare(label) and not _is_number(label) and _digits(label) == _digits(meant):
                yield Misspelling(label, counts[label], meant, counts[meant], "spelling")


def _few_letters(counts: Mapping[str, int]) -> Iterator[Misspelling]:
    """Compare only labels that begin or end alike."""
    words = {label: unicodedata.normalize("NFKC", label).casefold().split() for label in counts}
    alike: dict[tuple[int, str], list[str]] = defaultdict(list)
    for label, parts in words.items():
        for key in _ends(parts):
            alike[key].append(label)
    for label in sorted(words):
        near = {other for key in _ends(words[label]) for other in alike[key] if counts[other] >= MUCH_RARER * counts[label]}
        slips = {other: edits for other in near if (edits := _slips(words[label], words[other]))}
        if slips:
            meant = min(slips, key=lambda other: (slips[other], -counts[other], other))
            yield Misspelling(label, counts[label], meant, counts[meant], "letters")


def _ends(parts: list[str]) -> list[tuple[int, str]]:
    """First and last letters of a label: one slip leaves one of both whole, two mostly do."""
    word = " ".join(parts)
    third = max(2, len(word) // 3)
    return [(0, word[:third]), (1, word[-third:])]


def _slips(parts: list[str], others: list[str]) -> int:
    """Letters that differ between two labels, 0 where that is no slip of the pen."""
    if len(parts) != len(others):
        return 0
    total = 0
    for word, other in zip(parts, others, strict=True):
        if word != other:
            allowed = 2 if min(len(word), len(other)) >= TWO_EDITS else 1
            if not _comparable(word, other) or abs(len(word) - len(other)) > allowed:
                return 0
            edits = _edits(word, other)
            if edits > allowed:
                return 0
            total += edits
    return total


def _comparable(word: str, other: str) -> bool:
    """Whether a letter may differ by mistake: long words of letters that have capitals, and no opposites."""
    if word[0] != other[0] or not all(len(part) >= SHORTEST and all(map(_has_capital, part)) for part in (word, other)):
        return False
    return not any({a, b} == {word[: len(a)], other[: len(b)]} or {a, b} == {word[: len(b)], other[: len(a)]} for a, b in OPPOSITES)


def _has_capital(letter: str) -> bool:
    return letter in "-'’." or letter.lower() != letter.upper()


def _edits(a: str, b: str) -> int:
    """Letters to add, leave out, change or swap with their neighbour (optimal string alignment)."""
    before, last = [0] * (len(b) + 1), list(range(len(b) + 1))
    for i, letter in enumerate(a, start=1):
        row = [i]
        for j, other in enumerate(b, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]


def _digits(label: str) -> list[str]:
    """Numbers in a label: those that differ make another label, whatever the letters."""
    return "".join(letter if letter.isdigit() else " " for letter in label).split()


def _is_number(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True
