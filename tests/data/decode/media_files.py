"""Small sounds and films of many formats, made on the spot."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

RATE_HZ = 48_000
FPS = 20


def wave(seconds: float = 1.0, rate_hz: int = RATE_HZ, pitch_hz: float = 440.0) -> np.ndarray:
    """(T,) a tone with some noise."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    noise = np.random.default_rng(0).normal(0, 0.01, len(time_s))
    return (0.3 * np.sin(2 * np.pi * pitch_hz * time_s) + noise).astype(np.float32)


def sound(kind: str, subtype: str | None = None, samples: np.ndarray | None = None, rate_hz: int = RATE_HZ) -> bytes:
    """A sound file that libsndfile writes; samples are (T,) or (T, C)."""
    soundfile = pytest.importorskip("soundfile")
    buffer = io.BytesIO()
    soundfile.write(buffer, wave() if samples is None else samples, rate_hz, format=kind, subtype=subtype)
    return buffer.getvalue()


def film(kind: str, pictures: str | None, tone: str | None, frames: int = 40, path: Path | None = None, gop: int = 12) -> bytes:
    """A film of 96×64 at 20 Hz, frame n of grey 5·n with its left 8 columns white; with a tone of the same length.

    With a `path` the file is written there with its index in front, as films for the web are.
    """
    av = pytest.importorskip("av")
    target = io.BytesIO() if path is None else str(path)
    with av.open(target, "w", format=kind, options={} if path is None else {"movflags": "faststart"}) as container:
        seen = heard = None
        if pictures:
            seen = container.add_stream(pictures, rate=FPS)
            seen.width, seen.height, seen.pix_fmt, seen.codec_context.gop_size = 96, 64, "yuv420p", gop
        if tone:
            heard = container.add_stream(tone, rate=RATE_HZ, layout="stereo")
        for number in range(frames if seen else 0):
            pixels = np.full((64, 96, 3), 5 * number % 256, np.uint8)
            pixels[:, :8] = 255
            container.mux(seen.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        if seen:
            container.mux(seen.encode())
        samples = wave(frames / FPS)
        for start in range(0, len(samples) if heard else 0, 1024):
            block = av.AudioFrame.from_ndarray(np.stack([samples[start : start + 1024]] * 2), format="fltp", layout="stereo")
            block.sample_rate, block.pts = RATE_HZ, start
            container.mux(heard.encode(block))
        if heard:
            container.mux(heard.encode())
    return target.getvalue() if isinstance(target, io.BytesIO) else Path(target).read_bytes()


def flipped(data: bytes, count: int = 200) -> bytes:
    """The file with some bytes in its middle changed."""
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0x5A for byte in data[middle : middle + count]) + data[middle + count :]
