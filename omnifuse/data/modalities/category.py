"""Categories: one of several labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.modalities.config import CategoryConfig
from omnifuse.data.modalities.labels import LabelMender, LabelProcessor
from omnifuse.data.modalities.processor import presence


class CategoryProcessor(LabelProcessor[CategoryConfig]):
    """A label ↔ its number. Labels are the words of the table: `1`, `1.0` and `"1"` are one label.

    Ids 0 … K−1 are the known labels, in alphabetical order (numbers by size); id K stands for a label that the
    training split does not hold often enough. Absent: empty, `None`, NaN.
    """

    stored_as = "string"

    def __init__(self, config: CategoryConfig) -> None:
        """Start without labels; `fit` learns them."""
        super().__init__(config)
        self._mend = LabelMender(config.replace, config.lowercase)

    def canonical(self, value: Any) -> str | None:
        """The label as a word, mended."""
        return self._mend(value)

    def fit(self, raws: Iterable[Any]) -> None:
        """Learn the labels: those with `min_count` rows, the most frequent ones where there are more than `max_classes`."""
        counts = Counter(raws)
        self._learn(counts, self.config.max_classes, self.config.min_count)
        if counts and not self.labels_:
            most = max(counts.values())
            raise OmnifuseError(f"min_count: no label has {self.config.min_count} training rows (the most frequent has {most}); lower it")

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
