"""Sound as a picture: loudness by time and pitch."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps

WINDOW, BANDS, RANGE_DB = 512, 64, 70


def log_mel(wave: np.ndarray, rate_hz: int, columns: int = 240) -> np.ndarray:
    """(BANDS, T') level in dB below the loudest of bands equally wide on the mel scale, lowest first.

    m = 2595 log10(1 + f/700). Source: O'Shaughnessy, Speech Communication, 1987.
    """
    wave = np.pad(np.nan_to_num(wave).astype(np.float64), (0, max(0, WINDOW - len(wave))))
    hop = max(WINDOW // 4, -(-(len(wave) - WINDOW) // columns)) or 1
    frames = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::hop] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    bands = power @ _filters(rate_hz).T
    level = 10 * np.log10(np.maximum(bands, 1e-10))
    return np.clip(level - level.max(), -RANGE_DB, 0).T


def spectrogram_pixels(wave: np.ndarray, rate_hz: int) -> np.ndarray:
    """(BANDS, T', 3) uint8, low pitch at the bottom."""
    shares = 1 + log_mel(wave, rate_hz)[::-1] / RANGE_DB
    return (colormaps["magma"](shares)[..., :3] * 255).round().astype(np.uint8)


def _filters(rate_hz: int) -> np.ndarray:
    """(BANDS, WINDOW/2 + 1) triangles over the frequencies of the transform."""
    highest = 2595 * np.log10(1 + rate_hz / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, highest, BANDS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / rate_hz)
    left, middle, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (frequencies - left) / (middle - left), (right - frequencies) / (right - middle)
    triangles = np.maximum(0, np.minimum(rising, falling))
    empty = triangles.sum(axis=1) == 0  # bands narrower than the transform resolves take its nearest frequency
    nearest = np.abs(frequencies[None] - middle[empty]).argmin(axis=1)
    triangles[np.flatnonzero(empty), nearest] = 1.0
    return triangles
