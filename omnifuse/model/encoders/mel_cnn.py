"""A small convolutional network over log-mel spectrograms, for sound."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import MelCNNConfig
from omnifuse.model.encoders.encoder import Encoder
from omnifuse.model.layers.mel import LogMel
from omnifuse.model.layers.norm import ChannelNorm
from omnifuse.model.layers.position import Positions


class MelCNN(Encoder):
    """Waveform (B, C, T) → tokens (B, ⌈T / (hop·2^halvings)⌉, D), one after another in time.

    A log-mel spectrogram (see `LogMel`); 3×3 convolutions of stride 2 that halve bands and frames and double the
    channels; a last convolution over all bands that are left and 3 frames; after each, a norm over the channels of each
    position and ReLU. Positions are added to the tokens.

    Source: convolutions over log-mel spectrograms as in Hershey et al. 2017, arXiv 1609.09430, much smaller; the norm
    is that of ConvNeXt (Liu et al. 2022, arXiv 2201.03545), since clips of a batch differ in length.
    Cost: with the defaults 25 MFLOP for a second of sound.
    Absent: masked tokens. Padding is silence and never seen: every layer reads zeros behind the last frame that is there.
    Errors: more mel bands than the rate has room for.
    """

    def __init__(self, config: MelCNNConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: shape (C, None) and rate of the sound; dim: width D of the tokens."""
        super().__init__()
        channels = spec.shape[0]
        assert channels and spec.rate_hz, "sound has a number of channels and a rate"
        self.mel = LogMel(spec.rate_hz, config.mels, config.window_s, config.hop_s, config.normalise)
        layers: list[nn.Module] = []
        bands, now, following = config.mels, channels, config.width
        for _ in range(config.halvings):
            layers.append(MapConvolution(now, following, (3, 3), stride=2))
            bands, now, following = (bands + 1) // 2, following, 2 * following
        self.layers = nn.ModuleList(layers).to(memory_format=torch.channels_last)
        self.last = MapConvolution(now, dim, (bands, 3), stride=1)
        self.positions = Positions(dim)
        self.dropout = nn.Dropout(config.dropout)

    def encode(self, values: Values) -> Tokens:
        """Waveform → spectrogram → one token for each 2^halvings frames."""
        assert values.mask is not None, "sound has a mask"
        map_BDFT, mask_BT = self.mel(values.data, values.mask)
        map_BDFT = map_BDFT.contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            mask_BT = mask_BT[:, ::2]
            map_BDFT = layer(map_BDFT, mask_BT)
        tokens_BTD = self.last(map_BDFT, mask_BT).squeeze(2).transpose(1, 2)
        return Tokens(self.dropout(self.positions(tokens_BTD)), mask_BT)


class MapConvolution(nn.Module):
    """ReLU(norm(convolution(x))), and zeros where nothing is; bands are padded unless the kernel covers them all."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int) -> None:
        """Args: inputs, outputs: channels; kernel: bands × 3 frames; stride: of bands and frames."""
        super().__init__()
        padding = (1, 1) if stride > 1 else (0, 1)
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.norm = ChannelNorm(outputs)

    def forward(self, map_BDFT: Tensor, mask_BT: Tensor) -> Tensor:
        """(B, inputs, F, T) and which frames of the result are there → (B, outputs, F', T')."""
        return torch.where(mask_BT[:, None, None], self.norm(self.convolution(map_BDFT)).relu(), 0)
