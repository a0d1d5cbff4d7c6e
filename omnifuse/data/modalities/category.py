"""Categories: one of several labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.modalities.config import CategoryConfig
from omnifuse.data.modalities.processor import Processor, checked_text, is_absent, presence

WHOLE = re.compile(r"^(-?\d+)\.0+$")


class CategoryProcessor(Processor[CategoryConfig]):
    """A label ↔ its number. Labels are the words of the table: `1`, `1.0` and `"1"` are one label.

    Ids 0 … K−1 are the known labels, in alphabetical order (numbers by size); id K stands for a label that the
    training split does not hold. Absent: empty, `None`, NaN.
    """

    stored_as = "string"

    def __init__(self, config: CategoryConfig) -> None:
        """Start without labels; `fit` learns them."""
        super().__init__(config)
        self.labels_: list[str] = []
        self._ids: dict[str, int] = {}

    @classmethod
    def canonical(cls, value: Any) -> str | None:
        """The label as a word."""
        if is_absent(value):
            return None
        if isinstance(value, float | np.floating) and float(value).is_integer():
            value = int(value)
        label = checked_text(value).strip()
        return WHOLE.sub(r"\1", label) or None

    def fit(self, raws: Iterable[Any]) -> None:
        """Learn the labels; the most frequent ones where there are more than `max_classes`."""
        counts = Counter(raws)
        common = sorted(counts, key=lambda label: (-counts[label], label))[: self.config.max_classes]
        self._learn(sorted(common, key=_natural))

    def item(self, raw: Any) -> np.ndarray:
        """() int64."""
        return np.int64(self._ids.get(raw, len(self.labels_)))  # pyright: ignore[reportReturnType]

    def collate(self, items: Sequence[np.ndarray | None]) -> Values:
        """(B,) int64."""
        data = np.array([0 if item is None else item for item in items], dtype=np.int64)
        return Values(torch.from_numpy(data), presence(items))

    def decode(self, data: torch.Tensor) -> list[str | None]:
        """Ids → labels; the id of unknown labels gives `None`."""
        return [self.labels_[i] if i < len(self.labels_) else None for i in data.tolist()]

    def is_known(self, raw: Any) -> bool:
        """Whether the training split holds the label."""
        return raw in self._ids

    @property
    def spec(self) -> ValueSpec:
        """`size` is the number of known labels."""
        return ValueSpec(modality="category", size=len(self.labels_), optional=self.optional_)

    def state(self) -> dict[str, Any]:
        """The labels."""
        return {"labels": self.labels_, "optional": self.optional_}

    def load_state(self, state: dict[str, Any]) -> None:
        """The labels."""
        self.optional_ = state["optional"]
        self._learn(state["labels"])

    def _learn(self, labels: list[str]) -> None:
        self.labels_ = labels
        self._ids = {label: i for i, label in enumerate(labels)}


def _natural(label: str) -> tuple[int, float, str]:
    """Numbers by size, then words by letter."""
    try:
        number = float(label)
    except ValueError:
        return (1, 0.0, label)
    return (0, number, label) if number == number else (1, 0.0, label)
