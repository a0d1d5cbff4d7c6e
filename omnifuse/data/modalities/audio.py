"""Sound: waveforms of one rate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.decode.audio import audio_facts, decode_audio, encode_audio
from omnifuse.data.modalities.config import AudioConfig
from omnifuse.data.modalities.processor import Facts, MediaProcessor, presence


class AudioProcessor(MediaProcessor[AudioConfig]):
    """A sound file, or the sound of a film ↔ (C, T) float32 samples in [−1, 1] at `rate_hz`.

    A batch is padded to its longest sound, with a mask (B, T). Absent: no path; zeros with an all-false mask.
    """

    def inspect(self, data: bytes) -> Facts:
        """Length, rate and channels as they are in the file, which is decoded to its end, and a fingerprint of its beginning."""
        from omnifuse.data.clean.fingerprints import audio_fingerprint

        facts = audio_facts(data)
        numbers = {"seconds": facts.seconds, "rate_hz": facts.rate_hz, "channels": facts.channels}
        return Facts(numbers, audio_fingerprint(facts.start, facts.rate_hz))

    def serialise(self, value: Any) -> bytes:
        """`(array, rate_hz)` or `{"array": …, "sampling_rate": …}` as WAV; the array is (T,) or (C, T)."""
        return encode_audio(value)

    def fit(self, raws: Iterable[Any]) -> None:
        """Nothing is learned."""

    def item(self, raw: Any) -> np.ndarray:
        """(C, T) float32."""
        return decode_audio(raw, self.config.rate_hz, self.config.channels, self.config.max_s)

    def collate(self, items: Sequence[np.ndarray | None]) -> Values:
        """(B, C, T) float32 with a mask (B, T)."""
        longest = max([1, *(item.shape[1] for item in items if item is not None)])
        data = np.zeros((len(items), self.config.channels, longest), dtype=np.float32)
        mask = np.zeros((len(items), longest), dtype=bool)
        for row, item in enumerate(items):
            if item is not None:
                data[row, :, : item.shape[1]] = item
                mask[row, : item.shape[1]] = True
        return Values(torch.from_numpy(data), presence(items), torch.from_numpy(mask))

    def decode(self, data: torch.Tensor) -> list[np.ndarray]:
        """(B, C, T) → (C, T) arrays at `rate_hz`, with the padding."""
        return list(data.float().cpu().numpy())

    @property
    def spec(self) -> ValueSpec:
        """Shape (C, None); at most `rate_hz` · `max_s` samples."""
        rate_hz = self.config.rate_hz
        longest = max(1, round(rate_hz * self.config.max_s))
        return ValueSpec(modality="audio", shape=(self.config.channels, None), max_length=longest, rate_hz=rate_hz, optional=self.optional_)

    def state(self) -> dict[str, Any]:
        """Only whether it may be absent."""
        return {"optional": self.optional_}

    def load_state(self, state: dict[str, Any]) -> None:
        """Whether it may be absent."""
        self.optional_ = state["optional"]
