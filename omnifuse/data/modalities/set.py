"""Sets: several labels at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
import torch

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import SetConfig
from omnifuse.data.modalities.labels import LabelMender, LabelProcessor
from omnifuse.data.modalities.lists import read_list
from omnifuse.data.modalities.processor import checked_text, is_absent, presence

HALF = 0.5


class SetProcessor(LabelProcessor[SetConfig]):
    """Labels ↔ (K,) float32 with a 1 for each label that is there (multi-hot), labels in alphabetical order.

    A set may be there and empty, `[]`: a row of zeros with `present = True`. Labels that the training split does not
    hold often enough are left out. Absent: an empty word, `None`, NaN; a row of zeros with `present = False`.
    """

    stored_as = "strings"

    def __init__(self, config: SetConfig) -> None:
        """Start without labels; `fit` learns them."""
        super().__init__(config)
        self._mend = LabelMender(config.replace, config.lowercase)

    def canonical(self, value: Any) -> tuple[str, ...] | None:
        """The different labels, sorted; from a list, a set, an array, a word with separators, or a JSON list."""
        if is_absent(value):
            return None
        if isinstance(value, str):
            value = self._split(value)
            if value is None:
                return None
        elif isinstance(value, np.ndarray) or (hasattr(value, "__array__") and not isinstance(value, np.generic)):
            value = np.asarray(value)
            if value.ndim != 1:
                raise BadValue(f"an array of shape {value.shape} is not a list of labels")
        elif isinstance(value, bytes | bytearray | Mapping):
            raise BadValue(f"{type(value).__name__} is not a list of labels")
        elif not isinstance(value, Sequence | AbstractSet):
            value = [value]
        labels = (self._mend(label) for label in value)
        return tuple(sorted({label for label in labels if label is not None}))

    def fit(self, raws: Iterable[Any]) -> None:
        """Learn the labels: those with `min_count` rows, the most frequent ones where there are more than `max_classes`."""
        counts: Counter[str] = Counter()
        rows = 0
        for raw in raws:
            counts.update(raw)
            rows += 1
        self._learn(counts, self.config.max_classes, self.config.min_count)
        if rows and not self.labels_:
            fault = f"no label has {self.config.min_count} training rows; lower min_count" if counts else "every set is empty; leave it out"
            raise OmnifuseError(f"the training split has nothing to learn in a column of sets: {fault}")

    def item(self, raw: Any) -> np.ndarray:
        """Ids of the known labels, int64: smaller to keep than K zeros and ones."""
        return np.array([self._ids[label] for label in raw if label in self._ids], dtype=np.int64)

    def collate(self, items: Sequence[np.ndarray | None]) -> Values:
        """(B, K) float32."""
        data = np.zeros((len(items), len(self.labels_)), dtype=np.float32)
        for row, item in enumerate(items):
            if item is not None:
                data[row, item] = 1.0
        return Values(torch.from_numpy(data), presence(items))

    def decode(self, data: torch.Tensor) -> list[tuple[str, ...]]:
        """(B, K) ones and zeros, or probabilities → the labels above one half, sorted."""
        rows = (data.float() > HALF).tolist()
        return [tuple(sorted(label for label, there in zip(self.labels_, row, strict=True) if there)) for row in rows]

    def is_known(self, raw: Any) -> bool:
        """Whether it can be learned: it is empty, or has a label that the training split holds."""
        return raw is not None and (not raw or any(label in self._ids for label in raw))

    @property
    def spec(self) -> ValueSpec:
        """Shape (K,)."""
        return ValueSpec(modality="set", shape=(len(self.labels_),), optional=self.optional_)

    def _split(self, word: str) -> list[Any] | None:
        word = checked_text(word).strip()
        if not word:
            return None
        listed = read_list(word)
        return word.split(self.config.separator) if listed is None else listed
