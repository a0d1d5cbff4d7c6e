"""Moments: their place in time, and in the year, the week and the day."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.modalities.config import DatetimeConfig
from omnifuse.data.modalities.instants import microseconds, moment, zone_of
from omnifuse.data.modalities.moments import FARTHEST
from omnifuse.data.modalities.processor import Processor, checked_text, is_absent, presence

DAY_S = 86_400.0
DAY_US = 86_400_000_000
FEATURES = ("time", "sin year", "cos year", "sin week", "cos week", "sin day", "cos day")


class DatetimeProcessor(Processor[DatetimeConfig]):
    """A moment ↔ ((t − mean) / deviation, sin and cos of 2π·y, 2π·w, 2π·d), float32.

    t counts time, with mean and deviation of the training split; y, w and d in [0, 1) say how far the year, the week
    (from Monday) and the day have gone on the clocks of `timezone`. Absent: an empty word, `None`, NaT; zeros.
    """

    stored_as = "long"

    def __init__(self, config: DatetimeConfig) -> None:
        """Start at 1970 with a scale of a day; `fit` learns them."""
        super().__init__(config)
        self._zone = zone_of(config.timezone)
        self.mean_, self.std_ = 0.0, float(DAY_US)
        self.whole_days_ = False

    def canonical(self, value: Any) -> int | None:
        """Microseconds since 1970 UTC."""
        if is_absent(value) or (isinstance(value, np.datetime64) and np.isnat(value)):
            return None
        if isinstance(value, str) and not checked_text(value).strip():
            return None
        return microseconds(value, self.config.format, self._zone)

    def fit(self, raws: Iterable[Any]) -> None:
        """Learn mean and deviation in one pass (Welford 1962), and whether all are days without a time."""
        count, mean, squares, whole = 0, 0.0, 0.0, True
        for raw in raws:
            count += 1
            step = raw - mean
            mean += step / count
            squares += step * (raw - mean)
            whole = whole and _seconds_of_day(moment(raw, self._zone)) == 0
        deviation = math.sqrt(squares / count) if count else 0.0
        self.mean_, self.std_ = mean, deviation if deviation >= 1.0 else float(DAY_US)
        self.whole_days_ = whole and count > 0

    def item(self, raw: Any) -> np.ndarray:
        """(7,) float32."""
        there = moment(raw, self._zone)
        day = _seconds_of_day(there) / DAY_S
        days_in_year = 366 if there.year % 4 == 0 and (there.year % 100 != 0 or there.year % 400 == 0) else 365
        turns = ((there.timetuple().tm_yday - 1 + day) / days_in_year, (there.weekday() + day) / 7, day)
        deviations = min(max((raw - self.mean_) / self.std_, -FARTHEST), FARTHEST)
        waves = (wave(2 * math.pi * turn) for turn in turns for wave in (math.sin, math.cos))
        return np.array([deviations, *waves], dtype=np.float32)

    def collate(self, items: Sequence[np.ndarray | None]) -> Values:
        """(B, 7) float32."""
        data = np.zeros((len(items), len(FEATURES)), dtype=np.float32)
        for row, item in enumerate(items):
            if item is not None:
                data[row] = item
        return Values(torch.from_numpy(data), presence(items))

    def decode(self, data: torch.Tensor) -> list[str]:
        """(B, 7) → ISO 8601 on the clocks of `timezone`, from the first feature alone.

        Days where the training split holds nothing else; otherwise to the second, as far as float32 tells: to about
        ten millionths of the deviation of the training moments.
        """
        times = torch.nan_to_num(data[:, 0].double()) * self.std_ + self.mean_
        return [self._word(time) for time in times.tolist()]

    @property
    def spec(self) -> ValueSpec:
        """Shape (7,)."""
        return ValueSpec(modality="datetime", shape=(len(FEATURES),), names=FEATURES, optional=self.optional_)

    def state(self) -> dict[str, Any]:
        """Mean and deviation in microseconds, and whether moments are days."""
        return {"mean": self.mean_, "std": self.std_, "whole_days": self.whole_days_, "optional": self.optional_}

    def load_state(self, state: dict[str, Any]) -> None:
        """Mean and deviation, and whether moments are days."""
        self.mean_, self.std_ = state["mean"], state["std"]
        self.whole_days_, self.optional_ = state["whole_days"], state["optional"]

    def _word(self, time: float) -> str:
        if self.whole_days_:
            return moment(time + DAY_US / 2, self._zone).date().isoformat()
        return moment(round(time / 1e6) * 1e6, self._zone).isoformat(timespec="seconds")


def _seconds_of_day(there: dt.datetime) -> float:
    return there.hour * 3600 + there.minute * 60 + there.second + there.microsecond / 1e6
