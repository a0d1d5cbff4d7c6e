"""Point clouds: centred, scaled, and thinned to at most so many points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import torch

from omnifuse.core.errors import OmnifuseError, nearest
from omnifuse.core.seeds import seed_of
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.decode.points import PLACES, decode_points, encode_points, points_of
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import PointsConfig
from omnifuse.data.modalities.moments import Moments, standardise
from omnifuse.data.modalities.processor import Facts, MediaProcessor, padded


class PointsProcessor(MediaProcessor[PointsConfig]):
    """A cloud of points ↔ (N, 3 + F) float32: x, y, z about the centre of the training split, over one scale for all three,
    and F standardised features.

    Of more than `max_points` some are chosen by a draw that depends on the content alone, in the order of the file.
    A batch is padded to its largest cloud, with a mask (B, N). Absent: no path; zeros with an all-false mask.
    """

    def __init__(self, config: PointsConfig) -> None:
        """Start without features; `fit` learns them."""
        super().__init__(config)
        self.features_: list[str] = list(config.features or ())
        self.mean_, self.std_ = np.zeros(3 + len(self.features_)), np.ones(3 + len(self.features_))

    def inspect(self, data: bytes) -> Facts:
        """How many points, and the box they lie in; a cloud without one of the `features` is refused."""
        values, names = decode_points(data, self.config.columns)
        self._places(names, self.config.features or ())
        low, high = values[:, :3].min(axis=0), values[:, :3].max(axis=0)
        box = {f"{axis}_{end}": float(side[place]) for place, axis in enumerate(PLACES) for end, side in (("min", low), ("max", high))}
        return Facts({"points": len(values), **box})

    def serialise(self, value: Any) -> bytes:
        """An array (N, 3) or (N, as many as `columns`), or arrays by name, as a binary `.pcd`."""
        values, names = points_of(value, self.config.columns)
        return encode_points(names, values)

    def fit(self, raws: Iterable[Any]) -> None:
        """Learn which features all files share, the centre and scale of the points, and mean and deviation of each feature."""
        learned: dict[str, Moments] = {}
        shared: list[str] | None = None
        for raw in raws:
            values, names = decode_points(raw, self.config.columns)
            shared = [name for name in (names[3:] if shared is None else shared) if name in names]
            for name, column in zip(names, values.T, strict=True):
                learned.setdefault(name, Moments()).add(column)
        if shared is None:
            return
        for name in self.config.features or ():
            if name not in learned:
                raise OmnifuseError(f'features: no training file has a feature "{name}"; {nearest(name, learned)}')
        self.features_ = list(self.config.features) if self.config.features is not None else shared
        names = [*PLACES, *self.features_]
        scale = float(np.sqrt(np.mean([learned[axis].squares / learned[axis].count for axis in PLACES])))
        self.mean_ = np.array([learned[name].mean for name in names])
        self.std_ = np.array([scale if scale > 1e-12 else 1.0] * 3 + [learned[name].std for name in self.features_])

    def item(self, raw: Any) -> np.ndarray:
        """(N, 3 + F) float32."""
        values, names = decode_points(raw, self.config.columns)
        values = values[:, [0, 1, 2, *self._places(names, self.features_)]]
        if len(values) > self.config.max_points:
            draw = np.random.default_rng(seed_of("points", blake2b(raw, digest_size=16).hexdigest()))
            chosen = draw.choice(len(values), self.config.max_points, replace=False)
            values = values[np.sort(chosen)]
        return standardise(values, self.mean_, self.std_)

    def collate(self, items: Sequence[np.ndarray | None]) -> Values:
        """(B, N, 3 + F) float32 with a mask (B, N)."""
        return padded(items, (len(self.mean_),), np.float32)

    def decode(self, data: torch.Tensor) -> list[np.ndarray]:
        """(B, N, 3 + F) → (N, 3 + F) arrays in the user's units, with the padding."""
        return list(data.double().cpu().numpy() * self.std_ + self.mean_)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of what is decoded: x, y, z and the features."""
        return (*PLACES, *self.features_)

    @property
    def spec(self) -> ValueSpec:
        """Shape (None, 3 + F); `names` are x, y, z and the features."""
        names = (*PLACES, *self.features_)
        return ValueSpec(
            modality="points", shape=(None, len(names)), max_length=self.config.max_points, names=names, optional=self.optional_
        )

    def state(self) -> dict[str, Any]:
        """Features, centre and scale."""
        return {"features": self.features_, "mean": self.mean_.tolist(), "std": self.std_.tolist(), "optional": self.optional_}

    def load_state(self, state: dict[str, Any]) -> None:
        """What `state` returned."""
        self.features_, self.optional_ = state["features"], state["optional"]
        self.mean_, self.std_ = np.array(state["mean"]), np.array(state["std"])

    def _places(self, names: Sequence[str], features: Sequence[str]) -> list[int]:
        for feature in features:
            if feature not in names:
                found = ", ".join(names[3:]) or "none"
                raise BadValue(f'the cloud has no feature "{feature}" (it has {found}); `features` names those to use')
        return [names.index(feature) for feature in features]
