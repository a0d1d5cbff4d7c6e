"""A small convolutional network for images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import CNNConfig
from omnifuse.model.encoders.encoder import Encoder
from omnifuse.model.layers.norm import BatchNorm


class CNN(Encoder):
    """Image (B, C, H, W) → tokens (B, H'·W', D), one for each cell of the last feature map.

    A p×p convolution of stride p cuts the image into patches, 3×3 convolutions of stride 2 halve the map and double
    its channels until it is at most `grid` wide, and a last 3×3 convolution gives D channels; after each, batch
    normalisation and ReLU.

    Source: the patchify stem of ConvNeXt (Liu et al. 2022, arXiv 2201.03545); the rest is plainer than there.
    Absent: masked tokens, and left out of the statistics of the normalisation.
    """

    def __init__(self, config: CNNConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: shape (C, H, W) of the images; dim: width D of the tokens."""
        super().__init__()
        channels, height, width = spec.shape
        assert channels and height and width, "images have one size"
        patch = min(config.patch, height, width)
        layers: list[nn.Module] = [Convolution(channels, config.width, patch, stride=patch)]
        rows, columns, now = height // patch, width // patch, config.width
        while max(rows, columns) > config.grid:
            layers.append(Convolution(now, 2 * now, 3, stride=2))
            rows, columns, now = (rows + 1) // 2, (columns + 1) // 2, 2 * now
        layers.append(Convolution(now, dim, 3, stride=1))
        self.cells = rows * columns
        self.layers = nn.ModuleList(layers).to(memory_format=torch.channels_last)
        self.dropout = nn.Dropout(config.dropout)

    def encode(self, values: Values) -> Tokens:
        """Feature map → one token a cell."""
        map_BDHW = values.data.contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            map_BDHW = layer(map_BDHW, values.present)
        tokens_BTD = self.dropout(map_BDHW.flatten(2).transpose(1, 2))
        return Tokens(tokens_BTD, torch.ones(tokens_BTD.shape[:2], dtype=torch.bool, device=tokens_BTD.device))


class Convolution(nn.Module):
    """ReLU(norm(convolution(x)))."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        """Args: inputs, outputs: channels; kernel, stride: in pixels; 3×3 kernels are padded."""
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=1 if kernel == 3 and stride < 3 else 0, bias=False)
        self.norm = BatchNorm(outputs)

    def forward(self, map_BDHW: Tensor, present_B: Tensor) -> Tensor:
        """(B, inputs, H, W) → (B, outputs, H', W')."""
        return self.norm(self.convolution(map_BDHW), present_B).relu()
