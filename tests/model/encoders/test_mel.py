"""Log-mel spectrograms: the formula, by hand, and what normalising and padding do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from omnifuse.core.errors import OmnifuseError
from omnifuse.model.layers.mel import FIXED_FLOOR, FIXED_MEAN, FIXED_SCALE, LogMel, frequency_of, mel_filters, mel_of

RATE = 8000


def tone(frequency_hz: float, seconds: float = 0.5, loudness: float = 1.0) -> Tensor:
    time_s = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    return (loudness * torch.sin(2 * math.pi * frequency_hz * time_s)).float()[None, None]


def there(wave: Tensor) -> Tensor:
    return torch.ones(len(wave), wave.shape[-1], dtype=torch.bool)


def fixed(bands: int = 40) -> LogMel:
    return LogMel(RATE, bands, 0.025, 0.01, "fixed")


def power_of(level: Tensor) -> Tensor:
    """The power that a level on the fixed scale stands for."""
    return (level * FIXED_SCALE + FIXED_MEAN).exp() - FIXED_FLOOR


def test_a_thousand_hertz_are_a_thousand_mel() -> None:
    assert mel_of(torch.tensor(1000.0)).item() == pytest.approx(1000, abs=0.1)
    assert mel_of(torch.tensor(0.0)).item() == 0
    frequencies = torch.tensor([0.0, 20.0, 440.0, 4000.0])
    torch.testing.assert_close(frequency_of(mel_of(frequencies)), frequencies, atol=1e-2, rtol=1e-4)


def test_two_filters_by_hand() -> None:
    """At 2,800 Hz the range ends at 1,400 Hz, where 1 + f/700 = 3; so the corners are 700·(3^(i/3) − 1) Hz."""
    corners = [700 * (3 ** (i / 3) - 1) for i in range(4)]  # 0, 309.6, 756.1, 1400
    filters = mel_filters(2, 8, 2800)  # bins at 0, 200 … 1400 Hz
    expected = torch.zeros(2, 8)
    expected[0, 1] = 200 / corners[1]
    expected[0, 2] = (corners[2] - 400) / (corners[2] - corners[1])
    expected[0, 3] = (corners[2] - 600) / (corners[2] - corners[1])
    expected[1, 2] = (400 - corners[1]) / (corners[2] - corners[1])
    expected[1, 3] = (600 - corners[1]) / (corners[2] - corners[1])
    for column, frequency in ((4, 800), (5, 1000), (6, 1200)):
        expected[1, column] = (corners[3] - frequency) / (corners[3] - corners[2])
    torch.testing.assert_close(filters, expected)


def test_neighbouring_filters_add_up_to_one() -> None:
    filters = mel_filters(20, 513, RATE)
    frequencies = torch.linspace(0, RATE / 2, 513)
    peaks = frequency_of(torch.linspace(0, mel_of(torch.tensor(RATE / 2)).item(), 22))
    inner = (frequencies > peaks[1]) & (frequencies < peaks[-2])
    torch.testing.assert_close(filters.sum(0)[inner], torch.ones(int(inner.sum())), atol=1e-4, rtol=0)


def test_filters_agree_with_torchaudio() -> None:
    functional = pytest.importorskip("torchaudio.functional")
    expected = functional.melscale_fbanks(257, 0.0, RATE / 2, 40, RATE, norm=None, mel_scale="htk")
    torch.testing.assert_close(mel_filters(40, 257, RATE), expected.T, atol=1e-4, rtol=1e-4)


def test_one_frame_is_the_fourier_transform_by_hand() -> None:
    layer = fixed()
    wave = torch.randn(1, 1, 4000, generator=torch.Generator().manual_seed(0)) * 0.1
    levels, _ = layer(wave, there(wave))
    frame, middle = 20, 20 * 80
    window = np.hanning(201)[:200]  # periodic
    spectrum = np.fft.rfft(wave[0, 0, middle - 100 : middle + 100].numpy() * window / window.sum(), layer.transform)
    power = mel_filters(40, layer.transform // 2 + 1, RATE).numpy() @ np.abs(spectrum) ** 2
    np.testing.assert_allclose(power_of(levels[0, 0, :, frame]).numpy(), power, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("frequency_hz", [200, 440, 1000, 2500])
def test_a_tone_is_loudest_in_its_band(frequency_hz: float) -> None:
    wave = tone(frequency_hz)
    levels, _ = fixed()(wave, there(wave))
    middles = frequency_of(torch.linspace(0, mel_of(torch.tensor(RATE / 2)).item(), 42))[1:-1]
    assert levels[0, 0].mean(1).argmax() == (mel_of(middles) - mel_of(torch.tensor(float(frequency_hz)))).abs().argmin()


def test_frames_are_centred_on_multiples_of_the_hop() -> None:
    wave = torch.zeros(1, 1, 1600)
    wave[..., 800] = 1.0
    levels, mask = fixed()(wave, there(wave))
    assert levels.shape == (1, 1, 40, 20)
    assert mask.shape == (1, 20)
    assert levels[0, 0].sum(0).argmax() == 10


def test_clips_are_normalised_however_loud_they_were_recorded() -> None:
    layer = LogMel(RATE, 40, 0.025, 0.01, "clip")
    wave = tone(440) + 0.1 * tone(900)
    levels, _ = layer(torch.cat([wave, 0.01 * wave]), there(wave).expand(2, -1))
    torch.testing.assert_close(levels[0], levels[1], atol=1e-3, rtol=1e-3)
    assert levels.mean((1, 2, 3)).abs().max() < 1e-4
    assert (levels.square().mean((1, 2, 3)) - 1).abs().max() < 0.01


def test_the_fixed_scale_keeps_loudness() -> None:
    wave = tone(440)
    levels, _ = fixed()(torch.cat([wave, 0.1 * wave]), there(wave).expand(2, -1))
    band = levels[0, 0].mean(1).argmax()
    difference = (levels[0, 0, band] - levels[1, 0, band])[5:-5]
    torch.testing.assert_close(difference, torch.full_like(difference, math.log(100) / FIXED_SCALE), atol=0.01, rtol=0)


@pytest.mark.parametrize("normalise", ["clip", "fixed"])
def test_silence_is_finite_and_padding_is_zero(normalise: str) -> None:
    layer = LogMel(RATE, 40, 0.025, 0.01, normalise)  # pyright: ignore[reportArgumentType]
    wave = torch.cat([tone(440, 0.2), torch.zeros(1, 1, 1600)], dim=0)
    mask = torch.ones(2, 1600, dtype=torch.bool)
    mask[0, 801:] = False
    levels, frames = layer(wave, mask)
    assert torch.isfinite(levels).all()
    assert frames.sum(1).tolist() == [11, 20]  # the frame at sample 800 is the last that is there
    assert not levels[0, :, :, 11:].any()


def test_one_sample_is_one_frame() -> None:
    levels, mask = fixed()(torch.ones(1, 1, 1), torch.ones(1, 1, dtype=torch.bool))
    assert mask.tolist() == [[True]]
    assert levels.shape[-1] == 1


def test_more_bands_than_the_rate_has_room_for_are_refused() -> None:
    with pytest.raises(OmnifuseError, match="400 bands are too many for sound of 1000 Hz"):
        LogMel(1000, 400, 0.002, 0.001, "clip")


def test_the_transform_grows_until_every_band_holds_a_bin() -> None:
    assert fixed(40).transform >= 200
    assert fixed(128).transform > fixed(40).transform
    assert fixed(128).filters.any(1).all()
