"""Ids: users, items and other names of which there are many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from omnifuse.core.spec import ValueSpec
from omnifuse.data.modalities.config import IdConfig
from omnifuse.data.modalities.labels import OneLabelProcessor, label_word


class IdProcessor(OneLabelProcessor[IdConfig]):
    """An id ↔ its place. Ids are the words of the table: `7`, `7.0` and `"7"` are one id.

    Places 0 … K−1 belong to the ids with at least `min_count` training rows. All others, and those that come later,
    share place K: the rare ones of the training split teach it, so that a new user is served as a rare one was. Where
    the training split has no rare id, nothing could teach place K; then it lies beyond `size`, and an `embedding`
    gives it the vector 0, as to an unknown label. Absent: empty, `None`, NaN.
    """

    stored_as = "string"

    def __init__(self, config: IdConfig) -> None:
        """Start without ids; `fit` learns them."""
        super().__init__(config)
        self.has_rare_ = False

    def canonical(self, value: Any) -> str | None:
        """The id as a word."""
        return label_word(value)

    def fit(self, raws: Iterable[Any]) -> None:
        """Learn the ids that are frequent enough, and whether there are others."""
        counts = Counter(raws)
        self._learn(counts, self.config.max_ids, self.config.min_count)
        self.has_rare_ = len(self.labels_) < len(counts)

    @property
    def spec(self) -> ValueSpec:
        """`size` is the number of places that training can teach: one for each frequent id, and the shared one if there is a rare id."""
        size = len(self.labels_) + self.has_rare_
        return ValueSpec(modality="id", size=size, optional=self.optional_, shares_last=self.has_rare_)

    def state(self) -> dict[str, Any]:
        """The ids, and whether there are rare ones."""
        return {**super().state(), "rare": self.has_rare_}

    def load_state(self, state: dict[str, Any]) -> None:
        """The ids, and whether there are rare ones."""
        super().load_state(state)
        self.has_rare_ = state["rare"]
