"""Films: frames spread evenly over any container, upright, of the asked size; damage is told."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from media_files import film, flipped
from PIL import Image

from omnifuse.data.decode import video
from omnifuse.data.decode.video import decode_video, encode_video, video_facts, video_size
from omnifuse.data.fetch import BadValue

FILMS = [
    ("mp4", "libx264"),
    ("mov", "mpeg4"),
    ("matroska", "libx264"),
    ("webm", "libvpx"),
    ("avi", "mpeg4"),
    ("mpegts", "mpeg2video"),
    ("matroska", "ffv1"),
    ("flv", "flv"),
]
UPRIGHT = bytes.fromhex("00010000" + "0" * 24 + "00010000" + "0" * 24 + "40000000")
TURNED = {  # the matrix in the track header of an MP4, and how the picture is to be turned (np.rot90)
    90: (bytes.fromhex("00000000 00010000 00000000 ffff0000 00000000 00000000 00000000 00000000 40000000"), -1),
    180: (bytes.fromhex("ffff0000 00000000 00000000 00000000 ffff0000 00000000 00000000 00000000 40000000"), 2),
    270: (bytes.fromhex("00000000 ffff0000 00000000 00010000 00000000 00000000 00000000 00000000 40000000"), 1),
}


def shades(frames: np.ndarray) -> np.ndarray:
    """Which frame of `film` each one is."""
    return frames[:, 32, 60, 0] / 5


def fault(data: bytes) -> str:
    with pytest.raises(BadValue) as caught:
        video_facts(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("kind", "codec"), FILMS)
def test_frames_are_spread_evenly_over_every_kind_of_film(kind: str, codec: str):
    data = film(kind, codec, None)
    frames = decode_video(data, 5)
    assert frames.shape == (5, 64, 96, 3)
    assert frames.dtype == np.uint8
    assert np.abs(shades(frames) - [4, 12, 20, 28, 36]).max() <= 1.5
    facts = video_facts(data)
    assert (facts.frames, facts.height, facts.width) == (40, 64, 96)
    assert facts.rate_hz == pytest.approx(20)
    assert facts.seconds == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("kind", ["mp4", "matroska", "mpegts"])
def test_jumping_to_key_frames_gives_the_same_frames_as_decoding_all(kind: str, monkeypatch: pytest.MonkeyPatch):
    data = film(kind, "libx264" if kind != "mpegts" else "mpeg2video", None, frames=50, gop=5)
    jumped = decode_video(data, 4, (32, 48))
    index = video._index
    monkeypatch.setattr(video, "_index", lambda d: video._Index(index(d).moments, [], index(d).packets, index(d).end))
    assert np.array_equal(decode_video(data, 4, (32, 48)), jumped)


def test_a_short_film_shows_frames_more_than_once():
    frames = decode_video(film("matroska", "ffv1", None, frames=3), 6)
    assert np.round(shades(frames)).tolist() == [0, 0, 1, 1, 2, 2]
    assert decode_video(film("mp4", "libx264", None, frames=1), 3).shape == (3, 64, 96, 3)


def test_frames_are_scaled_and_turned_grey():
    data = film("matroska", "ffv1", None)
    frames = decode_video(data, 2, (16, 24), channels=1)
    assert frames.shape == (2, 16, 24, 1)
    assert np.abs(frames[:, 8, 15, 0] / 5 - [10, 30]).max() < 1
    assert frames[0, 8, 0, 0] > 240


@pytest.mark.parametrize("angle", TURNED)
def test_marks_of_rotation_are_followed(angle: int):
    data = film("mp4", "libx264", None)
    place = data.index(UPRIGHT, data.index(b"tkhd"))
    matrix, turns = TURNED[angle]
    turned = data[:place] + matrix + data[place + 36 :]
    expected = np.rot90(decode_video(data, 3), turns, axes=(1, 2))
    assert np.array_equal(decode_video(turned, 3), expected)
    assert video_size(turned) == expected.shape[1:3]
    assert (video_facts(turned).height, video_facts(turned).width) == expected.shape[1:3]
    assert decode_video(turned, 3, (20, 10)).shape == (3, 20, 10, 3)


@pytest.mark.parametrize(("kind", "codec"), [case for case in FILMS if case[0] != "mpegts"])
def test_a_film_that_was_cut_off_is_told(kind: str, codec: str):
    data = film(kind, codec, None)
    fault(data[: len(data) // 2])
    fault(data[: len(data) // 10])
    if kind != "flv":
        fault(data[:-40])


def test_a_film_with_its_index_in_front_that_was_cut_off_is_told(tmp_path: Path):
    data = film("mp4", "libx264", None, path=tmp_path / "film.mp4")
    assert video_facts(data).frames == 40
    assert "cut off" in fault(data[: len(data) * 3 // 4])


def test_changed_bytes_are_told_where_the_codec_has_checksums():
    fault(flipped(film("matroska", "ffv1", None)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a text, whatever its name says\n" * 40,
        bytes(2000),
        b"<!DOCTYPE html>" * 50,
        b"GIF89a" + bytes(20),
        b"\x1a\x45\xdf\xa3" + bytes(90),
    ],
    ids=["empty", "text", "zeros", "page", "gif mark", "matroska mark"],
)
def test_what_is_no_film_is_refused(data: bytes):
    fault(data)
    with pytest.raises(BadValue):
        decode_video(data, 2)


def test_a_sound_is_no_film():
    assert "no picture" in fault(film("mp4", None, "aac"))


def test_limits_of_frames_and_length_are_kept(monkeypatch: pytest.MonkeyPatch):
    data = film("matroska", "ffv1", None)
    for limit, value in {"MAX_FRAMES": 39, "MAX_PIXELS_DECODED": 40 * 96 * 64 - 1, "MAX_FRAME_PIXELS": 96 * 64 - 1, "MAX_S": 1.9}.items():
        with monkeypatch.context() as patch:
            patch.setattr(video, limit, value)
            fault(data)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animated_pictures_are_films(kind: str):
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    pictures = [Image.new("RGB", (20, 10), colour) for colour in colours]
    buffer = io.BytesIO()
    pictures[0].save(buffer, kind, save_all=True, append_images=pictures[1:], duration=[100, 100, 200])
    frames = decode_video(buffer.getvalue(), 4)
    assert frames.shape == (4, 10, 20, 3)
    assert np.abs(frames[:, 5, 10].astype(int) - [colours[0], colours[1], colours[2], colours[2]]).max() < 12, "by their time"
    facts = video_facts(buffer.getvalue())
    assert (facts.frames, facts.height, facts.width) == (3, 10, 20)
    assert facts.seconds == pytest.approx(0.4)
    assert video_size(buffer.getvalue()) == (10, 20)
    fault(buffer.getvalue()[: len(buffer.getvalue()) // 2])


@pytest.mark.parametrize("channels", [1, 3])
def test_films_of_python_come_back_as_they_were(channels: int):
    film = np.random.default_rng(0).integers(0, 256, (7, 12, 18, 3)[: 3 + (channels == 3)], dtype=np.uint8)
    film[3] = film[2]  # a frame that does not change is stored once and still shown twice
    for value in (film, film / 255, list(film)):
        found = decode_video(encode_video(value), 7, channels=channels)
        assert np.array_equal(found, film if channels == 3 else film[..., None])


def test_a_film_of_python_that_never_changes_comes_back():
    assert not decode_video(encode_video(np.zeros((5, 8, 8), np.uint8)), 3, channels=1).any()


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((2, 4, 4, 2), np.uint8),
        np.full((2, 4, 4), 300.0),
        np.zeros((0, 4, 4), np.uint8),
        7,
        "x",
        [[1], [2, 3]],
    ],
    ids=lambda value: str(getattr(value, "shape", value)),
)
def test_what_is_no_film_of_python_is_refused(value: object):
    with pytest.raises(BadValue):
        encode_video(value)
