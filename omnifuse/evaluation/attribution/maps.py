"""Maps of one value: how much the answer rests on each of its parts.

The numbers have the unit of the support: positive where the part speaks for the answer, negative where it speaks against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from omnifuse.page.words import figure, shorten

LONGEST_PIECE = 40


@dataclass(frozen=True)
class PatchMap:
    """Of a picture or a film.

    Attributes:
        values: (h, w), of a film (runs, h, w).
        patch: height and width of what one number stands for, in pixels of the picture as the model sees it.
        size: height and width of that picture in pixels.
        frames: of a film, at which frame each run begins, counted from 0.
    """

    values: np.ndarray
    patch: tuple[int, int]
    size: tuple[int, int]
    frames: tuple[int, ...] = ()

    @property
    def numbers(self) -> np.ndarray:
        """All of them."""
        return self.values

    def strongest(self, sign: int = 1) -> str:
        """Where the largest number is, in words; the lowest with a sign of −1."""
        place = np.unravel_index(int(np.argmax(sign * self.values)), self.values.shape)
        row, column = (int(at) for at in place[-2:])
        words = [_third(row, self.values.shape[-2], ("at the top", "", "at the bottom"))]
        words.append(_third(column, self.values.shape[-1], ("on the left", "", "on the right")))
        where = " ".join(word for word in words if word) or "in the middle"
        return f"{where}, from frame {self.frames[int(place[0])] + 1} on" if self.frames else where

    def as_json(self) -> dict[str, Any]:
        """The map as JSON."""
        return {
            "kind": "patches",
            "values": self.values.tolist(),
            "patch_px": list(self.patch),
            "size_px": list(self.size),
            "frames": list(self.frames),
        }


@dataclass(frozen=True)
class PieceMap:
    """Of a text or a set.

    Attributes:
        pieces: (piece of the text, value), in order; joined they are what the model read of it. Of a set its labels.
        rest: what stands behind the last piece and was not read.
        between: what stands between two pieces.
    """

    pieces: tuple[tuple[str, float], ...]
    rest: str = ""
    between: str = ""

    @property
    def numbers(self) -> np.ndarray:
        """All of them, (pieces,)."""
        return np.array([value for _, value in self.pieces])

    def strongest(self, sign: int = 1) -> str:
        """The piece with the largest number."""
        piece = self.pieces[int(np.argmax(sign * self.numbers))][0]
        return f"“{shorten(piece, LONGEST_PIECE)}”"

    def as_json(self) -> dict[str, Any]:
        """The map as JSON."""
        return {"kind": "pieces", "pieces": [list(piece) for piece in self.pieces], "rest": self.rest}


@dataclass(frozen=True)
class WindowMap:
    """Of a sound, a series or a vector.

    Attributes:
        values: (C, W) by channel and window.
        edges: (W + 1,) where windows begin and end.
        unit: of the edges: `s`, `steps`, or `places` of a vector.
        channels: C names; neighbours that were taken away together have one, such as `x … z`.
    """

    values: np.ndarray
    edges: np.ndarray
    unit: str
    channels: tuple[str, ...]

    @property
    def numbers(self) -> np.ndarray:
        """All of them."""
        return self.values

    def strongest(self, sign: int = 1) -> str:
        """The channel and the window with the largest number."""
        channel, window = np.unravel_index(int(np.argmax(sign * self.values)), self.values.shape)
        first, last = self.edges[window], self.edges[window + 1]
        if self.unit == "s":
            where = f"{first:.2f}–{last:.2f} s"
        else:
            where = f"{self.unit} {first + 1:g}–{last:g}" if last - first > 1 else f"{self.unit.removesuffix('s')} {last:g}"
        return f"{self.channels[channel]}, {where}" if len(self.channels) > 1 else where

    def as_json(self) -> dict[str, Any]:
        """The map as JSON."""
        return {
            "kind": "windows",
            "values": self.values.tolist(),
            "edges": self.edges.tolist(),
            "unit": self.unit,
            "channels": list(self.channels),
        }


@dataclass(frozen=True)
class PointMap:
    """Of a cloud of points, in clusters.

    Attributes:
        values: (K,) by cluster.
        centres: (K, 3) x, y, z of the clusters, in the user's unit.
        points: (N, 3) all points.
        cluster: (N,) which one each point belongs to.
    """

    values: np.ndarray
    centres: np.ndarray
    points: np.ndarray
    cluster: np.ndarray

    @property
    def numbers(self) -> np.ndarray:
        """All of them, (K,)."""
        return self.values

    def strongest(self, sign: int = 1) -> str:
        """Where the cluster with the largest number lies."""
        x, y, z = self.centres[int(np.argmax(sign * self.values))]
        return f"around ({figure(x)}, {figure(y)}, {figure(z)})"

    def as_json(self) -> dict[str, Any]:
        """The map as JSON; of the points how many each cluster has."""
        counts = np.bincount(self.cluster, minlength=len(self.values))
        return {"kind": "clusters", "values": self.values.tolist(), "centres": self.centres.tolist(), "points": counts.tolist()}


Map: TypeAlias = PatchMap | PieceMap | WindowMap | PointMap


def _third(place: int, total: int, names: tuple[str, str, str]) -> str:
    return names[min(2, 3 * place // total)] if total > 2 else ""
