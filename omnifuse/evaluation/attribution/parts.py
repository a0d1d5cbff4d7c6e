"""What one value consists of: parts that can be taken away, one at a time, and the map of what that did."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from omnifuse.data.modalities.audio import AudioProcessor
from omnifuse.data.modalities.points import PointsProcessor
from omnifuse.data.modalities.processor import Processor
from omnifuse.data.modalities.series import SeriesProcessor
from omnifuse.data.modalities.set import SetProcessor
from omnifuse.data.modalities.text import TextProcessor
from omnifuse.evaluation.attribution.maps import Map, PatchMap, PieceMap, PointMap, WindowMap
from omnifuse.evaluation.attribution.words import words_of

GRIDS, FILM_GRIDS, RUNS = (8, 4, 2), (4, 2), 8
WINDOWS, LEAST_WINDOWS, CELLS, CHANNELS, PLACES = 24, 4, 240, 60, 64
PIECES, CLUSTERS = 256, 24


class Parts(ABC):
    """The parts of one value.

    A value is an item of its processor; with one part gone it is another item of the same column, so what reads it need not know.
    """

    @abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abstractmethod
    def without(self, part: int) -> np.ndarray | None:
        """The item with one part taken away; `None` where nothing is left."""

    @abstractmethod
    def drawn(self, falls: np.ndarray) -> Map:
        """The map of (parts,) falls of the support, each with its part taken away."""

    def summed(self, products: np.ndarray) -> Map | None:
        """The map of products of gradient and value, one for each number of `Values`, summed over each part; `None` of what is no number.

        Padding may stand behind them.
        """
        return None

    def blank(self, data: Tensor) -> Tensor:
        """What stands in `Values` of this modality (B, …) where all is taken away."""
        return data.new_zeros(())


class Patches(Parts):
    """Squares of a picture (H, W, C) or of a film (F, H, W, C), each painted with the mean colour of its picture.

    The side of a square is an eighth, a quarter or a half of the picture's, for a small thing is found by small squares, and of a large one
    small squares leave enough to tell what it is. Of a film it is a quarter or a half, and one square stands on up to eight runs of frames.
    Where they are `fine` they overlap by half. A place of the map has the mean over the sizes of the means of the squares over it.
    """

    def __init__(self, item: np.ndarray, is_fine: bool) -> None:
        """Args: item: of the processor; is_fine: squares overlap."""
        self.item, self.is_film = item, item.ndim == 4
        self.frames = item if self.is_film else item[None]
        self.mean = self.frames.mean(axis=(1, 2), keepdims=True).round().astype(item.dtype)
        self.size = self.frames.shape[1:3]
        self.runs = np.array_split(np.arange(len(self.frames)), min(RUNS, len(self.frames)))
        self.sides = list(dict.fromkeys(self._sides(grid) for grid in (FILM_GRIDS if self.is_film else GRIDS)))
        self.steps = [self._step(side, is_fine) for side in self.sides[0]]
        self.places = [
            (sides, run, row, column)
            for sides in self.sides
            for run in range(len(self.runs))
            for row in _starts(self.size[0], sides[0], self._step(sides[0], is_fine))
            for column in _starts(self.size[1], sides[1], self._step(sides[1], is_fine))
        ]

    def __len__(self) -> int:
        """Squares of all sizes."""
        return len(self.places)

    def without(self, part: int) -> np.ndarray:
        """One square painted over."""
        (height, width), run, row, column = self.places[part]
        frames, painted = self.runs[run], self.frames.copy()
        painted[frames, row : row + height, column : column + width] = self.mean[frames]
        return painted if self.is_film else painted[0]

    def drawn(self, falls: np.ndarray) -> PatchMap:
        """The mean over the squares that cover a place, and over their sizes."""
        shape = (len(self.sides), len(self.runs), *self.size)
        total, count = np.zeros(shape), np.zeros(shape)
        for (sides, run, row, column), fall in zip(self.places, falls, strict=True):
            square = (self.sides.index(sides), run, slice(row, row + sides[0]), slice(column, column + sides[1]))
            total[square] += fall
            count[square] += 1
        return self._map((total / count).mean(axis=0), np.mean)

    def summed(self, products: np.ndarray) -> PatchMap:
        """(C, H, W) or (F, C, H, W) over the places of the map."""
        frames_FHW = products.sum(axis=-3).reshape(len(self.frames), *self.size)
        return self._map(np.stack([frames_FHW[run].sum(axis=0) for run in self.runs]), np.sum)

    def blank(self, data: Tensor) -> Tensor:
        """The mean colour of each picture."""
        return data.mean(dim=(-2, -1), keepdim=True)

    def _sides(self, grid: int) -> tuple[int, int]:
        return max(1, -(-self.size[0] // grid)), max(1, -(-self.size[1] // grid))

    def _step(self, side: int, is_fine: bool) -> int:
        return max(1, side // 2) if is_fine and not self.is_film else side

    def _map(self, pixels_RHW: np.ndarray, join: Callable[..., Any]) -> PatchMap:
        edges = [[*range(0, side, step), side] for side, step in zip(self.size, self.steps, strict=True)]
        downs, acrosses = (list(pairwise(each)) for each in edges)
        cells = [[[join(run[top:low, left:right]) for left, right in acrosses] for top, low in downs] for run in pixels_RHW]
        values, frames = np.array(cells), tuple(int(run[0]) for run in self.runs) if self.is_film else ()
        return PatchMap(values if self.is_film else values[0], (self.steps[0], self.steps[1]), (self.size[0], self.size[1]), frames)


class Windows(Parts):
    """Stretches of a sound, of the channels of a series, or of the places of a vector, each replaced by zeros: silence, and the mean of
    the training split. Of a series that knows missing values they are missing.

    There are about 24 stretches; fewer where there are many channels, and of more than 60 channels neighbours go together.
    """

    def __init__(self, item: np.ndarray, axis: int, channels: Sequence[tuple[str, list[int]]], unit: str, rate_hz: float = 0) -> None:
        """Args: item: of the processor; axis: along which it is cut; channels: names and places along the other axis, if there is one;
        unit: of the edges; rate_hz: steps a second where the unit is `s`.
        """
        self.item, self.axis, self.unit, self.rate_hz = item, axis, unit, rate_hz
        groups = [list(group) for group in np.array_split(np.arange(len(channels)), min(CHANNELS, len(channels)))]
        self.channels = [(_span([channels[at][0] for at in group]), [p for at in group for p in channels[at][1]]) for group in groups]
        most = PLACES if item.ndim == 1 else max(LEAST_WINDOWS, min(WINDOWS, CELLS // len(groups)))
        length = item.shape[axis]
        self.edges = np.linspace(0, length, min(most, length) + 1).round().astype(np.int64)

    def __len__(self) -> int:
        """Stretches of all channels."""
        return len(self.channels) * (len(self.edges) - 1)

    def without(self, part: int) -> np.ndarray:
        """One stretch of one channel, or of neighbouring ones, set to zero."""
        channel, window = divmod(part, len(self.edges) - 1)
        item = self.item.copy()
        item[self._place(channel, window)] = 0
        return item

    def drawn(self, falls: np.ndarray) -> WindowMap:
        """The falls by channel and stretch."""
        edges = self.edges / self.rate_hz if self.rate_hz else self.edges.astype(np.float64)
        return WindowMap(falls.reshape(len(self.channels), -1), edges, self.unit, tuple(name for name, _ in self.channels))

    def summed(self, products: np.ndarray) -> WindowMap:
        """(C, T), (T, C) or (size,) over the stretches."""
        pairs = [divmod(part, len(self.edges) - 1) for part in range(len(self))]
        return self.drawn(np.array([products[self._place(*pair)].sum() for pair in pairs]))

    def _place(self, channel: int, window: int) -> Any:
        stretch = slice(int(self.edges[window]), int(self.edges[window + 1]))
        if self.item.ndim == 1:
            return stretch
        return (self.channels[channel][1], stretch) if self.axis == 1 else (stretch, self.channels[channel][1])


class Words(Parts):
    """Words of a text, each left out as if it had not been written; of more than 256 words, neighbours go together."""

    def __init__(self, processor: TextProcessor, raw: str) -> None:
        """Args: processor: with its tokenizer; raw: the text."""
        assert processor.tokenizer_ is not None, "fit first"
        encoding = processor.tokenizer_.encode(raw)
        self.ids = np.array(encoding.ids, dtype=np.int64)
        words = words_of(raw, encoding.offsets, encoding.special_tokens_mask)
        groups = [words[at[0] : at[-1] + 1] for at in np.array_split(np.arange(len(words)), min(PIECES, len(words))) if len(at)]
        self.tokens = [[token for word in group for token in word.tokens] for group in groups]
        self.texts = ["".join(word.text for word in group) for group in groups]
        self.rest = raw[len("".join(self.texts)) :].rstrip()

    def __len__(self) -> int:
        """Words."""
        return len(self.tokens)

    def without(self, part: int) -> np.ndarray | None:
        """The ids without those of a word."""
        return np.delete(self.ids, self.tokens[part]) if len(self) > 1 else None

    def drawn(self, falls: np.ndarray) -> PieceMap:
        """The words with their falls."""
        return PieceMap(tuple(zip(self.texts, falls.tolist(), strict=True)), self.rest)


class Labels(Parts):
    """Labels of a set, each left out; those that the model does not know are not among them."""

    def __init__(self, processor: SetProcessor, item: np.ndarray) -> None:
        """Args: processor: that knows the labels; item: their ids."""
        self.item, self.labels = item, [processor.labels_[place] for place in item]

    def __len__(self) -> int:
        """Labels."""
        return len(self.labels)

    def without(self, part: int) -> np.ndarray:
        """The set without a label; it may be empty."""
        return np.delete(self.item, part)

    def drawn(self, falls: np.ndarray) -> PieceMap:
        """The labels with their falls."""
        return PieceMap(tuple(zip(self.labels, falls.tolist(), strict=True)), between=", ")


class Clusters(Parts):
    """Up to 24 clusters of a cloud of points, each left out.

    Their seeds are the points farthest from those before (Gonzalez 1985), the first the one farthest from the middle; each point belongs to
    the nearest seed.
    """

    def __init__(self, processor: PointsProcessor, item: np.ndarray) -> None:
        """Args: processor: that knows the unit; item: (N, 3 + F)."""
        self.item = item
        places = item[:, :3].astype(np.float64)
        self.points = places * processor.std_[:3] + processor.mean_[:3]
        far = ((places - places.mean(axis=0)) ** 2).sum(axis=1)
        nearest, cluster = np.full(len(places), np.inf), np.zeros(len(places), dtype=np.int64)
        for number in range(min(CLUSTERS, len(places))):
            seed = int(far.argmax())
            distance = ((places - places[seed]) ** 2).sum(axis=1)
            if number and nearest[seed] == 0:  # the other points lie where a seed is
                break
            cluster = np.where(distance < nearest, number, cluster)
            far = nearest = np.minimum(nearest, distance)
        self.cluster = cluster

    def __len__(self) -> int:
        """Clusters."""
        return int(self.cluster.max()) + 1

    def without(self, part: int) -> np.ndarray | None:
        """The cloud without a cluster."""
        left = self.item[self.cluster != part]
        return left if len(left) else None

    def drawn(self, falls: np.ndarray) -> PointMap:
        """The clusters with their falls."""
        centres = np.stack([self.points[self.cluster == part].mean(axis=0) for part in range(len(self))])
        return PointMap(falls, centres, self.points, self.cluster)

    def summed(self, products: np.ndarray) -> PointMap:
        """(N, 3 + F) over the clusters."""
        of_points = products[: len(self.item)].sum(axis=1)
        return self.drawn(np.bincount(self.cluster, weights=of_points, minlength=len(self)))


def parts_of(processor: Processor[Any], raw: Any, item: np.ndarray, is_fine: bool = True) -> Parts | None:
    """The parts of a value; `None` where it has but one, such as a number, a category, an id, a moment, or an empty set.

    Args:
        processor: of its column.
        raw: the canonical value (a text is cut by it).
        item: what the processor makes of it.
        is_fine: squares of a picture overlap.
    """
    modality = processor.spec.modality
    parts: Parts | None = None
    if isinstance(processor, TextProcessor):
        parts = Words(processor, raw)
    elif isinstance(processor, SetProcessor):
        parts = Labels(processor, item)
    elif isinstance(processor, PointsProcessor):
        parts = Clusters(processor, item)
    elif isinstance(processor, AudioProcessor):
        parts = Windows(item, 1, [("sound", list(range(len(item))))], "s", processor.spec.rate_hz)
    elif isinstance(processor, SeriesProcessor):
        rate_hz = processor.spec.rate_hz
        parts = Windows(item, 0, _measured(processor), "s" if rate_hz else "steps", rate_hz)
    elif modality == "vector":
        parts = Windows(item, 0, [("vector", [])], "places")
    elif modality in ("image", "video"):
        parts = Patches(item, is_fine)
    return parts if parts is not None and len(parts) else None


def _measured(processor: SeriesProcessor) -> list[tuple[str, list[int]]]:
    """Channels of a series with their places in an item: their numbers, and where there is one, the channel that says what was measured."""
    count = len(processor.channels_)
    channels = [(name, [at, count + at] if processor.has_gaps_ else [at]) for at, name in enumerate(processor.channels_)]
    names = processor.spec.names
    return [*channels, *([(names[-1], [len(names) - 1])] if processor.is_uneven else [])]


def _span(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def _starts(size: int, side: int, step: int) -> list[int]:
    """Where squares of a side begin, so that all is covered and none stands out."""
    starts = list(range(0, size - side + 1, step))
    return starts if starts[-1] == size - side else [*starts, size - side]
