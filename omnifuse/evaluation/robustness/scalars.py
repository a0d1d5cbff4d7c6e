"""Damaged numbers, vectors, moments and labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.modalities.config import NumberConfig
from omnifuse.data.modalities.datetime import DatetimeProcessor
from omnifuse.data.modalities.instants import EARLIEST, LATEST
from omnifuse.data.modalities.number import LARGEST, NumberProcessor
from omnifuse.data.modalities.vector import VectorProcessor
from omnifuse.evaluation.robustness.corruptions import Known

SHORTEST_US = 1.0


def noise(raw: Any, level: float, draw: np.random.Generator, known: Known) -> Any:
    """f⁻¹(f(x) + level·σ·z), z ~ N(0, 1), σ the deviation of f(x) in the training split, f the scale that the column is learned on:
    the signed logarithm where it has `log`, else x itself. It stays between the column's `minimum` and `maximum`.

    Of a vector every number; where it is not standardised, with the deviations among the values of other rows.
    """
    processor = known.processor
    if isinstance(processor, NumberProcessor):
        return _noisy_number(raw, level * processor.std_ * float(draw.standard_normal()), processor.config)
    if isinstance(processor, DatetimeProcessor):
        moved = raw + level * max(processor.std_, SHORTEST_US) * float(draw.standard_normal())
        return int(min(max(round(moved), EARLIEST), LATEST))
    if isinstance(processor, VectorProcessor):
        given = np.array(raw, dtype=np.float64)
        scale = processor.std_ if processor.config.standardise else _spread(known.others)
        moved = given + level * scale * draw.standard_normal(given.shape)
        return tuple(moved.clip(-LARGEST, LARGEST).tolist())
    raise OmnifuseError("corruption noise: it is measured in deviations of the column; give its fitted processor in `known`")


def replacement(raw: str, level: float, draw: np.random.Generator, known: Known) -> str:
    """With the probability `level` the label of another row, one that differs; frequent labels come often."""
    strength, place = draw.random(2)
    return _other(raw, _pool(known), place) if strength < level else raw


def replaced_labels(raw: tuple[str, ...], level: float, draw: np.random.Generator, known: Known) -> tuple[str, ...]:
    """With the probability `level` each label of the set becomes another one that rows have; an empty set stays so."""
    pool = [label for labels in _pool(known) for label in labels]
    chances = draw.random((len(raw), 2)).tolist()
    return tuple(
        sorted({_other(label, pool, place) if strength < level else label for label, (strength, place) in zip(raw, chances, strict=True)})
    )


def _noisy_number(raw: float, step: float, config: NumberConfig) -> float:
    if config.log:
        moved = math.copysign(math.log1p(abs(raw)), raw) + step
        number = math.copysign(math.expm1(min(abs(moved), math.log1p(LARGEST))), moved)
    else:
        number = raw + step
    low = -LARGEST if config.minimum is None else config.minimum
    high = LARGEST if config.maximum is None else config.maximum
    return min(max(number, low), high)


def _spread(others: Sequence[Any]) -> np.ndarray:
    """Deviations (size,) among vectors."""
    if not others:
        raise OmnifuseError("corruption noise: this vector is not standardised; give values of other rows in `known`")
    deviations = np.array([other for other in others if other is not None], dtype=np.float64).std(axis=0)
    return np.where(deviations > 0, deviations, 1.0)


def _pool(known: Known) -> list[Any]:
    pool = [other for other in known.others if other is not None]
    if not pool:
        raise OmnifuseError("corruption replacement: a value is exchanged for that of another row; give values in `known`")
    return pool


def _other(raw: Any, pool: Sequence[Any], place: float) -> Any:
    """The first of the pool from a place on, around its end, that differs; the value itself where all are alike."""
    start = int(place * len(pool))
    return next((other for step in range(len(pool)) if (other := pool[(start + step) % len(pool)]) != raw), raw)
