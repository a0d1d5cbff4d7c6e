"""Images: normalised pixels of one size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.decode import decode_image, encode_image, image_size
from omnifuse.data.modalities.config import ImageConfig
from omnifuse.data.modalities.processor import Facts, MediaProcessor, presence


class ImageProcessor(MediaProcessor[ImageConfig]):
    """An encoded image ↔ (C, H, W) float32, (pixel/255 − mean) / std. Absent: no path; a black square of zeros."""

    SAMPLE = 256
    LARGEST = 128

    def __init__(self, config: ImageConfig) -> None:
        """Store the options; `fit` chooses the size where none is given."""
        super().__init__(config)
        self.size_ = config.size or 0

    def inspect(self, data: bytes) -> Facts:
        """Height and width in pixels, and a fingerprint of what is to be seen."""
        from omnifuse.data.clean.fingerprints import image_fingerprint

        pixels = decode_image(data)
        return Facts({"height": pixels.shape[0], "width": pixels.shape[1]}, image_fingerprint(pixels))

    def serialise(self, value: Any) -> bytes:
        """A Pillow image or an array (H, W[, 3]) as PNG."""
        return encode_image(value)

    def fit(self, raws: Iterable[Any]) -> None:
        """Choose the size: median shorter side of a sample, at most 128, a multiple of 8."""
        if self.config.size is None:
            sides = [min(image_size(raw)) for raw in islice(raws, self.SAMPLE)]
            side = int(np.median(sides)) if sides else 64
            self.size_ = min(self.LARGEST, max(8, round(side / 8) * 8))

    def item(self, raw: Any) -> np.ndarray:
        """(H, W, C) uint8: four times smaller to keep than floats."""
        return decode_image(raw, self.config.channels, (self.size_, self.size_))

    def collate(self, items: Sequence[np.ndarray | None]) -> Values:
        """(B, C, H, W) float32."""
        present = presence(items)
        blank = np.zeros((self.size_, self.size_, self.config.channels), dtype=np.uint8)
        pixels = torch.from_numpy(np.stack([blank if item is None else item for item in items])).permute(0, 3, 1, 2)
        mean, std = torch.tensor(self.config.mean).view(-1, 1, 1), torch.tensor(self.config.std).view(-1, 1, 1)
        data = pixels.float().sub_(mean * 255).div_(std * 255)
        return Values(data if present.all() else data * present.view(-1, 1, 1, 1), present)

    def decode(self, data: torch.Tensor) -> list[np.ndarray]:
        """(B, C, H, W) → (H, W, C) uint8 arrays."""
        mean, std = torch.tensor(self.config.mean).view(-1, 1, 1), torch.tensor(self.config.std).view(-1, 1, 1)
        pixels = (data.float().cpu() * std + mean).mul(255).round().clamp(0, 255).to(torch.uint8)
        return list(pixels.permute(0, 2, 3, 1).numpy())

    @property
    def spec(self) -> ValueSpec:
        """Shape (C, H, W)."""
        return ValueSpec(modality="image", shape=(self.config.channels, self.size_, self.size_), optional=self.optional_)

    def state(self) -> dict[str, Any]:
        """The size."""
        return {"size": self.size_, "optional": self.optional_}

    def load_state(self, state: dict[str, Any]) -> None:
        """The size."""
        self.size_, self.optional_ = state["size"], state["optional"]
