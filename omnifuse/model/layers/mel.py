"""Log-mel spectrograms: what of a waveform sounds how loud at which pitch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from omnifuse.core.errors import OmnifuseError

FLOOR = 1e-5  # −50 dB below the clip's mean power: quieter than that is noise of the recording
FIXED_FLOOR, FIXED_MEAN, FIXED_SCALE = 1e-8, -10.0, 4.0  # powers of ordinary recordings come out between about −2 and 2
LONGEST_TRANSFORM = 16  # times the window


def mel_of(frequency_hz: Tensor) -> Tensor:
    """The pitch of a frequency: m = 2595·log₁₀(1 + f/700)."""
    return 2595 * torch.log10(1 + frequency_hz / 700)


def frequency_of(mel: Tensor) -> Tensor:
    """The frequency of a pitch: f = 700·(10^(m/2595) − 1)."""
    return 700 * (10 ** (mel / 2595) - 1)


def mel_filters(bands: int, bins: int, rate_hz: float) -> Tensor:
    """Triangles (bands, bins) that weigh the bins of a spectrum, from 0 to rate/2.

    The corners f_0 … f_{bands+1} are evenly spaced in mel, m = 2595·log₁₀(1 + f/700); triangle b rises from 0 at
    f_b to 1 at f_{b+1} and falls to 0 at f_{b+2}. Source: O'Shaughnessy 1987, as in HTK; no area normalisation.
    """
    highest = torch.tensor(rate_hz / 2, dtype=torch.float64)
    corners = frequency_of(torch.linspace(0, 1, bands + 2, dtype=torch.float64) * mel_of(highest))
    bin_hz = torch.linspace(0, 1, bins, dtype=torch.float64) * highest
    rising = (bin_hz - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - bin_hz) / (corners[2:] - corners[1:-1])[:, None]
    return torch.minimum(rising, falling).clamp(min=0).float()


class LogMel(nn.Module):
    """Waveform (B, C, T) → spectrogram (B, C, bands, frames): log(ε + mel filters · |STFT|²), normalised.

    Frame t is centred on sample t·hop, with silence before the first and after the last sample, and is there when that
    sample is; so padding changes nothing. Powers are divided by (Σ window)²: a sine of amplitude 1 has 1/4.

    - `clip`: powers are divided by the clip's mean, the logarithms standardised over its bands and frames. How loud a
      clip was recorded does not matter.
    - `fixed`: (log(ε + p) + 10) / 4, so that loudness is kept.

    Always computed in float32, whatever the precision of the run.
    """

    def __init__(self, rate_hz: float, bands: int, window_s: float, hop_s: float, normalise: Literal["clip", "fixed"]) -> None:
        """Args: rate_hz: of the waveform; bands: of the spectrogram; window_s, hop_s: of the frames.

        Raises:
            OmnifuseError: more bands than the rate has room for.
        """
        super().__init__()
        self.normalise = normalise
        self.window_length, self.hop = max(2, round(window_s * rate_hz)), max(1, round(hop_s * rate_hz))
        self.transform, filters = _transform(rate_hz, bands, self.window_length)
        window = torch.hann_window(self.window_length)
        self.register_buffer("window", window / window.sum(), persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, wave_BCT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms and which samples are there → spectrograms and which frames are there (B, frames)."""
        with torch.autocast(wave_BCT.device.type, enabled=False):
            wave_BCT = torch.where(mask_BT[:, None], wave_BCT.float(), 0)
            power_BCFT = self._power(wave_BCT)
            mask_BT = mask_BT[:, :: self.hop]
            power_BCFT = power_BCFT[..., : mask_BT.shape[1]]
            return self._levels(power_BCFT, mask_BT[:, None, None]), mask_BT

    def _power(self, wave_BCT: Tensor) -> Tensor:
        assert isinstance(self.window, Tensor) and isinstance(self.filters, Tensor)
        spectrum_NFT = torch.stft(
            wave_BCT.flatten(0, 1),
            self.transform,
            self.hop,
            self.window_length,
            self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        power_NFT = spectrum_NFT.real.square() + spectrum_NFT.imag.square()
        return (self.filters @ power_NFT).unflatten(0, wave_BCT.shape[:2])

    def _levels(self, power_BCFT: Tensor, mask_B11T: Tensor) -> Tensor:
        if self.normalise == "fixed":
            level_BCFT = ((power_BCFT + FIXED_FLOOR).log() - FIXED_MEAN) / FIXED_SCALE
            return torch.where(mask_B11T, level_BCFT, 0)
        there_BCFT = mask_B11T.expand_as(power_BCFT)
        count_B111 = there_BCFT.sum((1, 2, 3), keepdim=True).clamp(min=1)

        def mean(values_BCFT: Tensor) -> Tensor:
            return torch.where(there_BCFT, values_BCFT, 0).sum((1, 2, 3), keepdim=True) / count_B111

        relative_BCFT = power_BCFT / mean(power_BCFT).clamp(min=torch.finfo(torch.float32).tiny)
        level_BCFT = (relative_BCFT + FLOOR).log()
        level_BCFT = level_BCFT - mean(level_BCFT)
        deviation_B111 = (mean(level_BCFT.square()) + 1e-3).sqrt()
        return torch.where(there_BCFT, level_BCFT / deviation_B111, 0)


def _transform(rate_hz: float, bands: int, window: int) -> tuple[int, Tensor]:
    """The shortest transform, a power of two and at least the window, for which every band holds a bin; and its filters."""
    length = 1 << (window - 1).bit_length()
    while length <= LONGEST_TRANSFORM * window:
        filters = mel_filters(bands, length // 2 + 1, rate_hz)
        if filters.any(1).all():
            return length, filters
        length *= 2
    raise OmnifuseError(f"mels: {bands} bands are too many for sound of {rate_hz:g} Hz and windows of {window} samples; use fewer")
