"""What a flow moves: the values of a column as an array (B, C, H, W), and back.

Pictures are there as they are. A sound is its spectrogram, H bands by W frames; a series is one place high and W steps wide, and points
are W places in no order. What has a length gets one more channel that says 1 where something is and −1 behind its end, so that lengths
are drawn too. Shapes: B rows, T positions of a value, W ≥ T places of its canvas.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.model.heads.config import FlowHeadConfig
from omnifuse.model.layers.griffin_lim import InverseMel
from omnifuse.model.layers.mel import LogMel
from omnifuse.model.layers.ranks import is_distributed

UNSEEN = 16  # places of a canvas before anything was seen
LEAST_STD = 1e-2


class Canvas(nn.Module, ABC):
    """Values ↔ array (B, C, H, W) of a flow.

    Attributes:
        channels: C.
        flat: whether it is one place high.
        ordered: whether it matters which place is next to which.
        longest: the most places that it can have.
    """

    flat = False
    ordered = True

    def __init__(self, channels: int, longest: int) -> None:
        """Args: as the attributes."""
        super().__init__()
        self.channels, self.longest = channels, longest

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) at present."""

    def observe(self, target: Values) -> None:
        """Take in what is seen in training."""

    @abstractmethod
    def paint(self, target: Values) -> Tensor:
        """Values → (B, C, H, W) float32."""

    @abstractmethod
    def read(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) → data as the processor of the column decodes them; zeros behind the end of a row."""

    def lengths(self, data: Tensor) -> list[int] | None:
        """How many positions of each row of what `read` gave are there: those up to the last that is not zero, at least one."""
        return None


class PictureCanvas(Canvas):
    """A picture (B, C, H, W) as it is."""

    def __init__(self, spec: ValueSpec) -> None:
        """Args: spec: of the column."""
        channels, height, width = spec.shape
        assert channels and height and width, "images have one size"
        super().__init__(channels, height * width)
        self.size = (height, width)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the pictures."""
        return self.channels, *self.size

    def paint(self, target: Values) -> Tensor:
        """The pixels."""
        return target.data.float()

    def read(self, x_BCHW: Tensor) -> Tensor:
        """The pixels; the processor cuts what is brighter than white."""
        return x_BCHW


class LongCanvas(Canvas):
    """What has a length. It is as wide as the longest value that was seen in training; what is longer is cut there.

    So the canvas of a row does not depend on its batch. `seen` is the width, kept with the weights, and the same on all ranks.
    """

    seen: Tensor

    def __init__(self, channels: int, places: int, high: int = 1) -> None:
        """Args: channels: of the values; places: at most, of their length; high: H."""
        super().__init__(channels + 1, high * places)
        self.high, self.most = high, places
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    @property
    def width(self) -> int:
        """W at present."""
        return int(self.seen) or min(self.most, UNSEEN)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) at present."""
        return self.channels, self.high, self.width

    def places(self, positions_B: Tensor) -> Tensor:
        """(B,) how many places so many positions take."""
        return positions_B

    @torch.no_grad()
    def observe(self, target: Values) -> None:
        """Widen the canvas where a longer value comes."""
        assert target.mask is not None, "what has a length has a mask"
        longest = self.places(target.mask.sum(1)).max().clamp(max=self.most)
        if is_distributed():
            dist.all_reduce(longest, dist.ReduceOp.MAX)
        self.seen.copy_(torch.maximum(self.seen, longest))

    def marked(self, x_BCHT: Tensor, mask_BT: Tensor) -> Tensor:
        """(B, C, H, T) and which of T are there → (B, C + 1, H, W)."""
        there_BT = torch.where(mask_BT, 1.0, -1.0)
        x_BCHT = torch.cat([x_BCHT, there_BT[:, None, None].expand(-1, 1, x_BCHT.shape[2], -1)], dim=1)
        missing = self.width - x_BCHT.shape[3]
        if missing <= 0:
            return x_BCHT[..., : self.width]
        behind_BCHT = F.pad(x_BCHT, (0, missing))
        behind_BCHT[:, -1, :, -missing:] = -1
        return behind_BCHT

    def counts(self, x_BCHW: Tensor) -> Tensor:
        """(B,) the length n ≥ 1 that the last channel speaks for: Σ of it over the first n places is largest."""
        return x_BCHW[:, -1].mean(1).cumsum(1).argmax(1) + 1

    def lengths(self, data: Tensor) -> list[int]:
        """See `Canvas`; positions run along the second axis, the others are those of one position."""
        used_BT = data.flatten(2).ne(0).any(2)
        place_T = torch.arange(1, used_BT.shape[1] + 1, device=data.device)
        return (used_BT * place_T).amax(1).clamp(min=1).tolist()


class SeriesCanvas(LongCanvas):
    """A series (B, T, C') with its channels as they are, those that say what was measured among them."""

    flat = True

    def __init__(self, spec: ValueSpec) -> None:
        """Args: spec: of the column."""
        channels = spec.shape[-1]
        assert channels, "a series has a number of channels"
        super().__init__(channels, spec.max_length)

    def paint(self, target: Values) -> Tensor:
        """(B, T, C') → (B, C' + 1, 1, W)."""
        assert target.mask is not None, "a series has a mask"
        x_BTC = torch.where(target.mask[..., None], target.data.float(), 0)
        return self.marked(x_BTC.transpose(1, 2).unsqueeze(2), target.mask)

    def read(self, x_BCHW: Tensor) -> Tensor:
        """(B, C' + 1, 1, W) → (B, W, C')."""
        there_BW = torch.arange(x_BCHW.shape[3], device=x_BCHW.device) < self.counts(x_BCHW)[:, None]
        return torch.where(there_BW[..., None], x_BCHW[:, :-1, 0].transpose(1, 2), 0)


class PointsCanvas(SeriesCanvas):
    """Points (B, N, 3 + F), each a place without neighbours; those that are there come first when they are read."""

    ordered = False

    def read(self, x_BCHW: Tensor) -> Tensor:
        """(B, 3 + F + 1, 1, W) → (B, W, 3 + F), the points whose last channel is above zero, at least one."""
        mark_BW, order_BW = x_BCHW[:, -1, 0].sort(dim=1, descending=True, stable=True)
        there_BW = mark_BW > 0
        there_BW[:, 0] = True
        points_BWC = x_BCHW[:, :-1, 0].transpose(1, 2)
        points_BWC = points_BWC.gather(1, order_BW[..., None].expand_as(points_BWC))
        return torch.where(there_BW[..., None], points_BWC, 0)


class SoundCanvas(LongCanvas):
    """A waveform (B, C, T) as standardised log-mel spectrogram, silent behind its end; read through `InverseMel`.

    x = (level − μ) / σ with mean and deviation of all levels that were seen in training, over all bands and frames of the canvas,
    kept with the weights: of the first n levels and the N that follow, μ ← μ + (mean − μ)·N/(n + N), and so the mean of squares.
    """

    mean: Tensor
    square: Tensor
    count: Tensor

    def __init__(self, config: FlowHeadConfig, spec: ValueSpec) -> None:
        """Args: config: bands and frames; spec: of the column."""
        mel = LogMel(spec.rate_hz, config.mels, config.window_s, config.hop_s, "fixed")
        samples = spec.max_length if config.max_s is None else min(spec.max_length, round(config.max_s * spec.rate_hz))
        assert spec.shape[0], "sound has a number of channels"
        super().__init__(spec.shape[0], max(1, -(-samples // mel.hop)), config.mels)
        self.mel, self.sound = mel, InverseMel(mel)
        for name, value in (("mean", 0.0), ("square", 1.0), ("count", 0.0)):
            self.register_buffer(name, torch.tensor(value))

    def places(self, positions_B: Tensor) -> Tensor:
        """Frames of so many samples."""
        return -(-positions_B // self.mel.hop)

    @torch.no_grad()
    def observe(self, target: Values) -> None:
        """Widen the canvas, and take the levels of the rows that are there into the mean and the deviation."""
        super().observe(target)
        level_BCHW, _ = self._levels(target)
        there_B111 = target.present[:, None, None, None]
        sums = [torch.where(there_B111, part, 0).sum() for part in (level_BCHW, level_BCHW.square())]
        sums_3 = torch.stack([*sums, there_B111.sum() * level_BCHW[0].numel()])
        if is_distributed():
            dist.all_reduce(sums_3)
        number = sums_3[2].clamp(min=1)
        share = sums_3[2] / (self.count + number)
        self.mean.lerp_(sums_3[0] / number, share)
        self.square.lerp_(sums_3[1] / number, share)
        self.count += sums_3[2]

    def paint(self, target: Values) -> Tensor:
        """(B, C, T) → (B, C + 1, bands, W)."""
        level_BCHW, mask_BW = self._levels(target)
        return self.marked((level_BCHW - self.mean) / self._std(), mask_BW)

    def read(self, x_BCHW: Tensor) -> Tensor:
        """(B, C + 1, bands, W) → (B, C, W·hop)."""
        wave_BCT = self.sound(x_BCHW[:, :-1].float() * self._std() + self.mean)
        there_BT = torch.arange(wave_BCT.shape[2], device=wave_BCT.device) < self.mel.hop * self.counts(x_BCHW)[:, None]
        return torch.where(there_BT[:, None], wave_BCT, 0)

    def lengths(self, data: Tensor) -> list[int]:
        """Samples up to the last that is not zero, at least one."""
        return super().lengths(data.transpose(1, 2))

    def _levels(self, target: Values) -> tuple[Tensor, Tensor]:
        """Levels (B, C, bands, W) of the sounds with silence behind them, and which frames are theirs (B, W)."""
        assert target.mask is not None, "sound has a mask"
        samples = self.width * self.mel.hop
        wave_BCT = torch.where(target.mask[:, None], target.data.float(), 0)
        wave_BCT, mask_BT = (F.pad(part, (0, samples - part.shape[-1])) for part in (wave_BCT, target.mask))
        level_BCHW, _ = self.mel(wave_BCT, torch.ones_like(mask_BT))
        return level_BCHW, mask_BT[:, :: self.mel.hop]

    def _std(self) -> Tensor:
        return (self.square - self.mean.square()).clamp(min=LEAST_STD**2).sqrt()


def canvas_of(config: FlowHeadConfig, spec: ValueSpec) -> Canvas:
    """The canvas of a column."""
    if spec.modality == "audio":
        return SoundCanvas(config, spec)
    return {"image": PictureCanvas, "series": SeriesCanvas, "points": PointsCanvas}[spec.modality](spec)
