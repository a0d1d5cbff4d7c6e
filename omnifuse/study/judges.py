"""Judges of generated values: small networks of our own, trained on the training split alone, that say what a value is or where it lies."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from omnifuse.core.atomic import read_json, write_json
from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.schema import Column
from omnifuse.data.annotate.rows import Subset
from omnifuse.data.dataset import Dataset
from omnifuse.evaluation.collect import collect
from omnifuse.evaluation.intervals import bootstrap_interval
from omnifuse.evaluation.kinds import kind_of
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.study.quality.material import rows_with
from omnifuse.train.design import training_length
from omnifuse.train.fit import train
from omnifuse.train.recipe import Recipe
from omnifuse.train.run_folder import RUN
from omnifuse.train.tracking import Observer

FOLDER, FILE = "judges", "judge.json"
BATCH, STEPS, MOST_EPOCHS = 64, 1000, 40
SMALL_SIDE = 32
WORDS = ("category", "id", "text")


@dataclass(frozen=True)
class Judge:
    """A network that knows one column, and how good it is itself.

    Attributes:
        column: whose values it looks at.
        other: the label that it tells, or the column that it lays into one space with the values.
        metric: its main metric on the test split: `accuracy` of a label, `recall@10` of an alignment.
        score, interval, rows: that metric there, with its 95 % interval, over so many rows.
        weights: hash of its weights.
        pipeline: the network.
    """

    column: str
    other: str
    metric: str
    score: float
    interval: list[float]
    rows: int
    weights: str
    pipeline: Pipeline = field(repr=False, compare=False)

    def about(self) -> dict[str, Any]:
        """What is told about it, as JSON."""
        return asdict(self, dict_factory=lambda pairs: {name: value for name, value in pairs if name != "pipeline"})

    def labels(self, values: Sequence[Any]) -> list[str]:
        """The label of each value, in the form that a table would hold it in."""
        return [str(row[self.other]) for row in self.pipeline.predict([{self.column: value} for value in values])]

    def features(self, values: Sequence[Any]) -> np.ndarray:
        """(N, D) what it makes of the values before its last layer."""
        return self.pipeline.embed([{self.column: value} for value in values])

    def place(self, values: Sequence[Any]) -> np.ndarray:
        """(N, E) where an alignment lays the values, each of length 1."""
        return self.pipeline.embed([{self.column: value} for value in values], target=self.other)


def label_judge(
    run: str | Path, dataset: Dataset, target: str, label: str, *, side: int | None = None, seed: int = 0, observer: Observer | None = None
) -> Judge:
    """An evaluator: which label a value of the target has.

    It is trained once, on the training split alone, and found again in `RUN/judges`.

    Args:
        run: folder of the run whose samples are judged.
        dataset: the data of that run.
        target: column whose values are judged.
        label: column of labels, or of texts of which there are few.
        side: of the pictures in pixels, where the target is an image.
        seed: of its weights and its order.
        observer: told about its training.

    Raises:
        OmnifuseError: no such column, or one that is no label.
    """
    column = _given(dataset, target, side)
    if label not in dataset.schema.used:
        raise unknown("column", label, dataset.schema.used, where="label")
    modality = dataset.schema[label].modality
    if modality not in WORDS:
        raise OmnifuseError(f"label: {label} is a column of {modality}; choose a category, an id, or a text of few different words")
    options = _own(dataset.schema[label]) if modality == "category" else {}
    columns = {target: column, label: {**options, "modality": "category", "role": "target"}}
    return _judge(Path(run), dataset, target, label, columns, {}, "accuracy", seed, observer)


def alignment_judge(
    run: str | Path, dataset: Dataset, target: str, other: str, *, side: int | None = None, seed: int = 0, observer: Observer | None = None
) -> Judge:
    """An alignment encoder: values of two columns that belong together lie near each other, as in CLIP (Radford et al. 2021,
    arXiv 2103.00020), so it tells whether a sample lies where lies what it was made from.

    Args and errors: as of `label_judge`; `other` may be any column.
    """
    if other not in dataset.schema.used:
        raise unknown("column", other, dataset.schema.used, where="alignment")
    columns = {target: _given(dataset, target, side), other: {**_own(dataset.schema[other]), "role": "target"}}
    heads = {other: {"name": "contrastive", "temperature": 0.2}}
    return _judge(Path(run), dataset, target, other, columns, heads, "recall@10", seed, observer)


def _judge(
    run: Path,
    dataset: Dataset,
    column: str,
    other: str,
    columns: dict[str, Any],
    heads: dict[str, Any],
    metric: str,
    seed: int,
    observer: Observer | None,
) -> Judge:
    """Found, or trained, measured and kept."""
    folder = run / FOLDER / f"{quote(column, safe='')}-{'with-' if heads else ''}{quote(other, safe='')}"
    if (folder / FILE).exists():
        known = read_json(folder / FILE, "judge")
        if known.pop("data") != dataset.path.name:
            raise OmnifuseError(f"{folder}: was trained on other data; remove this folder, and it is trained again")
        if known["weights"] != _hash(folder):
            raise OmnifuseError(f"{folder}: these weights are not those that were measured; remove this folder, and they are made again")
        return Judge(pipeline=Pipeline.load(folder), **known)
    encoders = {name: encoder for name in {column, *heads} if (encoder := _encoder(columns[name]))}
    recipe = Recipe.make(
        {
            "name": f"judge of {column}".replace("/", " "),
            "seed": seed,
            "columns": columns,
            "data": {"source": str(dataset.path)},
            "model": {"dim": 64, "fusion": "concat", "encoders": encoders, "heads": heads},
            "train": {**_length(len(dataset.split("train"))), "monitor": f"{other}.{metric}" if heads else "loss"},
        }
    )
    pipeline = train(recipe, folder, base=dataset.path, prepared=dataset, resume=(folder / RUN).exists(), observer=observer)
    scores = _scores(pipeline, dataset.reading(recipe.columns).split("test"), column, other)
    judge = Judge(column, other, metric, float(scores.mean()), bootstrap_interval(scores, seed), len(scores), _hash(folder), pipeline)
    write_json(folder / FILE, {**judge.about(), "data": dataset.path.name})
    return judge


def _scores(pipeline: Pipeline, test: Dataset, column: str, other: str) -> np.ndarray:
    """(N,) the score of each test row that has both columns.

    Raises:
        OmnifuseError: there is none.
    """
    rows = Subset(test, rows_with(test, [column, other]))
    if not len(rows):
        raise OmnifuseError(f"no test row has a value in both {column} and {other}, so a judge of {column} cannot be measured")
    answers = collect(pipeline, rows, batch_size=256)[other]
    return kind_of(pipeline.head_config(other)).row_scores(answers)


def _given(dataset: Dataset, target: str, side: int | None) -> dict[str, Any]:
    if target not in dataset.schema.used:
        raise unknown("column", target, dataset.schema.used)
    size = {"size": side} if side else {}
    return {**_own(dataset.schema[target]), **size, "role": "input"}


def _own(column: Column) -> dict[str, Any]:
    """The column as a recipe writes it, under its own name: in a dataset it no longer reads another."""
    return {name: value for name, value in column.dump().items() if name != "source"}


def _encoder(column: dict[str, Any]) -> dict[str, Any]:
    """What reads the column where the usual encoder would see too little of it."""
    if column["modality"] == "image" and column.get("size", SMALL_SIDE + 1) <= SMALL_SIDE:
        return {"name": "cnn", "patch": 2, "grid": 4, "dropout": 0.3}
    return {"name": "ngram", "dropout": 0.3} if column["modality"] == "text" else {}


def _length(rows: int) -> dict[str, Any]:
    """A thousand steps of 64 rows, which a small network needs; in smaller parts and over again where the table is small. Validated ten
    times.
    """
    epochs, batch = min(MOST_EPOCHS, STEPS * BATCH / max(rows, 1)), min(BATCH, training_length(rows)[1])
    steps = max(1, round(epochs * rows / batch))
    return {"epochs": epochs, "batch_size": batch, "validate_steps": max(1, steps // 10), "patience": 4}


def _hash(folder: Path) -> str:
    try:
        with open(folder / "model.safetensors", "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        raise OmnifuseError(f"{folder}: its weights are missing; remove this folder, and they are made again") from None
