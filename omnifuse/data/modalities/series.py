"""Sensor series: standardised channels over time, and which of their values were measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from omnifuse.core.errors import OmnifuseError, nearest
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.decode.series import decode_series, encode_series, series_of
from omnifuse.data.modalities.config import SeriesConfig
from omnifuse.data.modalities.moments import Moments, standardise
from omnifuse.data.modalities.processor import Facts, MediaProcessor, padded
from omnifuse.data.modalities.timing import even_steps, split_time

STEP_NAME = "seconds since the last step"


class SeriesProcessor(MediaProcessor[SeriesConfig]):
    """A file of C channels over T steps ↔ (T, C') float32, each channel standardised with the training split.

    C' = C, and where values are missing in the training split 2C: a missing value is 0, and its second channel says 1 for
    measured and 0 for missing. With uneven `time` one more channel says how long ago the last step was. A channel that a file
    does not have is missing throughout. A batch is padded to its longest series, with a mask (B, T).
    Absent: no path; zeros with an all-false mask.
    """

    def __init__(self, config: SeriesConfig) -> None:
        """Start without channels; `fit` learns them."""
        super().__init__(config)
        self.channels_: list[str] = []
        self.mean_, self.std_ = np.zeros(0), np.ones(0)
        self.has_gaps_ = False
        self.step_mean_, self.step_std_ = 0.0, 1.0

    @property
    def is_uneven(self) -> bool:
        """Whether steps come at their own times."""
        return self.config.time is not None and self.config.rate_hz is None

    def inspect(self, data: bytes) -> Facts:
        """Steps, channels, how many values are missing, and the length where there is a time."""
        series = decode_series(data)
        numbers: dict[str, float] = {}
        if self.config.time is not None:
            series, seconds = split_time(series, self.config.time, self.config.time_unit)
            numbers["seconds"] = float(seconds[-1])
        steps, channels = series.values.shape
        return Facts({"steps": steps, "channels": channels, "missing": int(np.isnan(series.values).sum()), **numbers})

    def serialise(self, value: Any) -> bytes:
        """An array or lists (T,) or (T, C), or channels by name, as an Arrow stream."""
        series = series_of(value)
        return encode_series(series.names, series.values)

    def fit(self, raws: Iterable[Any]) -> None:
        """Learn the channels, their mean and deviation, and whether values are missing, in one pass."""
        learned: dict[str, Moments] = {}
        files: dict[str, int] = {}
        known: dict[str, None] = {}
        steps, count, missing = Moments(), 0, 0
        for raw in raws:
            names, values, seconds = self._read(raw)
            count += 1
            known |= dict.fromkeys(names)
            for name, column in zip(names, values.T, strict=True):
                if self.config.channels is None or name in self.config.channels:
                    learned.setdefault(name, Moments()).add(column)
                    files[name] = files.get(name, 0) + 1
                    missing += int(np.isnan(column).sum())
            if seconds is not None:
                steps.add(np.diff(seconds))
        self.channels_ = self._chosen(learned, known)
        self.mean_ = np.array([learned[name].mean for name in self.channels_])
        self.std_ = np.array([learned[name].std for name in self.channels_])
        self.has_gaps_ = missing > 0 or any(files[name] < count for name in self.channels_)
        self.step_mean_, self.step_std_ = steps.mean, steps.std

    def item(self, raw: Any) -> np.ndarray:
        """(T, C') float32."""
        names, values, seconds = self._read(raw)
        wanted = np.full((len(values), len(self.channels_)), np.nan)
        for place, name in enumerate(self.channels_):
            if name in names:
                wanted[:, place] = values[:, names.index(name)]
        is_measured = ~np.isnan(wanted)
        parts = [np.where(is_measured, standardise(wanted, self.mean_, self.std_), 0)]
        if self.has_gaps_:
            parts.append(is_measured)
        if seconds is not None:
            since = standardise(np.diff(seconds), np.array(self.step_mean_), np.array(self.step_std_))
            parts.append(np.concatenate([np.zeros(1, np.float32), since])[:, None])
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def collate(self, items: Sequence[np.ndarray | None]) -> Values:
        """(B, T, C') float32 with a mask (B, T)."""
        return padded(items, (len(self._names()),), np.float32)

    def decode(self, data: torch.Tensor) -> list[np.ndarray]:
        """(B, T, C') → (T, C) arrays in the user's units, with the padding; NaN where a value is missing."""
        count = len(self.channels_)
        numbers = data.double().cpu().numpy()
        values = numbers[..., :count] * self.std_ + self.mean_
        if self.has_gaps_:
            values = np.where(numbers[..., count : 2 * count] > 0.5, values, np.nan)
        return list(values)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of what is decoded."""
        return tuple(self.channels_)

    @property
    def spec(self) -> ValueSpec:
        """Shape (None, C'); `names` of the C' channels."""
        names = self._names()
        return ValueSpec(
            modality="series",
            shape=(None, len(names)),
            max_length=self.config.max_steps,
            rate_hz=self.config.rate_hz or 0,
            names=names,
            optional=self.optional_,
        )

    def state(self) -> dict[str, Any]:
        """Channels with mean and deviation, and what is added to them."""
        return {
            "channels": self.channels_,
            "mean": self.mean_.tolist(),
            "std": self.std_.tolist(),
            "has_gaps": self.has_gaps_,
            "step": [self.step_mean_, self.step_std_],
            "optional": self.optional_,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """What `state` returned."""
        self.channels_, self.has_gaps_, self.optional_ = state["channels"], state["has_gaps"], state["optional"]
        self.mean_, self.std_ = np.array(state["mean"]), np.array(state["std"])
        self.step_mean_, self.step_std_ = state["step"]

    def _names(self) -> tuple[str, ...]:
        measured = [f"{name} is measured" for name in self.channels_] if self.has_gaps_ else []
        return (*self.channels_, *measured, *([STEP_NAME] if self.is_uneven else []))

    def _read(self, raw: bytes) -> tuple[Sequence[str], np.ndarray, np.ndarray | None]:
        """Names, values (T, C) with NaN where missing, and the seconds of the steps where these are uneven."""
        series, seconds = decode_series(raw), None
        if self.config.time is not None:
            series, seconds = split_time(series, self.config.time, self.config.time_unit)
        names = series.names or [f"channel_{place + 1}" for place in range(series.values.shape[1])]
        if seconds is not None and self.config.rate_hz is not None:
            return names, even_steps(series.values, seconds, self.config.rate_hz, self.config.max_gap_s, self.config.max_steps), None
        steps = self.config.max_steps
        return names, series.values[:steps], None if seconds is None else seconds[:steps]

    def _chosen(self, learned: dict[str, Moments], known: dict[str, None]) -> list[str]:
        for name in self.config.channels or ():
            if name not in learned:
                raise OmnifuseError(f'channels: no training file has a channel "{name}"; {nearest(name, known)}')
        return list(self.config.channels or learned)
