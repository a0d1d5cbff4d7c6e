"""How networks that were trained elsewhere are given a sound: a levelled waveform, or a spectrogram of a certain make.

Shapes: B clips, T samples, F frames, M mel bands. Everything is computed in float32, whatever the precision of the run, and
what is padded has no influence on what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

LEAST_POWER = 1e-10
KALDI_WINDOW, KALDI_HOP, KALDI_TRANSFORM, KALDI_LOWEST_HZ, KALDI_EMPHASIS = 400, 160, 512, 20.0, 0.97
KALDI_LEAST_POWER = torch.finfo(torch.float32).eps


class Levelled(nn.Module):
    """x ← (x − mean) / √(variance + 10⁻⁷) over the samples of each clip, zeros behind its end.

    Source: Baevski et al. 2020, arXiv 2006.11477.
    """

    def forward(self, wave_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Waveforms and which samples are there → waveforms of one level."""
        with torch.autocast(wave_BT.device.type, enabled=False):
            count_B1 = mask_BT.sum(1, keepdim=True).clamp(min=1)
            wave_BT = torch.where(mask_BT, wave_BT.float(), 0)
            off_BT = torch.where(mask_BT, wave_BT - wave_BT.sum(1, keepdim=True) / count_B1, 0)
            return off_BT / (off_BT.square().sum(1, keepdim=True) / count_B1 + 1e-7).sqrt()


class ClipNorm(nn.GroupNorm):
    """A group norm with one channel a group, over the frames of each clip that are there: as if each clip were alone in its batch.

    `frames_B`, how many are there, is to be set before it runs.
    """

    frames_B: Tensor | None = None  # noqa: N815

    @classmethod
    def of(cls, norm: nn.GroupNorm) -> ClipNorm:
        """One with the weights, and the names of the weights, of an ordinary norm."""
        made = cls(norm.num_groups, norm.num_channels, norm.eps, norm.affine)
        made.weight, made.bias = norm.weight, norm.bias
        return made

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, F) → (B, C, F)."""
        assert self.frames_B is not None, "set frames_B before"
        with torch.autocast(input.device.type, enabled=False):
            mask_B1F = (torch.arange(input.shape[2], device=input.device) < self.frames_B.unsqueeze(1)).unsqueeze(1)
            count_B11 = mask_B1F.sum(2, keepdim=True).clamp(min=1)
            off_BCF = input.float() - torch.where(mask_B1F, input.float(), 0).sum(2, keepdim=True) / count_B11
            variance_BC1 = torch.where(mask_B1F, off_BCF, 0).square().sum(2, keepdim=True) / count_B11
            made_BCF = off_BCF / (variance_BC1 + self.eps).sqrt() * self.weight.unsqueeze(1) + self.bias.unsqueeze(1)
        return made_BCF.to(input.dtype)


class WhisperMel(nn.Module):
    """Waveform → (max(log₁₀ p, top − 8) + 4) / 4 of its mel powers p, where top is the clip's highest, of a fixed number of frames.

    Source: Radford et al. 2022, arXiv 2212.04356. The silence behind a clip is part of its spectrogram, as in training.
    """

    def __init__(self, rate_hz: int, bands: int, hop: int, window: int, frames: int) -> None:
        """Args: rate_hz: of the waveform; bands: M; hop, window: in samples; frames: F, what is behind them is cut."""
        super().__init__()
        self.hop, self.frames = hop, frames
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        filters = _mel_filters(1 + window // 2, bands, 0.0, 8000.0, rate_hz, norm="slaney", mel_scale="slaney")
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, wave_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Waveforms and which samples are there → (B, M, F)."""
        assert isinstance(self.window, Tensor) and isinstance(self.filters, Tensor)
        samples = self.frames * self.hop
        with torch.autocast(wave_BT.device.type, enabled=False):
            wave_BT = torch.where(mask_BT, wave_BT.float(), 0)[:, :samples]
            wave_BT = pad(wave_BT, (0, samples - wave_BT.shape[1]))
            spectrum = torch.stft(wave_BT, len(self.window), self.hop, window=self.window, return_complex=True)[..., :-1]
            power_BMF = self.filters @ (spectrum.real.square() + spectrum.imag.square())
            level_BMF = power_BMF.clamp(min=LEAST_POWER).log10()
            return (torch.maximum(level_BMF, level_BMF.amax((1, 2), keepdim=True) - 8) + 4) / 4


class KaldiMel(nn.Module):
    """Waveform → (log p − mean) / (2·deviation) of its mel powers p, each of 25 ms every 10 ms, of a fixed number of frames.

    A frame has its mean taken off, its high tones raised by x_t − 0.97·x_{t−1}, and a Hann window; there are frames only
    where all its samples are. Behind the last, log p is 0. As in Kaldi (Povey et al. 2011); so used by AST (Gong et al. 2021,
    arXiv 2104.01778).
    """

    def __init__(self, rate_hz: int, bands: int, frames: int, mean: float, std: float) -> None:
        """Args: rate_hz: of the waveform; bands: M; frames: F, what is behind them is cut; mean, std: of the training data."""
        super().__init__()
        self.frames, self.mean, self.std = frames, mean, std
        self.register_buffer("window", torch.hann_window(KALDI_WINDOW, periodic=False), persistent=False)
        filters = _mel_filters(
            KALDI_TRANSFORM // 2 + 1, bands, KALDI_LOWEST_HZ, rate_hz / 2, rate_hz, mel_scale="kaldi", triangularize_in_mel_space=True
        )
        self.register_buffer("filters", filters, persistent=False)

    def count(self, samples_B: Tensor) -> Tensor:
        """How many frames a clip has; at least one."""
        return ((samples_B - KALDI_WINDOW) // KALDI_HOP + 1).clamp(1, self.frames)

    def forward(self, wave_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Waveforms and which samples are there → (B, F, M)."""
        assert isinstance(self.window, Tensor) and isinstance(self.filters, Tensor)
        samples = KALDI_WINDOW + (self.frames - 1) * KALDI_HOP
        with torch.autocast(wave_BT.device.type, enabled=False):
            wave_BT = torch.where(mask_BT, wave_BT.float(), 0)[:, :samples]
            frames_BFN = pad(wave_BT, (0, samples - wave_BT.shape[1])).unfold(1, KALDI_WINDOW, KALDI_HOP)
            frames_BFN = frames_BFN - frames_BFN.mean(2, keepdim=True)
            before_BFN = torch.cat([frames_BFN[..., :1], frames_BFN[..., :-1]], dim=2)
            spectrum = torch.fft.rfft((frames_BFN - KALDI_EMPHASIS * before_BFN) * self.window, KALDI_TRANSFORM)
            power_BFM = (spectrum.real.square() + spectrum.imag.square()) @ self.filters.T
            there_BF = torch.arange(self.frames, device=wave_BT.device) < self.count(mask_BT.sum(1)).unsqueeze(1)
            level_BFM = torch.where(there_BF.unsqueeze(2), power_BFM.clamp(min=KALDI_LEAST_POWER).log(), 0)
            return (level_BFM - self.mean) / (2 * self.std)


def convolved(samples_B: Tensor, kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    """How many frames are left of so many samples after convolutions without padding; at least one."""
    for kernel, stride in zip(kernels, strides, strict=True):
        samples_B = (samples_B - kernel) // stride + 1
    return samples_B.clamp(min=1)


def reach(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """How many samples one frame sees."""
    samples = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples


def _mel_filters(bins: int, bands: int, lowest_hz: float, highest_hz: float, rate_hz: int, **kind: str | bool) -> Tensor:
    made = import_module("transformers.audio_utils").mel_filter_bank(bins, bands, lowest_hz, highest_hz, rate_hz, **kind)
    return torch.tensor(made.T, dtype=torch.float32)
