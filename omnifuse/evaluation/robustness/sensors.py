"""Damaged series; the channel of the time, and channels that the processor does not read, stay as they are.

Shapes: T steps, C channels.
"""

from __future__ import annotations

import numpy as np

from omnifuse.data.decode import decode_series, encode_series
from omnifuse.data.decode.series import Series
from omnifuse.data.modalities.series import SeriesProcessor
from omnifuse.evaluation.robustness.corruptions import Known
from omnifuse.evaluation.robustness.sounds import stretch


def noise(raw: bytes, level: float, draw: np.random.Generator, known: Known) -> bytes:
    """Grain: x + level·σ_c·z, z ~ N(0, 1) for every step of channel c, σ_c its deviation in the training split (alone: in the series)."""
    series = decode_series(raw)
    grain = draw.standard_normal(series.values.shape)
    return encode_series(series.names, series.values + level * _deviations(series, known) * grain)


def drift(raw: bytes, level: float, draw: np.random.Generator, known: Known) -> bytes:
    """x_t + s_c·level·σ_c·t/(T − 1): each channel leaves its calibration evenly, s_c = ±1."""
    series = decode_series(raw)
    count, channels = series.values.shape
    way = np.linspace(0, 1, count) if count > 1 else np.ones(1)
    side = np.where(draw.random(channels) < 0.5, -1.0, 1.0)
    return encode_series(series.names, series.values + level * way[:, None] * side * _deviations(series, known))


def gap(raw: bytes, level: float, draw: np.random.Generator, known: Known) -> bytes:
    """A stretch of level·T steps is missing in every channel; where nothing would be left, the first measured value stays."""
    series = decode_series(raw)
    values, hit = series.values.copy(), _deviations(series, known) > 0
    lost = stretch(len(values), level, draw)
    values[lost] = np.where(hit, np.nan, values[lost])
    if np.isnan(values[:, hit]).all():
        first = np.argwhere(~np.isnan(series.values))[0]
        values[tuple(first)] = series.values[tuple(first)]
    return encode_series(series.names, values)


def _deviations(series: Series, known: Known) -> np.ndarray:
    """(C,) of the channels that are read; 0 for the others."""
    values, processor = series.values, known.processor
    if not isinstance(processor, SeriesProcessor):
        counts = np.maximum((~np.isnan(values)).sum(axis=0), 1)
        centred = values - np.nansum(values, axis=0) / counts
        deviations = np.sqrt(np.nansum(centred**2, axis=0) / counts)
        return np.where(deviations > 0, deviations, 1.0)
    names = series.names or [f"channel_{place + 1}" for place in range(values.shape[1])]
    learned = dict(zip(processor.channels_, processor.std_.tolist(), strict=True))
    return np.array([learned.get(name, 0.0) for name in names])
