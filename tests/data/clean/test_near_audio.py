"""Copies of sounds are found after small changes, and one speaker saying a word again is not a copy."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from omnifuse.data.clean.fingerprints import audio_fingerprint
from omnifuse.data.clean.near import differing_share, near_audio

RATE = 8000


@pytest.fixture(scope="module")
def clips(shared_data: Path) -> list[np.ndarray]:
    """Three hundred real clips: each digit by each speaker, five times."""
    soundfile = pytest.importorskip("soundfile")
    paths = sorted((shared_data / "fsdd" / "recordings").glob("*_[0-4].wav"))
    if len(paths) != 300:
        pytest.skip(f"no fsdd clips under {shared_data}")
    return [soundfile.read(path, dtype="float32")[0] for path in paths]


def _coded(wave: np.ndarray, format: str, subtype: str | None = None) -> tuple[np.ndarray, int]:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, wave, RATE, format=format, subtype=subtype)
    buffer.seek(0)
    return soundfile.read(buffer, dtype="float32")


def _resampled(wave: np.ndarray, rate_hz: int) -> tuple[np.ndarray, int]:
    return pytest.importorskip("soxr").resample(wave, RATE, rate_hz), rate_hz


CHANGES: dict[str, tuple[Callable[[np.ndarray], tuple[np.ndarray, int]], float]] = {
    "quieter": (lambda wave: (wave * 0.25, RATE), 1.0),
    "16 kHz": (lambda wave: _resampled(wave, 16_000), 1.0),
    "44.1 kHz": (lambda wave: _resampled(wave, 44_100), 1.0),
    "6 kHz": (lambda wave: _resampled(wave, 6_000), 1.0),
    "µ-law": (lambda wave: _coded(wave, format="WAV", subtype="ULAW"), 1.0),
    "vorbis": (lambda wave: _coded(wave, format="OGG", subtype="VORBIS"), 0.98),
    "mp3": (lambda wave: _coded(wave, format="MP3"), 0.98),
    "half a second of silence before": (lambda wave: (np.pad(wave, (RATE // 2, 0)), RATE), 1.0),
    "8 ms later": (lambda wave: (np.pad(wave, (64, 0)), RATE), 0.9),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_of_real_speech_is_found_and_nothing_else(clips: list[np.ndarray], change: str):
    alter, least = CHANGES[change]
    copied = range(0, 300, 3)
    prints = [audio_fingerprint(wave, RATE) for wave in clips] + [audio_fingerprint(*alter(clips[at])) for at in copied]
    near = near_audio(prints)
    found = set(zip(near.first.tolist(), near.second.tolist(), strict=True))
    planted = {(at, 300 + place) for place, at in enumerate(copied)}
    assert found <= planted, "nothing else is accused"
    assert len(found) >= least * len(planted)


def _melody(seed: int, seconds: float) -> np.ndarray:
    random, time = np.random.default_rng(seed), np.arange(int(RATE * seconds)) / RATE
    notes = random.uniform(250, 1800, (int(seconds * 8) + 1, 3))[(time * 8).astype(int)]
    tones = np.sin(2 * np.pi * np.cumsum(notes, axis=0) / RATE).sum(1)
    return (tones + random.normal(0, 0.05, len(time))).astype(np.float32)


def test_a_piece_of_a_long_sound_is_not_a_copy_of_it():
    long = _melody(0, 12)
    prints = [audio_fingerprint(wave, RATE) for wave in (long, long[: 3 * RATE], long[: 11 * RATE])]
    near = near_audio(prints)
    assert list(zip(near.first.tolist(), near.second.tolist(), strict=True)) == [(0, 2)]


def test_sounds_that_only_begin_alike_are_not_copies():
    intro = _melody(0, 17)
    first, second = (np.concatenate([intro, _melody(seed, seconds)]) for seed, seconds in ((1, 1.0), (2, 40.0)))
    prints = [audio_fingerprint(wave, RATE) for wave in (first, second)]
    assert prints[0][4:] == prints[1][4:], "the words cover 16 seconds"
    assert len(near_audio(prints)) == 0


def test_silence_and_nothing_have_no_fingerprint():
    assert audio_fingerprint(np.zeros(RATE, dtype=np.float32), RATE) == b""
    assert audio_fingerprint(np.zeros(0, dtype=np.float32), RATE) == b""
    assert len(near_audio([b"", b"", b"x"])) == 0


def test_silence_inside_two_sounds_does_not_make_them_near():
    waves = [np.concatenate([_melody(seed, 1), np.zeros(4 * RATE, dtype=np.float32), _melody(seed + 10, 1)]) for seed in range(4)]
    assert len(near_audio([audio_fingerprint(wave, RATE) for wave in waves], 0.3)) == 0


def test_the_fingerprint_of_a_long_sound_is_bounded_and_tells_its_length():
    code = audio_fingerprint(_melody(0, 60), RATE)
    assert len(code) == 4 * 1001
    assert np.frombuffer(code, dtype="<u4")[0] == pytest.approx(60 / 0.016, rel=0.02)


def test_equal_fingerprints_are_linked_to_the_first():
    code = audio_fingerprint(_melody(0, 2), RATE)
    near = near_audio([code] * 1000)
    assert len(near) == 999 and not near.first.any() and not near.distance.any()


def test_the_share_of_bits_counts_only_frames_that_sound():
    first = np.array([10, *([0b1111] * 10)], dtype=np.uint32)
    second = np.array([10, 0, 0, *([0b1101] * 8)], dtype=np.uint32)
    assert differing_share(first, first, 0) == 0
    assert differing_share(first, second, 0) == pytest.approx((2 * 4 + 8) / (10 * 32))
    assert differing_share(first, second, 4) == 1, "too little of them lies together"
