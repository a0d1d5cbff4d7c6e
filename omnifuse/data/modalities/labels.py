"""Labels as words, and the processors that number them: categories, sets and ids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from omnifuse.core.values import Values
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.processor import C, Processor, checked_text, is_absent, presence

WHOLE = re.compile(r"^(-?\d+)\.0+$")


def label_word(value: Any) -> str | None:
    """A label as the word of the table: `1`, `1.0`, `"1"` and `" 1 "` are one label; `None` for an absent one.

    Raises:
        BadValue: the value is a file, a mapping or several values, not a label.
    """
    if is_absent(value):
        return None
    if isinstance(value, bytes | bytearray | memoryview | Mapping | list | tuple | set | frozenset | np.ndarray):
        raise BadValue(f"{type(value).__name__} is not one label")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    label = checked_text(value).strip()
    return WHOLE.sub(r"\1", label) or None


class LabelMender:
    """Makes labels alike: folds their case where asked to, then replaces misspelt ones."""

    def __init__(self, replace: Mapping[str, str], lowercase: bool) -> None:
        """Args: replace: wrong → right label; lowercase: fold case, also when wrong ones are looked up."""
        self.lowercase = lowercase
        self.replace = {self._fold(wrong): label_word(right) for wrong, right in replace.items()}

    def __call__(self, value: Any) -> str | None:
        """The mended label; `None` where it is absent or stands for nothing."""
        label = label_word(value)
        if label is None:
            return None
        label = self._fold(label)
        return self.replace.get(label, label)

    def _fold(self, label: str) -> str:
        return label.lower() if self.lowercase else label


class LabelProcessor(Processor[C]):
    """A modality that learns labels and numbers them 0 … K−1 in alphabetical order (numbers by size)."""

    def __init__(self, config: C) -> None:
        """Start without labels; `fit` learns them."""
        super().__init__(config)
        self.labels_: list[str] = []
        self._ids: dict[str, int] = {}

    def state(self) -> dict[str, Any]:
        """The labels."""
        return {"labels": self.labels_, "optional": self.optional_}

    def load_state(self, state: dict[str, Any]) -> None:
        """The labels."""
        self.optional_ = state["optional"]
        self._number(state["labels"])

    def _learn(self, counts: Counter[str], most: int, min_count: int) -> None:
        """Keep the `most` frequent labels that are there `min_count` times."""
        frequent = [label for label, count in counts.items() if count >= min_count]
        if len(frequent) > most:
            frequent = sorted(frequent, key=lambda label: (-counts[label], label))[:most]
        self._number(sorted(frequent, key=_natural))

    def _number(self, labels: list[str]) -> None:
        self.labels_ = labels
        self._ids = {label: i for i, label in enumerate(labels)}


class OneLabelProcessor(LabelProcessor[C]):
    """One label a row ↔ its number; the number K stands for all that have none of their own."""

    def item(self, raw: Any) -> np.ndarray:
        """() int64."""
        return np.int64(self._ids.get(raw, len(self.labels_)))  # pyright: ignore[reportReturnType]

    def collate(self, items: Sequence[np.ndarray | None]) -> Values:
        """(B,) int64."""
        data = np.array([0 if item is None else item for item in items], dtype=np.int64)
        return Values(torch.from_numpy(data), presence(items))

    def decode(self, data: torch.Tensor) -> list[str | None]:
        """Numbers → labels; the number K gives `None`."""
        return [self.labels_[i] if i < len(self.labels_) else None for i in data.tolist()]

    def is_known(self, raw: Any) -> bool:
        """Whether the label has a number of its own."""
        return raw in self._ids


def all_numbers(labels: Sequence[str]) -> bool:
    """Whether every label is a number."""
    return all(_natural(label)[0] == 0 for label in labels)


def _natural(label: str) -> tuple[int, float, str]:
    """Numbers by size, then words by letter."""
    try:
        number = float(label)
    except ValueError:
        return (1, 0.0, label)
    return (0, number, label) if number == number else (1, 0.0, label)
