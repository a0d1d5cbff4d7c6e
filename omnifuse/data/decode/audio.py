"""Sound: bytes → samples of one rate, read block by block and only as far as needed."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.decode.film import check_complete, looks_like_film, open_film
from omnifuse.data.decode.wave_file import MAX_CHANNELS, MAX_RATE_HZ, WaveHeader, encode_wav, read_wave, wave_header
from omnifuse.data.decode.whole import check_whole
from omnifuse.data.fetch import BadValue

MAX_S = 4 * 3600.0
MAX_SAMPLES = 2_000_000_000  # of all channels together, however short the time they take
BLOCK_SAMPLES = 1 << 18
START_S, START_SAMPLES = 60.0, 1 << 22
UNKNOWN_FRAMES = 1 << 60


@dataclass(frozen=True)
class AudioFacts:
    """What decoding a sound to its end has told, and its beginning (T,) mono float32 at the rate of the file."""

    seconds: float
    rate_hz: int
    channels: int
    start: np.ndarray


class _Memory(io.BytesIO):
    """Bytes as a file; where a damaged header leads in front of the start it stays there, for libsndfile would print a trace."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return super().seek(max(0, offset) if whence == 0 else offset, whence)


def decode_audio(data: bytes, rate_hz: int = 16_000, channels: int = 1, max_s: float = 30.0) -> np.ndarray:
    """Decode a sound, or the sound of a film.

    One channel is the mean of all; more are taken as they come, and a single one is repeated. Nothing behind `max_s` is read.

    Args:
        data: the encoded file.
        rate_hz: samples a second; others are resampled (soxr, high quality).
        channels: how many channels.
        max_s: how much of the beginning, in seconds.

    Returns:
        (channels, T) float32, T ≥ 1.

    Raises:
        BadValue: not a sound, damaged or empty, too few channels, or beyond the limits.
    """
    header = wave_header(data)
    if header is not None:
        _check_layout(header.rate_hz, header.channels)
        source_hz = header.rate_hz
        wave = _mix(read_wave(data, header, 0, _frames(max_s, source_hz)), channels)
    else:
        wave, source_hz = _beginning(data, channels, max_s)
    if not len(wave):
        raise BadValue("there is no sound in this file")
    if source_hz != rate_hz:
        wave = _resample(wave, source_hz, rate_hz)[: _frames(max_s, rate_hz)]
    return np.ascontiguousarray(wave.T)


def audio_facts(data: bytes) -> AudioFacts:
    """Decode a sound to its end, in little memory, to find what is damaged.

    Raises:
        BadValue: damaged, cut off, empty or beyond the limits (at once where the header tells).
    """
    check_whole(data)
    rate_hz, channels, count, kept = 0, 0, 0, 0
    start: list[np.ndarray] = []
    for block, rate_hz in _blocks(data):
        channels = block.shape[1]
        if kept < min(START_S * rate_hz, START_SAMPLES):
            start.append(_mix(block, 1)[:, 0])
            kept += len(block)
        count += len(block)
        _check_length(count, rate_hz, channels)
    if not count:
        raise BadValue("there is no sound in this file")
    beginning = np.concatenate(start)[: int(min(START_S * rate_hz, START_SAMPLES))]
    return AudioFacts(count / rate_hz, rate_hz, channels, beginning)


def encode_audio(value: Any) -> bytes:
    """A WAV file of `(array, rate_hz)` or `{"array": …, "sampling_rate": …}`; the array is (T,) or (channels, T)."""
    if isinstance(value, Mapping) and {"array", "sampling_rate"} <= set(value):
        array, rate_hz = value["array"], value["sampling_rate"]
    elif isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int | float | np.number):
        array, rate_hz = value
    else:
        raise BadValue(
            'expected a path, bytes, (array, rate_hz) or {"array": …, "sampling_rate": …}'
            f", got {type(value).__name__}; an array alone does not tell its rate"
        )
    try:
        return encode_wav(np.asarray(array), float(rate_hz))
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, BadValue) else BadValue(f"not an array of samples ({error})") from None


def _beginning(data: bytes, channels: int, max_s: float) -> tuple[np.ndarray, int]:
    """The first seconds, (T, channels) at the rate of the file."""
    parts, count, rate_hz = [], 0, 1
    for block, rate_hz in _blocks(data):
        parts.append(_mix(block, channels))
        count += len(block)
        if count >= _frames(max_s, rate_hz):
            break
    wave = np.concatenate(parts) if parts else np.zeros((0, channels), np.float32)
    return wave[: _frames(max_s, rate_hz)], rate_hz


def _blocks(data: bytes) -> Iterator[tuple[np.ndarray, int]]:
    """Blocks (T, channels) float32 with the rate: plain WAV, what libsndfile reads, or what FFmpeg does."""
    header = wave_header(data)
    for block, rate_hz in _file_blocks(data) if header is None else _wave_blocks(data, header):
        if not np.isfinite(block).all():
            raise BadValue("the sound holds samples that are not finite")
        yield block, rate_hz


def _wave_blocks(data: bytes, header: WaveHeader) -> Iterator[tuple[np.ndarray, int]]:
    _check_layout(header.rate_hz, header.channels)
    _check_length(header.frames, header.rate_hz, header.channels)
    step = max(1, BLOCK_SAMPLES // header.channels)
    for first in range(0, header.frames, step):
        yield read_wave(data, header, first, step), header.rate_hz


def _file_blocks(data: bytes) -> Iterator[tuple[np.ndarray, int]]:
    try:
        import soundfile
    except ImportError:
        raise OmnifuseError("reading sound needs soundfile; pip install 'omnifuse[audio]'") from None
    try:
        file = soundfile.SoundFile(_Memory(data))
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        if not looks_like_film(data):
            raise BadValue(f"not a readable sound ({_reason(error)})") from None
        yield from _film_blocks(data)
        return
    with file:
        _check_layout(file.samplerate, file.channels)
        told = file.frames if _tells_its_length(data, file.format, file.frames) else 0
        _check_length(told, file.samplerate, file.channels)
        step, count = max(1, BLOCK_SAMPLES // file.channels), 0
        while True:
            try:
                block = file.read(step, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, RuntimeError) as error:
                raise BadValue(f"damaged: not a readable sound ({_reason(error)})") from None
            if not len(block):
                break
            count += len(block)
            yield block, file.samplerate
        if count < told:
            raise BadValue(f"damaged: {count} samples could be read of {told}")


def _tells_its_length(data: bytes, kind: str, frames: int) -> bool:
    """Whether the number of frames is known; of an MP3 without the mark of its encoder it is guessed from the bytes."""
    if kind != "MP3":
        return frames < UNKNOWN_FRAMES
    start = 0
    if data[:3] == b"ID3":
        start = 10 + sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    return any(mark in data[start : start + 512] for mark in (b"Xing", b"Info"))


def _film_blocks(data: bytes) -> Iterator[tuple[np.ndarray, int]]:
    with open_film(data, "audio") as (film, stream):
        import av

        _check_layout(stream.rate or 0, stream.channels or 0)
        resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
        frames, count = 0, 0
        for frame in film.decode(stream):
            if frame.is_corrupt:
                raise BadValue("damaged: a block of sound cannot be decoded")
            frames += 1
            for even in resampler.resample(frame):
                block = even.to_ndarray().T
                count += len(block)
                yield block, stream.rate
        check_complete(stream, frames, count / stream.rate)


def _mix(block: np.ndarray, channels: int) -> np.ndarray:
    """(T, C) → (T, channels)."""
    found = block.shape[1]
    if channels == found:
        return block
    if channels == 1:
        return block.mean(axis=1, keepdims=True, dtype=np.float32)
    if found == 1:
        return np.repeat(block, channels, axis=1)
    if found < channels:
        raise BadValue(f"{found} channels where {channels} are asked for")
    return block[:, :channels]


def _resample(wave: np.ndarray, source_hz: int, rate_hz: int) -> np.ndarray:
    try:
        import soxr
    except ImportError:
        raise OmnifuseError("resampling sound needs soxr; pip install 'omnifuse[audio]'") from None
    resampled = soxr.resample(wave, source_hz, rate_hz, "HQ")
    return resampled if len(resampled) else wave[:1]


def _frames(seconds: float, rate_hz: int) -> int:
    return max(1, round(seconds * rate_hz))


def _check_layout(rate_hz: int, channels: int) -> None:
    if not (0 < rate_hz <= MAX_RATE_HZ and 0 < channels <= MAX_CHANNELS):
        raise BadValue(f"{channels} channels at {rate_hz} Hz; at most {MAX_CHANNELS} at {MAX_RATE_HZ} Hz can be read")


def _check_length(frames: int, rate_hz: int, channels: int) -> None:
    if frames > MAX_S * rate_hz or frames * channels > MAX_SAMPLES:
        raise BadValue(f"the sound is longer than {MAX_S / 3600:.0f} hours or {MAX_SAMPLES // 10**9} billion samples")


def _reason(error: Exception) -> str:
    return str(error).split(": ")[-1].strip(" .")[:120] or type(error).__name__
