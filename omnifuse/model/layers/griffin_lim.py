"""From a log-mel spectrogram back to sound.

Shapes: N spectrograms, F bins of a spectrum, T frames, M mel bands.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omnifuse.model.layers.mel import FIXED_FLOOR, FIXED_MEAN, FIXED_SCALE, LogMel

OVERLAP = 4  # frames that cover a sample, at least
TINY = 1e-12


class InverseMel(nn.Module):
    """Spectrogram (B, C, M, T) as `LogMel` with `fixed` makes it → waveform (B, C, T·hop).

    1. Mel powers → powers of the bins: p ← p ⊙ (Wᵀm) / (WᵀW·p), which lowers ‖W·p − m‖ and never leaves p ≥ 0. Source: Lee & Seung
       2000, Algorithms for non-negative matrix factorization.
    2. Frames are set closer, linearly in log p, until four of them cover a sample; fewer do not settle the phases.
    3. Phases: project in turn on spectra of these magnitudes and on spectra that a waveform has, with momentum,
       c_i = P(y_i), y_{i+1} = |p|^½ · phase(c_i + α·(c_i − c_{i−1})/(1 + α)). Source: Griffin & Lim 1984; momentum, Perraudin et al.
       2013, as librosa and torchaudio write it. Begins with phases that are the same for every clip.

    Always computed in float32. Samples beyond ±1 are cut.
    """

    def __init__(self, mel: LogMel, rounds: int = 32, solving: int = 100, momentum: float = 0.99) -> None:
        """Args: mel: what made the spectrograms; rounds: of step 3; solving: of step 1; momentum: α."""
        super().__init__()
        self.mel, self.rounds, self.solving, self.momentum = mel, rounds, solving, momentum
        self.finer = math.ceil(OVERLAP * mel.hop / mel.window_length)
        self.hop = max(1, mel.hop // self.finer)

    @torch.no_grad()
    def forward(self, level_BCMT: Tensor) -> Tensor:
        """Levels → samples."""
        with torch.autocast(level_BCMT.device.type, enabled=False):
            level_NMT = level_BCMT.float().flatten(0, 1)
            mel_NMT = (level_NMT * FIXED_SCALE + FIXED_MEAN).exp().sub(FIXED_FLOOR).clamp(min=0)
            power_NFT = self._closer(self._bins(mel_NMT))
            length = level_NMT.shape[2] * self.mel.hop
            return self._phased(power_NFT.sqrt(), length).clamp(-1, 1).unflatten(0, level_BCMT.shape[:2])

    def _bins(self, mel_NMT: Tensor) -> Tensor:
        """(N, F, T) powers whose mel powers are these, as nearly as may be."""
        filters_MF = self._buffer(self.mel.filters)
        wanted_NFT = filters_MF.T @ mel_NMT
        power_NFT = wanted_NFT / filters_MF.sum(0)[:, None].clamp(min=TINY) / filters_MF.sum(1).mean()
        both_FF = filters_MF.T @ filters_MF
        for _ in range(self.solving):
            power_NFT = power_NFT * wanted_NFT / (both_FF @ power_NFT + TINY)
        return power_NFT

    def _closer(self, power_NFT: Tensor) -> Tensor:
        """Frames `hop` samples apart instead of those of the spectrogram."""
        if self.finer == 1:
            return power_NFT
        frames, hop = power_NFT.shape[2], self.mel.hop
        place_T = torch.arange(-(-frames * hop // self.hop), device=power_NFT.device) * self.hop / hop
        left_T = place_T.long().clamp(max=frames - 1)
        level_NFT = (power_NFT + TINY).log()
        before, after = level_NFT[..., left_T], level_NFT[..., (left_T + 1).clamp(max=frames - 1)]
        return (before + (place_T - left_T) * (after - before)).exp()

    def _phased(self, size_NFT: Tensor, length: int) -> Tensor:
        size_NFT = F.pad(size_NFT, (0, 1 + length // self.hop - size_NFT.shape[2]))
        generator = torch.Generator().manual_seed(0)
        angle_FT = 2 * math.pi * torch.rand(size_NFT.shape[1:], generator=generator).to(size_NFT.device)
        spectrum_NFT = torch.polar(size_NFT, angle_FT.expand_as(size_NFT))
        before_NFT = torch.zeros_like(spectrum_NFT)
        for _ in range(self.rounds):
            there_NFT = self._spectrum(self._wave(spectrum_NFT, length))
            ahead_NFT = there_NFT - before_NFT * (self.momentum / (1 + self.momentum))
            spectrum_NFT = size_NFT * ahead_NFT / ahead_NFT.abs().clamp(min=TINY)
            before_NFT = there_NFT
        return self._wave(spectrum_NFT, length)

    def _wave(self, spectrum_NFT: Tensor, length: int) -> Tensor:
        window = self._buffer(self.mel.window)
        return torch.istft(spectrum_NFT, self.mel.transform, self.hop, len(window), window, center=True, length=length)

    def _spectrum(self, wave_NS: Tensor) -> Tensor:
        window = self._buffer(self.mel.window)
        return torch.stft(wave_NS, self.mel.transform, self.hop, len(window), window, center=True, pad_mode="constant", return_complex=True)

    @staticmethod
    def _buffer(value: object) -> Tensor:
        assert isinstance(value, Tensor)
        return value
