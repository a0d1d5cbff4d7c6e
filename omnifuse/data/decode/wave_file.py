"""WAV files without compression: read straight from memory, and written."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from omnifuse.data.fetch import BadValue

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
MAX_CHANNELS = 64
MAX_RATE_HZ = 768_000
STREAMED = 0xFFFFFFFF  # the size that is written where it was not known yet
KINDS = {(PCM, 8): "u1", (PCM, 16): "<i2", (PCM, 24): "3u1", (PCM, 32): "<i4", (FLOAT, 32): "<f4", (FLOAT, 64): "<f8"}
WRITTEN = {"u1": (PCM, 8), "i2": (PCM, 16), "i4": (PCM, 32), "f4": (FLOAT, 32)}


@dataclass(frozen=True)
class WaveHeader:
    """Where the samples of a plain WAV file lie and what they are."""

    rate_hz: int
    channels: int
    kind: str
    start: int
    frames: int

    @property
    def width(self) -> int:
        """Bytes of one sample."""
        return 3 if self.kind == "3u1" else np.dtype(self.kind).itemsize


def wave_header(data: bytes) -> WaveHeader | None:
    """Read the header of a WAV file; `None` where it is something else, or compressed.

    Raises:
        BadValue: fewer bytes of sound than the header says, or a header that contradicts itself.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    place, layout = 12, None
    while place + 8 <= len(data):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8
        if name == b"fmt " and size >= 16 and place + size <= len(data):
            layout = _layout(data[place : place + size])
            if layout is None:
                return None
        elif name == b"data":
            if layout is None:
                raise BadValue("damaged: a WAV file without a description of its samples")
            return _header(layout, place, size, len(data))
        place += size + size % 2
    raise BadValue("cut off: a WAV file without samples")


def read_wave(data: bytes, header: WaveHeader, first: int, frames: int) -> np.ndarray:
    """(T, channels) float32 in [−1, 1], from the frame `first` on at most so many."""
    count = max(0, min(frames, header.frames - first)) * header.channels
    start = header.start + first * header.channels * header.width
    if header.kind == "3u1":
        words = np.zeros((count, 4), dtype=np.uint8)
        words[:, 1:] = np.frombuffer(data, np.uint8, 3 * count, start).reshape(-1, 3)
        wave = words.view("<i4")[:, 0].astype(np.float32) * np.float32(2.0**-31)
    else:
        raw = np.frombuffer(data, header.kind, count, start)
        with np.errstate(over="ignore"):  # is looked for below
            wave = raw.astype(np.float32)
        if header.kind == "u1":
            wave -= 128
        if raw.dtype.kind != "f":
            wave *= np.float32(2.0 ** (1 - 8 * raw.itemsize))
        elif not np.isfinite(wave).all():
            raise BadValue("the sound holds samples that are not finite")
    return wave.reshape(-1, header.channels)


def encode_wav(array: np.ndarray, rate_hz: float) -> bytes:
    """A WAV file that keeps the samples as they are: (T,) or (channels, T), floats in [−1, 1], int16, int32 or uint8.

    Raises:
        BadValue: another shape or type, no samples, samples that are not finite, or a rate that no sound has.
    """
    array = np.asarray(array)
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    kind = array.dtype.kind + str(array.dtype.itemsize)
    if array.ndim not in (1, 2) or kind not in WRITTEN or (array.ndim == 2 and not 1 <= array.shape[0] <= MAX_CHANNELS):
        raise BadValue(f"a sound must be an array (samples,) or (channels, samples) of floats or int16, not {array.shape} {array.dtype}")
    if not array.size or (array.dtype.kind == "f" and not np.isfinite(array).all()):
        raise BadValue("the sound holds no samples" if not array.size else "the sound holds samples that are not finite")
    if not (1 <= rate_hz <= MAX_RATE_HZ and rate_hz == int(rate_hz)):
        raise BadValue(f"a rate of {rate_hz} samples a second; give a whole number up to {MAX_RATE_HZ}")
    frames = np.ascontiguousarray(np.atleast_2d(array).T)
    body = frames.astype(frames.dtype.newbyteorder("<")).tobytes()
    code, bits = WRITTEN[kind]
    step = frames.shape[1] * bits // 8
    layout = struct.pack("<HHIIHH", code, frames.shape[1], int(rate_hz), int(rate_hz) * step, step, bits)
    chunks = b"fmt " + struct.pack("<I", len(layout)) + layout + b"data" + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def _layout(chunk: bytes) -> tuple[int, int, str] | None:
    """Rate, channels and kind of the samples; `None` where they are compressed."""
    code, channels, rate_hz, _, step, bits = struct.unpack_from("<HHIIHH", chunk)
    if code == EXTENSIBLE and len(chunk) >= 26:
        code = int.from_bytes(chunk[24:26], "little")
    kind = KINDS.get((code, bits))
    return None if kind is None or not channels or step * 8 != channels * bits else (rate_hz, channels, kind)


def _header(layout: tuple[int, int, str], start: int, size: int, total: int) -> WaveHeader:
    rate_hz, channels, kind = layout
    there = total - start
    if size == STREAMED:
        size = there
    if size > there:
        raise BadValue(f"cut off: {there} bytes of sound where the header says {size}")
    header = WaveHeader(rate_hz, channels, kind, start, 0)
    return WaveHeader(rate_hz, channels, kind, start, size // (header.width * channels))
