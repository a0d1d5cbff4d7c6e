"""Vectors: a fixed number of numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
import torch

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import VectorConfig
from omnifuse.data.modalities.moments import standardise
from omnifuse.data.modalities.processor import Processor, is_absent, presence

LARGEST = 1e100  # squares of larger ones overflow
SEPARATOR = re.compile(r"\s*[,;]\s*|\s+")


class VectorProcessor(Processor[VectorConfig]):
    """Numbers ↔ (x − mean) / deviation for each of them, (size,) float32, learned on the training split.

    Absent: an empty word, `None`; zeros. A vector with a missing number is refused, not filled.
    """

    stored_as = "doubles"

    def __init__(self, config: VectorConfig) -> None:
        """Start with the identity; `fit` learns size and scale."""
        super().__init__(config)
        self.size_ = config.size or 0
        self.mean_, self.std_ = np.zeros(self.size_), np.ones(self.size_)

    def canonical(self, value: Any) -> tuple[float, ...] | None:
        """The numbers; from a list, an array, or a word such as `[1, 2]`, `1 2` or `1;2`."""
        if is_absent(value):
            return None
        if isinstance(value, str):
            if not value.strip():
                return None
            inside = value.strip().strip("[]()").strip()
            value = SEPARATOR.split(inside) if inside else []
        numbers = _numbers(value)
        if not numbers:
            raise BadValue("a vector without numbers")
        for place, number in enumerate(numbers, start=1):
            if not abs(number) <= LARGEST:  # NaN too
                raise BadValue(f"number {place} of {len(numbers)} is {'missing' if math.isnan(number) else 'too large'}")
        if self.config.size and len(numbers) != self.config.size:
            raise BadValue(f"{len(numbers)} numbers, not {self.config.size}")
        return numbers

    def fit(self, raws: Iterable[Any]) -> None:
        """Learn size, means and deviations in one pass (Welford 1962); a constant place keeps deviation 1."""
        count, mean, squares = 0, np.zeros(self.size_), np.zeros(self.size_)
        for raw in raws:
            if not self.size_:
                self.size_, mean, squares = len(raw), np.zeros(len(raw)), np.zeros(len(raw))
            numbers = np.array(self._checked(raw))
            count += 1
            step = numbers - mean
            mean += step / count
            squares += step * (numbers - mean)
        self.mean_, self.std_ = np.zeros(self.size_), np.ones(self.size_)
        if self.config.standardise and count:
            deviation = np.sqrt(squares / count)
            self.mean_ = mean
            self.std_ = np.where(deviation > 1e-12 * np.maximum(1.0, np.abs(mean)), deviation, 1.0)

    def item(self, raw: Any) -> np.ndarray:
        """(size,) float32, each at most a million deviations from its mean."""
        return standardise(np.array(self._checked(raw)), self.mean_, self.std_)

    def collate(self, items: Sequence[np.ndarray | None]) -> Values:
        """(B, size) float32."""
        blank = np.zeros(self.size_, dtype=np.float32)
        data = np.stack([blank if item is None else item for item in items])
        return Values(torch.from_numpy(data), presence(items))

    def decode(self, data: torch.Tensor) -> list[tuple[float, ...]]:
        """Standardised → the user's numbers."""
        numbers = data.double().cpu().numpy() * self.std_ + self.mean_
        return [tuple(row) for row in numbers.tolist()]

    @property
    def spec(self) -> ValueSpec:
        """Shape (size,)."""
        return ValueSpec(modality="vector", shape=(self.size_,), optional=self.optional_)

    def state(self) -> dict[str, Any]:
        """Size, means and deviations."""
        return {"size": self.size_, "mean": self.mean_.tolist(), "std": self.std_.tolist(), "optional": self.optional_}

    def load_state(self, state: dict[str, Any]) -> None:
        """Size, means and deviations."""
        self.size_, self.optional_ = state["size"], state["optional"]
        self.mean_, self.std_ = np.array(state["mean"], dtype=np.float64), np.array(state["std"], dtype=np.float64)

    def _checked(self, raw: Any) -> Any:
        if len(raw) != self.size_:
            hint = "" if self.config.size else f"; all of a column are equally long (`size: {self.size_}` sets others aside)"
            raise BadValue(f"a vector of {len(raw)} numbers among vectors of {self.size_}{hint}")
        return raw


def _numbers(value: Any) -> tuple[float, ...]:
    if hasattr(value, "__array__"):  # NumPy, pandas, PyTorch
        value = np.asarray(value)
        if value.ndim != 1:
            raise BadValue(f"an array of shape {value.shape} is not a vector")
    if isinstance(value, bytes | bytearray | Mapping | AbstractSet) or not isinstance(value, Sequence | np.ndarray):
        raise BadValue(f"{type(value).__name__} is not a vector of numbers")
    return tuple(math.nan if part is None else _number(part) for part in value)


def _number(part: Any) -> float:
    try:
        return float(part)
    except (TypeError, ValueError, OverflowError):
        raise BadValue(f"{str(part)[:40]!r} is not a number") from None
