"""Damaged sounds, at the rate and with the channels of the file, as far as its processor listens; written as WAV of floats.

Shapes: C channels, T samples.
"""

from __future__ import annotations

import numpy as np

from omnifuse.data.decode import decode_audio, encode_audio
from omnifuse.data.decode.audio import MAX_S, audio_facts
from omnifuse.data.decode.wave_file import wave_header
from omnifuse.data.modalities.config import AudioConfig
from omnifuse.evaluation.robustness.corruptions import Known


def noise(raw: bytes, level: float, draw: np.random.Generator, known: Known) -> bytes:
    """Hiss: x + z·√(P_x / (10^(level/10)·P_z)), z white and Gaussian, P the mean square: exactly `level` dB in every sound.

    A sound of silence has no such ratio and stays as it is. What goes beyond [−1, 1] is kept, not cut.
    """
    wave_CT, rate_hz = read_wave_of(raw, known)
    wave = wave_CT.astype(np.float64)
    power = float(np.mean(wave**2))
    if power == 0:
        return raw
    hiss = draw.standard_normal(wave.shape)
    scale = np.sqrt(power / (10 ** (level / 10) * np.mean(hiss**2)))
    return encode_audio((wave + scale * hiss, rate_hz))


def gap(raw: bytes, level: float, draw: np.random.Generator, known: Known) -> bytes:
    """A stretch of level·T samples is silent."""
    wave_CT, rate_hz = read_wave_of(raw, known)
    wave_CT[:, stretch(wave_CT.shape[1], level, draw)] = 0
    return encode_audio((wave_CT, rate_hz))


def stretch(length: int, share: float, draw: np.random.Generator) -> slice:
    """A stretch of this share of the places, somewhere; a shorter one at the same draw lies inside a longer one."""
    lost = round(share * length)
    start = round(draw.random() * (length - lost))
    return slice(start, start + lost)


def read_wave_of(raw: bytes, known: Known) -> tuple[np.ndarray, int]:
    """(C, T) float32 and its rate."""
    header = wave_header(raw)
    about = audio_facts(raw) if header is None else header
    config = known.processor.config if known.processor is not None else None
    seconds = config.max_s if isinstance(config, AudioConfig) else MAX_S
    return np.array(decode_audio(raw, about.rate_hz, about.channels, seconds)), about.rate_hz
