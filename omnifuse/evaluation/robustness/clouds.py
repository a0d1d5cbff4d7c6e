"""Damaged clouds of points, written as binary `.pcd`; features stay as they are.

Shapes: N points, F features.
"""

from __future__ import annotations

import numpy as np

from omnifuse.data.decode import decode_points, encode_points
from omnifuse.data.modalities.config import PointsConfig
from omnifuse.data.modalities.points import PointsProcessor
from omnifuse.evaluation.robustness.corruptions import Known


def noise(raw: bytes, level: float, draw: np.random.Generator, known: Known) -> bytes:
    """Every point moves by level·σ·ε in x, y and z, ε ~ N(0, 1), σ the scale of the training points (alone: of the cloud)."""
    values, names = _read(raw, known)
    places = values[:, :3].astype(np.float64)
    scale = float(known.processor.std_[0]) if isinstance(known.processor, PointsProcessor) else float(places.std(axis=0).mean()) or 1.0
    values[:, :3] = places + level * scale * draw.standard_normal(places.shape)
    return encode_points(names, values)


def dropped_points(raw: bytes, level: float, draw: np.random.Generator, known: Known) -> bytes:
    """level·N points are lost; one always stays."""
    values, names = _read(raw, known)
    order = draw.permutation(len(values))
    kept = np.sort(order[: max(1, round((1 - level) * len(values)))])
    return encode_points(names, values[kept])


def _read(raw: bytes, known: Known) -> tuple[np.ndarray, tuple[str, ...]]:
    config = known.processor.config if known.processor is not None else PointsConfig()
    assert isinstance(config, PointsConfig), "points have the options of points"
    values, names = decode_points(raw, config.columns)
    return np.array(values), names
