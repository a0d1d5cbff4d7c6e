"""From a spectrogram back to sound: a tone keeps its pitch and loudness, and noise its spectrogram."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from omnifuse.model.layers.griffin_lim import InverseMel
from omnifuse.model.layers.mel import LogMel

RATE, SAMPLES = 8000, 8192


def levels(mel: LogMel, wave: Tensor) -> Tensor:
    return mel(wave, torch.ones(len(wave), wave.shape[2], dtype=torch.bool))[0]


def mel(hop_s: float = 0.016) -> LogMel:
    return LogMel(RATE, 40, 0.032, hop_s, "fixed")


@pytest.mark.parametrize("pitch_hz", [220, 500, 1500])
def test_a_tone_keeps_its_pitch_and_loudness(pitch_hz: int) -> None:
    tone = (0.4 * torch.sin(2 * math.pi * pitch_hz * torch.arange(SAMPLES) / RATE))[None, None]
    found = InverseMel(mel())(levels(mel(), tone))
    assert found.shape == tone.shape
    middle = slice(1024, -1024)
    spectrum = torch.fft.rfft(found[0, 0, middle] * torch.hann_window(SAMPLES - 2048)).abs()
    peak_hz = spectrum.argmax().item() * RATE / (SAMPLES - 2048)
    assert peak_hz == pytest.approx(pitch_hz, abs=0.12 * pitch_hz)  # bands are as wide as that
    assert found[0, 0, middle].square().mean().sqrt().item() == pytest.approx(0.4 / math.sqrt(2), rel=0.3)


@pytest.mark.parametrize("hop_s", [0.008, 0.016, 0.01])
def test_what_is_made_has_nearly_the_spectrogram_that_was_asked_for(hop_s: float) -> None:
    generator = torch.Generator().manual_seed(0)
    envelope = (torch.linspace(0, 12, SAMPLES).sin() * 0.3).abs()
    noise = torch.randn(2, 1, SAMPLES, generator=generator) * envelope * 0.3
    wanted = levels(mel(hop_s), noise)
    wave = InverseMel(mel(hop_s))(wanted)
    found = levels(mel(hop_s), wave)[..., : wanted.shape[3]]
    assert wave.abs().max() <= 1
    assert (4 * (found - wanted)).abs().median() < 0.5  # nats; a second draw of such noise is 0.7 away


def test_each_clip_alone_sounds_as_it_does_among_others() -> None:
    wanted = levels(mel(), torch.randn(3, 1, 2048, generator=torch.Generator().manual_seed(0)) * 0.1)
    inverse = InverseMel(mel())
    torch.testing.assert_close(inverse(wanted)[1:2], inverse(wanted[1:2]), atol=1e-4, rtol=1e-3)


def test_silence_stays_silent() -> None:
    assert InverseMel(mel())(levels(mel(), torch.zeros(1, 1, 2048))).abs().max() < 1e-3
