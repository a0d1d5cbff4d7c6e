"""Sound: every format comes out as the same samples, damage and limits are told."""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_files import RATE_HZ, film, flipped, sound, wave

from omnifuse.data.decode.audio import audio_facts, decode_audio, encode_audio
from omnifuse.data.decode.whole import check_whole
from omnifuse.data.fetch import BadValue

soundfile = pytest.importorskip("soundfile")
EXACT = [
    *(("WAV", subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "MS_ADPCM")),
    *(("WAVEX", subtype) for subtype in ("PCM_16", "PCM_24", "FLOAT")),
    *((kind, None) for kind in ("FLAC", "AIFF", "AU", "CAF", "W64", "RF64", "OGG", "MP3")),
    ("OGG", "OPUS"),
]
FILMS = [("mp4", "libx264", "aac"), ("ipod", None, "aac"), ("webm", "libvpx", "libopus"), ("avi", "mpeg4", "mp3"), ("adts", None, "aac")]


def fault(data: bytes) -> str:
    with pytest.raises(BadValue) as caught:
        audio_facts(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("kind", "subtype"), EXACT)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_gives_the_samples_that_libsndfile_reads(kind: str, subtype: str | None, channels: int):
    data = sound(kind, subtype, np.stack([wave(), wave(pitch_hz=300)][:channels], axis=1))
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    found = decode_audio(data, RATE_HZ, channels)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected.T)
    facts = audio_facts(data)
    assert (facts.rate_hz, facts.channels) == (RATE_HZ, channels)
    assert facts.seconds == pytest.approx(len(expected) / RATE_HZ)
    assert np.allclose(facts.start, expected.mean(1), atol=1e-6)


@pytest.mark.parametrize(("kind", "pictures", "tone"), FILMS)
def test_the_sound_of_films_and_of_what_libsndfile_does_not_know_is_read(kind: str, pictures: str | None, tone: str):
    data = film(kind, pictures, tone)
    found = decode_audio(data, RATE_HZ, 1)[0]
    assert 2.0 <= len(found) / RATE_HZ < 2.2
    spectrum = np.abs(np.fft.rfft(found[: 2 * RATE_HZ] * np.hanning(2 * RATE_HZ)))
    assert abs(spectrum.argmax() / 2 - 440) <= 1
    assert 0.25 < np.abs(found[RATE_HZ // 2 : RATE_HZ]).max() < 0.4
    assert audio_facts(data).channels == 2


def test_channels_are_mixed_repeated_and_chosen():
    left, right = wave(), wave(pitch_hz=300)
    two = sound("WAV", "FLOAT", np.stack([left, right], axis=1))
    assert np.allclose(decode_audio(two, RATE_HZ, 1)[0], (left + right) / 2, atol=1e-6)
    one = sound("WAV", "FLOAT", left)
    assert np.array_equal(decode_audio(one, RATE_HZ, 2), np.stack([left, left]))
    six = sound("WAV", "FLOAT", np.stack([left, right] * 3, axis=1))
    assert np.array_equal(decode_audio(six, RATE_HZ, 2), np.stack([left, right]))
    with pytest.raises(BadValue, match="2 channels where 6"):
        decode_audio(two, RATE_HZ, 6)


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 44_100, 96_000])
def test_resampling_keeps_pitch_loudness_and_length(rate_hz: int):
    pytest.importorskip("soxr")
    found = decode_audio(sound("FLAC"), rate_hz)[0]
    assert abs(len(found) - rate_hz) <= 1
    expected = 0.3 * np.sin(2 * np.pi * 440 * np.arange(len(found)) / rate_hz)
    inner = slice(rate_hz // 10, -rate_hz // 10)
    assert np.abs(found[inner] - expected[inner]).max() < 0.06, "the noise of the tone"


def test_one_sample_can_be_resampled():
    pytest.importorskip("soxr")
    assert decode_audio(sound("WAV", samples=np.ones(1, np.float32)), 8000).shape == (1, 1)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_no_more_than_the_limit_is_taken(kind: str):
    data = sound(kind)
    assert decode_audio(data, RATE_HZ, max_s=0.25).shape == (1, 12_000)
    assert decode_audio(data, 16_000, max_s=0.25).shape == (1, 4000)
    assert np.array_equal(decode_audio(data, RATE_HZ, max_s=0.25), decode_audio(data, RATE_HZ)[:, :12_000])


@pytest.mark.parametrize(("kind", "subtype"), [case for case in EXACT if case != ("WAVEX", "PCM_24")])
@pytest.mark.parametrize("share", [0.5, 0.999])
def test_a_file_that_was_cut_off_is_told(kind: str, subtype: str | None, share: float):
    data = sound(kind, subtype)
    fault(data[: int(len(data) * share)])


@pytest.mark.parametrize(("kind", "pictures", "tone"), [case for case in FILMS if case[0] != "adts"])
def test_a_film_that_was_cut_off_is_told(kind: str, pictures: str | None, tone: str):
    data = film(kind, pictures, tone)
    fault(data[: len(data) // 2])
    fault(data[:-40])


def test_a_film_with_its_index_in_front_that_was_cut_off_is_told(tmp_path: Path):
    data = film("mp4", "libx264", "aac", path=tmp_path / "film.mp4")
    assert audio_facts(data).seconds > 1.9
    assert "cut off" in fault(data[: len(data) * 2 // 3])


@pytest.mark.parametrize(("kind", "subtype"), [("FLAC", None), ("OGG", None), ("OGG", "OPUS"), ("MP3", None)])
def test_changed_bytes_are_told_where_the_format_has_checksums_or_counts(kind: str, subtype: str | None):
    fault(flipped(sound(kind, subtype)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a text, whatever its name says\n" * 40,
        bytes(2000),
        b"<!DOCTYPE html>" * 50,
        b"RIFF\x10\0\0\0WAVE",
        b"OggS",
        b"fLaC" + bytes(50),
    ],
    ids=["empty", "text", "zeros", "page", "wav header", "ogg mark", "flac mark"],
)
def test_what_is_no_sound_is_refused(data: bytes):
    fault(data)
    with pytest.raises(BadValue):
        decode_audio(data)


def test_a_sound_without_samples_or_with_infinite_ones_is_refused():
    assert "no sound" in fault(sound("WAV", samples=np.zeros(0, np.float32)))
    for kind in ("WAV", "AU"):
        for bad in (np.nan, np.inf):
            data = sound(kind, "FLOAT", np.array([0, bad, 0], np.float32))
            assert "not finite" in fault(data)
            with pytest.raises(BadValue, match="not finite"):
                decode_audio(data)


def test_a_film_without_sound_says_so():
    assert "no sound" in fault(film("mp4", "libx264", None))


def test_a_wav_that_was_streamed_has_no_length_and_is_read():
    data = bytearray(sound("WAV", "PCM_16"))
    place = data.index(b"data") + 4
    data[4:8] = data[place : place + 4] = b"\xff" * 4
    assert decode_audio(bytes(data), RATE_HZ).shape == (1, RATE_HZ)


def test_other_chunks_of_a_wav_are_passed_over():
    data = sound("WAV", "PCM_16")
    extra = b"LIST" + struct.pack("<I", 5) + b"INFO!" + b"\0"
    place = data.index(b"data")
    assert np.array_equal(decode_audio(data[:place] + extra + data[place:], RATE_HZ), decode_audio(data, RATE_HZ))
    assert np.array_equal(decode_audio(data + extra, RATE_HZ), decode_audio(data, RATE_HZ))


def test_an_mp3_without_the_mark_of_its_encoder_is_not_taken_for_damaged():
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    loud = np.random.default_rng(0).normal(0, 0.2, RATE_HZ * 6) * (np.arange(RATE_HZ * 6) % RATE_HZ > RATE_HZ // 2)
    with av.open(buffer, "w", format="mp3", options={"write_xing": "0"}) as container:
        stream = container.add_stream("mp3", rate=RATE_HZ, layout="mono")
        stream.codec_context.options = {"q": "4"}
        for start in range(0, len(loud), 1152):
            block = av.AudioFrame.from_ndarray(loud[None, start : start + 1152].astype(np.float32), format="fltp", layout="mono")
            block.sample_rate, block.pts = RATE_HZ, start
            container.mux(stream.encode(block))
        container.mux(stream.encode())
    assert 5.9 < audio_facts(buffer.getvalue()).seconds < 6.2


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16, np.int32, np.uint8])
@pytest.mark.parametrize("channels", [0, 1, 2])
def test_sounds_of_python_come_back_as_they_were(dtype: type, channels: int):
    samples = wave(0.1)
    scale = {np.int16: 2**15, np.int32: 2**31, np.uint8: 2**7}.get(dtype, 1)
    array = (samples.astype(np.float64) * scale + (128 if dtype is np.uint8 else 0)).astype(dtype)
    array = np.stack([array] * channels) if channels else array
    expected = (np.atleast_2d(array).astype(np.float64) - (128 if dtype is np.uint8 else 0)) / scale
    for value in ((array, RATE_HZ), {"array": array, "sampling_rate": RATE_HZ, "path": None}):
        found = decode_audio(encode_audio(value), RATE_HZ, max(1, channels))
        assert np.allclose(found, expected, atol=1e-7)
    check_whole(encode_audio((array, RATE_HZ)))
    soundfile.read(io.BytesIO(encode_audio((array, RATE_HZ))))


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(5),
        [0.0, 1.0],
        (np.zeros((100, 2)), RATE_HZ),
        (np.zeros(0), RATE_HZ),
        (np.array([np.nan]), RATE_HZ),
        (np.zeros(5), 0),
        (np.zeros(5), 8000.5),
        (np.zeros(5), "8000"),
        (["a"], 8000),
        {"array": np.zeros(5)},
        {"array": None, "sampling_rate": 8000},
        7,
    ],
    ids=str,
)
def test_what_is_no_sound_of_python_is_refused(value: object):
    with pytest.raises(BadValue):
        encode_audio(value)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["WAV", "AIFF", "AU", "CAF", "W64", "OGG"]))
def test_damage_anywhere_gives_a_sound_or_a_reason(data: st.DataObject, kind: str):
    file = bytearray(sound(kind, samples=wave(0.05, 8000), rate_hz=8000))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(file[: data.draw(st.integers(0, len(file)))])
    for run in (audio_facts, decode_audio):
        with suppress(BadValue):
            run(cut)


def test_spoken_digits_are_read_as_libsndfile_reads_them(shared_data: Path):
    files = sorted((shared_data / "fsdd" / "recordings").glob("*_0.wav"))
    if not files:
        pytest.skip("the Free Spoken Digit Dataset is not there")
    for file in files:
        expected, rate_hz = soundfile.read(file, dtype="float32")
        assert np.array_equal(decode_audio(file.read_bytes(), rate_hz)[0], expected)
