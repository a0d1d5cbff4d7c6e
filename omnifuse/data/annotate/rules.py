"""Labelling functions: rules that vote on rows or abstain, written in Python or as a few lines of YAML."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, field_validator, model_validator

from omnifuse.core.config import Config
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.yaml_text import read_yaml
from omnifuse.data.annotate.votes import Vote

Function = Callable[[Mapping[str, Any]], object]
_CONDITIONS = ("matches", "contains", "equals", "above", "below", "at_least", "at_most", "absent")


class Rule(Config):
    """One rule: where all of its conditions hold it gives the label, elsewhere, and where the cell is absent, it abstains.

    Attributes:
        name: shown in tables; made from the conditions when left out.
        when: the column that is looked at.
        matches: a regular expression that is found in the cell, whatever its case.
        contains: one of these words stands in the cell, as a whole word, whatever its case.
        equals: the cell is one of these.
        above, below, at_least, at_most: the cell is a number in this range.
        absent: the cell is empty (`true`) or not (`false`).
        label: what the rule says then.
    """

    name: str = ""
    when: str
    matches: str | None = None
    contains: tuple[str, ...] | None = None
    equals: tuple[str | int | float, ...] | None = None
    above: float | None = None
    below: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    absent: bool | None = None
    label: str | int | float

    @field_validator("contains", "equals", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        """One word stands for a list of one."""
        return value if value is None or isinstance(value, list | tuple) else [value]

    @field_validator("label", "equals", mode="before")
    @classmethod
    def _no_truths(cls, value: Any) -> Any:
        """A label is a word or a number; a bare true or false is neither."""
        if any(isinstance(each, bool) for each in (value if isinstance(value, list | tuple) else [value])):
            raise OmnifuseError('true and false are no words in YAML; put it in quotes, such as "true"')
        return value

    @model_validator(mode="after")
    def _asks_something(self) -> Rule:
        given = [name for name in _CONDITIONS if getattr(self, name) is not None]
        if not given:
            raise OmnifuseError(f"a rule needs a condition: one of {', '.join(_CONDITIONS)}")
        if self.absent and len(given) > 1:
            raise OmnifuseError(f"an absent cell has nothing that `{next(n for n in given if n != 'absent')}` could look at")
        try:
            re.compile(self.matches or "")
        except re.error as error:
            raise OmnifuseError(f"matches: not a regular expression ({error})") from None
        return self

    @property
    def title(self) -> str:
        """Its name, or its conditions in words."""
        said = [f"{name.replace('_', ' ')} {_words(getattr(self, name))}" for name in _CONDITIONS if getattr(self, name) is not None]
        return self.name or f"{self.when} {' and '.join(said)}"

    def __call__(self, row: Mapping[str, Any]) -> object:
        """The label, or `None` to abstain."""
        return self.label if self._holds(row.get(self.when)) else None

    def _holds(self, cell: Any) -> bool:
        text = "" if cell is None else str(cell).strip()
        if not text or self.absent:
            return self.absent is True and not text
        if self.matches is not None and not re.search(self.matches, text, re.IGNORECASE):
            return False
        if self.contains is not None and not any(re.search(rf"(?<!\w){re.escape(w)}(?!\w)", text, re.IGNORECASE) for w in self.contains):
            return False
        if self.equals is not None and text not in {label_word(value) for value in self.equals} and cell not in self.equals:
            return False
        return self._in_range(text)

    def _in_range(self, text: str) -> bool:
        limits = (self.above, self.below, self.at_least, self.at_most)
        if limits == (None,) * 4:
            return True
        try:
            number = float(text)
        except ValueError:
            return False
        above, below, at_least, at_most = limits
        return not (
            (above is not None and not number > above)
            or (below is not None and not number < below)
            or (at_least is not None and not number >= at_least)
            or (at_most is not None and not number <= at_most)
        )


class Rules(Config):
    """A file of rules.

    Attributes:
        column: name of the column to be made.
        rules: each of them votes or abstains.
    """

    column: str
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]

    @classmethod
    def load(cls, path: Path) -> Rules:
        """Read rules from a YAML file.

        Raises:
            OmnifuseError: no such file, no YAML, an unknown or wrong option (with its path and the nearest name).
        """
        try:
            value = read_yaml(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise OmnifuseError(f"{path}: no such file of rules; docs/annotation.md shows one") from None
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise OmnifuseError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from None
        try:
            return cls.parse(value)
        except OmnifuseError as error:
            raise OmnifuseError(f"{path}: {error}") from None

    def functions(self) -> dict[str, Function]:
        """The rules by their titles; two of one title are told apart by a number."""
        seen: Counter[str] = Counter()
        functions: dict[str, Function] = {}
        for rule in self.rules:
            seen[rule.title] += 1
            functions[rule.title if seen[rule.title] == 1 else f"{rule.title} ({seen[rule.title]})"] = rule
        return functions


@dataclass(frozen=True)
class RuleFacts:
    """What one labelling function does, as shares of all rows (Ratner et al. 2017, 1711.10160).

    Attributes:
        name: of the function.
        labels: how often it gave each label.
        coverage: where it votes.
        overlaps: where it votes and another one does too.
        conflicts: where it votes and another one says something else.
        accuracy: share of its votes that are right, where the truth is known; NaN where it is nowhere known.
    """

    name: str
    labels: dict[str, int]
    coverage: float
    overlaps: float
    conflicts: float
    accuracy: float


def apply_functions(
    rows: Iterable[tuple[str, Mapping[str, Any]]], functions: Mapping[str, Function], column: str
) -> tuple[list[Vote], list[str]]:
    """Ask every function about every row.

        votes, ids = apply_functions(rows, {"short": lambda row: "no" if len(row["text"]) < 20 else None}, "useful")

    Args:
        rows: id and cells of each row.
        functions: by name; each takes the cells and returns a label, or `None` to abstain.
        column: what is labelled.

    Returns:
        The votes, with the names of the functions as annotators, and the ids of all rows, in order.

    Raises:
        OmnifuseError: a function failed, with its name and the row.
    """
    votes, ids = [], []
    for row, cells in rows:
        ids.append(row)
        for name, function in functions.items():
            try:
                label = function(cells)
            except Exception as error:  # whatever the user's function does
                raise OmnifuseError(f"labelling function {name}, row {row}: {type(error).__name__}: {error}") from error
            if label is not None:
                votes.append(Vote(row, column, name, label_word(label)))
    return votes, ids


def rule_facts(votes: Iterable[Vote], functions: Iterable[str], rows: int, truth: Mapping[str, str] | None = None) -> list[RuleFacts]:
    """Coverage, overlaps, conflicts and accuracy of every function, in their order.

    Args:
        votes: what the functions said.
        functions: names of all of them, also of those that never voted.
        rows: how many rows there are.
        truth: by row, its true label, where it is known.
    """
    by_row: dict[str, dict[str, str]] = defaultdict(dict)
    for vote in votes:
        by_row[vote.row][vote.annotator] = vote.label
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    for row, said in by_row.items():
        for name, label in said.items():
            labels[name][label] += 1
            counts[name]["overlaps"] += len(said) > 1
            counts[name]["conflicts"] += any(other != label for other in said.values())
            if truth and row in truth:
                counts[name]["judged"] += 1
                counts[name]["right"] += truth[row] == label
    total = max(rows, 1)
    return [
        RuleFacts(
            name,
            dict(labels[name].most_common()),
            labels[name].total() / total,
            counts[name]["overlaps"] / total,
            counts[name]["conflicts"] / total,
            counts[name]["right"] / counts[name]["judged"] if counts[name]["judged"] else nan,
        )
        for name in functions
    ]


def label_word(label: object) -> str:
    """A label as the word a category has.

    >>> label_word(1.0), label_word(" yes "), label_word(True)
    ('1', 'yes', 'True')
    """
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    return str(label).strip()


def _words(value: Any) -> str:
    return " or ".join(map(str, value)) if isinstance(value, tuple) else str(value)
