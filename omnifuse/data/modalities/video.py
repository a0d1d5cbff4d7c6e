"""Films: a fixed number of normalised frames of one size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.decode.video import decode_video, encode_video, video_facts, video_size
from omnifuse.data.modalities.config import VideoConfig
from omnifuse.data.modalities.processor import Facts, MediaProcessor, presence


class VideoProcessor(MediaProcessor[VideoConfig]):
    """A film or an animated picture ↔ (F, C, H, W) float32, (pixel/255 − mean) / std, of F frames spread evenly over it.

    A film of fewer than F frames shows some of them more than once. Absent: no path; black frames of zeros.
    """

    SAMPLE = 64
    LARGEST = 112

    def __init__(self, config: VideoConfig) -> None:
        """Store the options; `fit` chooses the size where none is given."""
        super().__init__(config)
        self.size_ = config.size or 0

    def inspect(self, data: bytes) -> Facts:
        """Length, frames, height, width and rate of the film, which is decoded to its end."""
        facts = video_facts(data)
        return Facts(
            {"seconds": facts.seconds, "frames": facts.frames, "height": facts.height, "width": facts.width, "rate_hz": facts.rate_hz}
        )

    def serialise(self, value: Any) -> bytes:
        """An array (F, H, W) or (F, H, W, 3) as an animated PNG, without loss."""
        return encode_video(value)

    def fit(self, raws: Iterable[Any]) -> None:
        """Choose the size: median shorter side of a sample, at most 112, a multiple of 8."""
        if self.config.size is None:
            sides = [min(video_size(raw)) for raw in islice(raws, self.SAMPLE)]
            side = int(np.median(sides)) if sides else 64
            self.size_ = min(self.LARGEST, max(8, round(side / 8) * 8))

    def item(self, raw: Any) -> np.ndarray:
        """(F, H, W, C) uint8: four times smaller to keep than floats."""
        return decode_video(raw, self.config.frames, (self.size_, self.size_), self.config.channels)

    def collate(self, items: Sequence[np.ndarray | None]) -> Values:
        """(B, F, C, H, W) float32."""
        present = presence(items)
        blank = np.zeros((self.config.frames, self.size_, self.size_, self.config.channels), dtype=np.uint8)
        pixels = torch.from_numpy(np.stack([blank if item is None else item for item in items])).permute(0, 1, 4, 2, 3)
        mean, std = self._scale()
        data = pixels.float().sub_(mean * 255).div_(std * 255)
        return Values(data if present.all() else data * present.view(-1, 1, 1, 1, 1), present)

    def decode(self, data: torch.Tensor) -> list[np.ndarray]:
        """(B, F, C, H, W) → (F, H, W, C) uint8 arrays."""
        mean, std = self._scale()
        pixels = (data.float().cpu() * std + mean).mul(255).round().clamp(0, 255).to(torch.uint8)
        return list(pixels.permute(0, 1, 3, 4, 2).numpy())

    @property
    def spec(self) -> ValueSpec:
        """Shape (F, C, H, W)."""
        shape = (self.config.frames, self.config.channels, self.size_, self.size_)
        return ValueSpec(modality="video", shape=shape, optional=self.optional_)

    def state(self) -> dict[str, Any]:
        """The size."""
        return {"size": self.size_, "optional": self.optional_}

    def load_state(self, state: dict[str, Any]) -> None:
        """The size."""
        self.size_, self.optional_ = state["size"], state["optional"]

    def _scale(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor(self.config.mean).view(-1, 1, 1), torch.tensor(self.config.std).view(-1, 1, 1)
