"""The video processor: frames of one size, normalised, and back to pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import VideoConfig, column_config
from omnifuse.data.modalities.video import VideoProcessor


def film(frames: int, height: int = 16, width: int = 16) -> np.ndarray:
    """Frame n is of grey 10·n."""
    return np.broadcast_to((10 * np.arange(frames, dtype=np.uint8))[:, None, None, None], (frames, height, width, 3)).copy()


def test_frames_lie_evenly_over_the_film():
    video = VideoProcessor(VideoConfig(frames=4, size=8))
    values = video.encode([video.canonical(film(12)), None])
    assert values.data.shape == (2, 4, 3, 8, 8)
    assert values.data.dtype == torch.float32
    assert values.mask is None
    shown = ((values.data[0, :, 0, 0, 0] * 0.5 + 0.5) * 255).round().tolist()
    assert shown == [10, 40, 70, 100]
    assert not values.data[1].any()


def test_a_short_film_shows_frames_more_than_once():
    video = VideoProcessor(VideoConfig(frames=4, size=8))
    assert video.item(video.canonical(film(2)))[:, 0, 0, 0].tolist() == [0, 0, 10, 10]


def test_the_size_is_learned_from_the_shorter_sides():
    video = VideoProcessor(VideoConfig(frames=2))
    video.fit([video.canonical(film(2, 40, 64)), video.canonical(film(2, 64, 40)), video.canonical(film(2, 90, 90))])
    assert video.size_ == 40
    assert video.spec.shape == (2, 3, 40, 40)
    video.fit([video.canonical(film(2, 300, 400))])
    assert video.size_ == 112
    video = VideoProcessor(VideoConfig(frames=2, size=24))
    video.fit([])
    assert video.size_ == 24


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_come_back(channels: int):
    video = VideoProcessor(VideoConfig(frames=5, size=16, channels=channels, mean=(0.4,), std=(0.2,)))
    raw = video.canonical(np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8))
    assert np.array_equal(video.decode(video.encode([raw]).data)[0], video.item(raw))


def test_facts_tell_what_the_film_is():
    video = VideoProcessor(VideoConfig())
    facts = video.inspect(video.canonical(film(6, 16, 24)))
    assert facts.numbers == {"seconds": pytest.approx(0.6), "frames": 6, "height": 16, "width": 24, "rate_hz": pytest.approx(10)}


def test_damage_is_told_with_its_reason():
    video = VideoProcessor(VideoConfig())
    data = video.canonical(film(6))
    with pytest.raises(BadValue):
        video.inspect(data[: len(data) // 2])


@pytest.mark.parametrize("options", [{"frames": 0}, {"size": 4}, {"channels": 2}, {"mean": [0.5, 0.5]}, {"frame": 3}])
def test_wrong_options_are_refused(options: dict[str, object]):
    with pytest.raises(OmnifuseError, match=r"columns\.clip"):
        column_config(Column("clip", "video", **options))
