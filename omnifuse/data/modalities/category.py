"""Categories: one of several labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from omnifuse.core.errors import OmnifuseError, nearest
from omnifuse.core.spec import ValueSpec
from omnifuse.data.modalities.config import CategoryConfig
from omnifuse.data.modalities.labels import LabelMender, OneLabelProcessor, all_numbers


class CategoryProcessor(OneLabelProcessor[CategoryConfig]):
    """A label ↔ its number. Labels are the words of the table: `1`, `1.0` and `"1"` are one label.

    Ids 0 … K−1 are the known labels, in the order of the option `order`, else in alphabetical order (numbers by size);
    id K stands for a label that the training split does not hold often enough. Absent: empty, `None`, NaN.
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
        if self.config.order is not None:
            self._number(in_order(self.labels_, [self._mend(label) for label in self.config.order]))

    @property
    def spec(self) -> ValueSpec:
        """`size` is the number of known labels; they are ordered by the option `order`, or where all are numbers."""
        ordered = self.config.order is not None or all_numbers(self.labels_)
        return ValueSpec(modality="category", size=len(self.labels_), optional=self.optional_, ordered=ordered)


def in_order(labels: Sequence[str], order: Sequence[str | None]) -> list[str]:
    """The labels in the order that the user wrote.

    Raises:
        OmnifuseError: a label has no place in it.
    """
    for label in labels:
        if label not in order:
            known = [place for place in order if place is not None]
            raise OmnifuseError(f'order: the label "{label}" has no place in it; {nearest(label, known)} Add it, or mend it by `replace`')
    return [label for label in order if label is not None and label in labels]
