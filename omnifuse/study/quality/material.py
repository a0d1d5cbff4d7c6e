"""Rows of a dataset as a user would hand them over, and generated values in the same form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.seeds import seed_of
from omnifuse.data.annotate.cells import moment_word
from omnifuse.data.dataset import Dataset
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.study.quality.directions import Direction

CHUNK, NEIGHBOURS = 4096, 5000


def rows_with(dataset: Dataset, columns: Sequence[str]) -> np.ndarray:
    """Places of the rows that have a value in all of the columns."""
    found = []
    for start in range(0, len(dataset), CHUNK):
        part = dataset.take(range(start, min(start + CHUNK, len(dataset))), list(columns)) if columns else {}
        size = min(CHUNK, len(dataset) - start)
        found += [start + row for row in range(size) if all(part[name][row] is not None for name in columns)]
    return np.array(found, dtype=np.int64)


def some_rows(dataset: Dataset, columns: Sequence[str], most: int, *key: object) -> np.ndarray:
    """At most so many rows that have a value in all of the columns, drawn by the key."""
    places = rows_with(dataset, columns)
    return places[np.random.default_rng(seed_of("quality", *key)).permutation(len(places))[:most]]


def raw_values(dataset: Dataset, name: str, rows: Sequence[int] | np.ndarray) -> list[Any]:
    """Values of a column as a user hands them over: files as bytes, moments as words, sets and vectors as lists."""
    values = dataset.take(rows, [name])[name]
    modality = dataset.schema[name].modality
    if processor_class(modality).is_media:
        keys = sorted({key for key in values if key is not None})
        files = dict(zip(keys, dataset.media(keys), strict=True))
        return [None if key is None else files[key] for key in values]
    if modality == "datetime":
        return [None if value is None else moment_word(value) for value in values]
    return [list(value) if isinstance(value, tuple) else value for value in values]


def given_rows(pipeline: Pipeline, dataset: Dataset, direction: Direction, rows: np.ndarray) -> list[dict[str, Any]]:
    """What the model is given of the rows."""
    sources = pipeline.schema.sources
    columns = {sources[name]: raw_values(dataset, name, rows) for name in direction.given}
    return [{source: values[place] for source, values in columns.items()} for place in range(len(rows))]


def nearest_values(pipeline: Pipeline, dataset: Dataset, direction: Direction, rows: np.ndarray) -> list[Any]:
    """For each of these test rows the target of the training row that the model places nearest by what is given (cosine of what fusion
    makes of it): what one would answer who looks up rather than makes. Of more than 5,000 training rows 5,000 are looked at.
    """
    training = dataset.split("train")
    pool = some_rows(training, [*direction.given, direction.target], NEIGHBOURS, "neighbours", direction.name)
    if not len(pool):
        return []
    near, own = (
        _unit(pipeline.embed(given_rows(pipeline, split, direction, places)))
        for split, places in ((training, pool), (dataset.split("test"), rows))
    )
    return raw_values(training, direction.target, pool[(own @ near.T).argmax(axis=1)])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def as_given(value: Any) -> Any:
    """A generated value as a user could hand it over: one that is empty gets a place of zeros, and what is no number is 0."""
    if not isinstance(value, dict):
        return value
    if "sampling_rate" in value:
        wave = np.nan_to_num(np.asarray(value["array"], dtype=np.float32))
        return {**value, "array": wave if wave.size else np.zeros((max(1, len(wave)), 1), np.float32)}
    return {name: np.nan_to_num(channel) if len(channel) else np.zeros(1) for name, channel in value.items()}


def made_array(value: Any) -> np.ndarray:
    """A generated value as an array: a picture (H, W, C), a sound (C, T), a series (T, C), points (N, 3 + F)."""
    if not isinstance(value, dict):
        return np.asarray(value)
    if "sampling_rate" in value:
        return np.asarray(value["array"], dtype=np.float32)
    return np.stack([np.asarray(channel, dtype=np.float64) for channel in value.values()], axis=1)


def real_array(pipeline: Pipeline, target: str, data: Any) -> np.ndarray:
    """A real value as `made_array` gives generated ones."""
    processor = pipeline.processors[target]
    values = processor.encode([data])
    return np.asarray(processor.decode(values.data)[0])


def usual_label(dataset: Dataset, target: str, most: int = 100, least_each: int = 5) -> str | None:
    """A column by whose labels samples can be judged: a category, else words of which there are few; `None` where there is none."""
    others = [name for name in dataset.schema.used if name != target]
    for name in others:
        if dataset.schema[name].modality == "category":
            return name
    training = dataset.split("train")
    for name in others:
        if dataset.schema[name].modality in ("text", "id"):
            values = training.take(range(min(len(training), CHUNK)), [name])[name]
            different = {value for value in values if value is not None}
            if different and len(different) <= most and len(values) >= least_each * len(different):
                return name
    return None


def held_out(dataset: Dataset) -> Dataset:
    """The test split.

    Raises:
        OmnifuseError: it is empty.
    """
    rows = dataset.split("test")
    if not len(rows):
        raise OmnifuseError(f"{dataset.path}: there is no test row; samples are judged beside values that were not trained on")
    return rows
