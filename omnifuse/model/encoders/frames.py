"""Films: the image network for each frame, a convolution over neighbouring frames, attention over all of them."""

from __future__ import annotations

import torch
from torch import nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.cnn import CNN
from omnifuse.model.encoders.config import CNNConfig, FramesConfig
from omnifuse.model.encoders.encoder import Encoder
from omnifuse.model.layers.transformer import Transformer


class Frames(Encoder):
    """Film (B, F, C, H, W) → tokens (B, F, D), one a frame.

        v_f = ReLU(W·[m_{f−1}; m_f; m_{f+1}] + b) + p_f,    x = Transformer(v_1 … v_F)

    m_f are the cells of CNN(frame f) side by side, so a token knows where in the frame things are; W sees the frames
    before and behind, so it knows what moves; p_f, learned, says when. Beyond the first and the last frame are zeros.

    Source: space apart from time as in R(2+1)D (Tran et al. 2018, arXiv 1711.11248), then attention over the frames as
    in the factorised encoder of ViViT (Arnab et al. 2021, arXiv 2103.15691). Without the neighbours in W, a square that
    moves left could hardly be told from one that moves right.
    Cost: F times that of `cnn`. Absent: masked tokens, left out of the statistics of the normalisation.
    """

    def __init__(self, config: FramesConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: shape (F, C, H, W) of the films; dim: width D of the tokens."""
        super().__init__()
        frames = spec.shape[0]
        assert frames, "films have one number of frames"
        self.image = CNN(CNNConfig(width=config.width, patch=config.patch, grid=config.grid), _frame_of(spec), dim)
        self.neighbours = nn.Conv1d(self.image.cells * dim, dim, 3, padding=1)
        self.position = nn.Parameter(torch.randn(frames, dim) * 0.1)
        self.dropout = nn.Dropout(config.dropout)
        self.transformer = Transformer(dim, config.depth, config.heads, config.dropout)

    def encode(self, values: Values) -> Tokens:
        """Frames → one token each."""
        rows, frames = values.data.shape[:2]
        images = Values(values.data.flatten(0, 1), values.present.repeat_interleave(frames))
        map_BFM = self.image.encode(images).values.flatten(1).unflatten(0, (rows, frames))
        tokens_BFD = self.neighbours(map_BFM.transpose(1, 2)).relu().transpose(1, 2) + self.position
        mask_BF = torch.ones(rows, frames, dtype=torch.bool, device=tokens_BFD.device)
        return Tokens(self.transformer(self.dropout(tokens_BFD), mask_BF), mask_BF)


def _frame_of(spec: ValueSpec) -> ValueSpec:
    return ValueSpec(modality="image", shape=spec.shape[1:])
