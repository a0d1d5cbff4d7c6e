"""Pairs of written and spoken digits, both with noise, so that neither half tells the digit alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from omnifuse.recipes.av_digits_clean import tables

CONTRAST, NOISE = 0.5, 0.4
SNR_DB = -6.0


def write_tables(folder: Path, seed: int = 0, pairs: Mapping[str, int] = tables.PAIRS) -> dict[str, Path]:
    """Write `train.parquet` and `test.parquet` as the clean recipe does, the same pairs with noise."""
    return tables.write_tables(folder, seed, noisy_picture, noisy_sound, pairs)


def noisy_picture(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Less contrast and white noise: 0.5·x + 0.25 + N(0, 0.4²), within [0, 1]."""
    return np.clip(CONTRAST * pixels + (1 - CONTRAST) / 2 + random.normal(0, NOISE, pixels.shape), 0, 1)


def noisy_sound(wave: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """White noise at −6 dB: its power is four times that of the voice; scaled to a peak of 0.9 (float32)."""
    power = float(np.mean(np.square(wave, dtype=np.float64)))
    noisy = wave + random.normal(0, np.sqrt(power * 10 ** (-SNR_DB / 10)), wave.shape)
    return (0.9 * noisy / max(1e-9, float(np.abs(noisy).max()))).astype(np.float32)
