"""Numbers: standardised floats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import NumberConfig
from omnifuse.data.modalities.moments import FARTHEST
from omnifuse.data.modalities.numerals import read_numeral, read_quantity
from omnifuse.data.modalities.processor import Processor, is_absent, presence

LARGEST = 1e100  # squares of larger ones overflow


class NumberProcessor(Processor[NumberConfig]):
    """A number ↔ (f(x) − mean) / deviation, float32, with mean and deviation of f(x) over the training split.

    f(x) = x, or sign(x)·ln(1 + |x|) with `log`. Absent: empty, `None`, NaN; the tensor holds 0 with `present = False`.
    """

    stored_as = "double"

    def __init__(self, config: NumberConfig) -> None:
        """Start with the identity; `fit` learns the scale."""
        super().__init__(config)
        self.mean_, self.std_ = 0.0, 1.0

    def canonical(self, value: Any) -> float | None:
        """A float in the column's unit; words are read as `format` says; infinities and what is out of range are refused."""
        if is_absent(value) or (isinstance(value, str) and not value.strip()):
            return None
        number = self._read(value)
        if math.isnan(number):
            return None
        if abs(number) > LARGEST:
            raise BadValue(f"{str(value)[:40]!r} is too large for a number")
        lowest, highest = self.config.minimum, self.config.maximum
        if (lowest is not None and number < lowest) or (highest is not None and number > highest):
            raise BadValue(f"{number:g} is {_range(lowest, highest)}")
        return number

    def fit(self, raws: Iterable[Any]) -> None:
        """Learn mean and deviation in one pass (Welford 1962); a constant column keeps deviation 1."""
        count, mean, squares = 0, 0.0, 0.0
        for raw in raws:
            count += 1
            number = self._forth(raw)
            step = number - mean
            mean += step / count
            squares += step * (number - mean)
        self.mean_ = mean
        deviation = math.sqrt(squares / count) if count else 0.0
        self.std_ = deviation if deviation > 1e-12 * max(1.0, abs(mean)) else 1.0

    def item(self, raw: Any) -> np.ndarray:
        """() float32, at most a million deviations from the mean, so that one wild number cannot overflow a loss."""
        deviations = (self._forth(raw) - self.mean_) / self.std_
        return np.float32(min(max(deviations, -FARTHEST), FARTHEST))  # pyright: ignore[reportReturnType]

    def collate(self, items: Sequence[np.ndarray | None]) -> Values:
        """(B,) float32."""
        data = np.array([0.0 if item is None else item for item in items], dtype=np.float32)
        return Values(torch.from_numpy(data), presence(items))

    def decode(self, data: torch.Tensor) -> list[float]:
        """Standardised → the user's unit."""
        numbers = data.double() * self.std_ + self.mean_
        if self.config.log:
            numbers = numbers.sign() * numbers.abs().clamp(max=math.log1p(LARGEST)).expm1()
        return numbers.tolist()

    @property
    def spec(self) -> ValueSpec:
        """Continuous, no shape."""
        return ValueSpec(modality="number", optional=self.optional_)

    def state(self) -> dict[str, Any]:
        """Mean and deviation."""
        return {"mean": self.mean_, "std": self.std_, "optional": self.optional_}

    def load_state(self, state: dict[str, Any]) -> None:
        """Mean and deviation."""
        self.mean_, self.std_, self.optional_ = state["mean"], state["std"], state["optional"]

    def _read(self, value: Any) -> float:
        if isinstance(value, str):
            if self.config.unit:
                return read_quantity(value, self.config.format, self.config.unit)
            return read_numeral(value, self.config.format)
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            raise BadValue(f"{str(value)[:40]!r} is not a number") from None

    def _forth(self, number: float) -> float:
        return math.copysign(math.log1p(abs(number)), number) if self.config.log else number


def _range(lowest: float | None, highest: float | None) -> str:
    """How a number misses its range, in words."""
    if lowest is None:
        return f"above the maximum {highest:g}"
    return f"below the minimum {lowest:g}" if highest is None else f"outside {lowest:g} to {highest:g}"
