"""A vision transformer."""

from __future__ import annotations

import torch
from torch import nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import ViTConfig
from omnifuse.model.encoders.encoder import Encoder
from omnifuse.model.layers.transformer import Transformer


class ViT(Encoder):
    """Image (B, C, H, W) → tokens (B, (H/p)·(W/p), D): x = Transformer(E·patch + position); of another `width` than D, x ← W·x.

    Source: Dosovitskiy et al. 2021, arXiv 2010.11929; without the class token, since fusion pools.
    Absent: masked tokens. Errors: an image size that the patch does not divide.
    """

    def __init__(self, config: ViTConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: shape (C, H, W) of the images; dim: width D of the tokens."""
        super().__init__()
        channels, height, width = spec.shape
        assert channels and height and width, "images have one size"
        if height % config.patch or width % config.patch:
            raise OmnifuseError(f"vit.patch: {config.patch} does not divide the image size {height}×{width}")
        inner = config.inner(dim)
        self.patches = nn.Conv2d(channels, inner, config.patch, config.patch)
        self.position = nn.Parameter(torch.randn((height // config.patch) * (width // config.patch), inner) * 0.02)
        self.transformer = Transformer(inner, config.depth, config.heads, config.dropout)
        self.last = nn.Linear(inner, dim) if inner != dim else nn.Identity()

    def encode(self, values: Values) -> Tokens:
        """Patches → tokens."""
        tokens_BTD = self.patches(values.data).flatten(2).transpose(1, 2) + self.position
        mask_BT = torch.ones(tokens_BTD.shape[:2], dtype=torch.bool, device=tokens_BTD.device)
        return Tokens(self.last(self.transformer(tokens_BTD, mask_BT)), mask_BT)
