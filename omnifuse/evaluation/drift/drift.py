"""Are new rows like those a model was trained on, and are its answers?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.seeds import seed_of
from omnifuse.data.dataset import Dataset
from omnifuse.data.loader import RawRows
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.evaluation.drift.columns import Sides, absence, column_tests, corrected, encoder_test, labels, numbers, worth
from omnifuse.evaluation.drift.drawn import DrawnRows, draw_rows, draw_table
from omnifuse.evaluation.drift.words import sentence, summary
from omnifuse.evaluation.statistics import holm
from omnifuse.pipeline.answers import answer_columns
from omnifuse.pipeline.pipeline import Pipeline

LEVEL, VISIBLE = 0.05, 0.1  # of p, and of effects
ENOUGH = 50.0  # n·m/(n + m): a hundred rows of each
SIMPLE = ("number", "datetime", "category", "id", "set")  # are compared as they are; all else by its encoder
SCALARS = 10  # times as many rows, of what costs nothing


def drift(
    pipeline: Pipeline, data: Any, reference: Dataset, *, root: str | Path | None = None, rows: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Compare new rows with those a model was trained on.

        of.drift(pipeline, "january.csv", of.Dataset.open("runs/mine/dataset"))["sentences"]
        # ["1 of 4 columns has drifted from the training data: age.", …]

    Args:
        pipeline: trained.
        data: new rows, with or without targets: a table or the path of one, a list of dicts, or a prepared `Dataset` (all its rows,
            or those of the split that was taken).
        reference: what it was trained on; see `find_drift`.
        root: folder of relative media paths, where `data` are rows.
        rows: drawn of each side at most.
        seed: of draws and permutations.

    Raises:
        OmnifuseError: no row, no column in common, or a value that cannot be read.
    """
    new = data if isinstance(data, Dataset) else draw_table(pipeline, data, rows, seed, root)
    return find_drift(pipeline, new, reference, rows=rows, seed=seed)


def find_drift(pipeline: Pipeline, new: RawRows, reference: Dataset, *, rows: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Compare new rows with those of a dataset, column by column, and what the model answers to both.

    Of every column the share of absent values by χ². Numbers and moments by Kolmogorov and Smirnov, labels by χ²; all else by the
    energy distance of what the model's encoder makes of the values, and by Kolmogorov and Smirnov of readable figures: brightness,
    loudness, mean and deviation of each channel, letters. Answers likewise. ps are corrected in a column by Bonferroni and over columns
    by Holm.

    A column has *drifted* where p ≤ 0.05 and the effect is at least 0.1: a distance of two distribution functions, a Cramér's V, or half
    the deviations that two normal distributions lie apart. Else it is *like the training data* when there are a hundred rows of each
    side (n·m/(n + m) ≥ 50), and of fewer there are *too few rows to tell*.

    Args:
        pipeline: trained.
        new: the rows in question.
        reference: the dataset the model was trained on: its training split is used, and for encoders and answers its validation split
            where that has a hundred rows, since a model knows its training rows; or the split that was taken.
        rows: of each side at most, each of another group where they have groups; of files only different ones. Ten times as many
            of numbers and labels.
        seed: of draws and permutations.

    Returns:
        `rows` (`new`, `reference`), `columns` and `answers` by name (`modality`, `values` of both sides, `tests`, `p`, `effect`,
        `verdict`, `sentence`), `drifted` (names) and `sentences`.

    Raises:
        OmnifuseError: no row on one side, or no column in common.
    """
    trained, judged = _references(reference)
    if not len(new) or not len(trained):
        raise OmnifuseError(
            f"drift: {'there is no new row' if not len(new) else 'the reference holds no row'}; there is nothing to compare"
        )
    sides = draw_rows(new, SCALARS * rows, seed), draw_rows(trained, SCALARS * rows, seed_of(seed, "reference"))
    held = sides[0], sides[1] if judged is trained else draw_rows(judged, SCALARS * rows, seed_of(seed, "judged"))
    there = new.schema.stored if isinstance(new, Dataset) else list(new.take([0]))
    names = [name for name in trained.schema.stored if name in there]
    if not names:
        raise OmnifuseError("drift: the new rows have no column in common with the reference")
    columns = {name: _column(pipeline, name, trained.schema[name].modality, sides, held, rows, seed) for name in names}
    answers = _answers(pipeline, draw_rows(new, rows, seed), draw_rows(judged, rows, seed_of(seed, "judged")))
    _judge([*columns.values(), *answers.values()])
    for found, said in ((columns, "{}"), (answers, "the answer {}")):
        for name, each in found.items():
            each["sentence"] = sentence(said.format(name), each)
    drifted = [name for name, each in columns.items() if each["verdict"] == "drifted"]
    told = [each["sentence"] for each in [*columns.values(), *answers.values()] if each["verdict"] != "like the training data"]
    return {
        "rows": {"new": len(new), "reference": len(trained)},
        "columns": columns,
        "answers": answers,
        "drifted": drifted,
        "sentences": [*summary(columns, answers), *told],
    }


def _references(reference: Dataset) -> tuple[Dataset, Dataset]:
    """What columns are compared with, and what encoders and answers are."""
    if reference.split_name:
        return reference, reference
    trained, validation = reference.split("train"), reference.split("validation")
    return trained, validation if len(validation) >= 2 * ENOUGH else trained


def _column(
    pipeline: Pipeline,
    name: str,
    modality: str,
    drawn: tuple[DrawnRows, DrawnRows],
    held: tuple[DrawnRows, DrawnRows],
    rows: int,
    seed: int,
) -> dict[str, Any]:
    """Compare a column with training rows, and what its encoder makes of it with rows it was not trained on."""
    every, values = _values(name, modality, drawn, rows)
    seed = seed_of(seed, "drift", name)
    tests = [*absence(every), *column_tests(pipeline, name, modality, values, drawn, seed)]
    if modality not in SIMPLE and name in pipeline.model.encoders:
        own = values if held[1] is drawn[1] else _values(name, modality, held, rows)[1]
        tests += encoder_test(pipeline, name, own, held, seed)
    return _told(modality, values.present, tests, every)


def _values(name: str, modality: str, drawn: tuple[DrawnRows, DrawnRows], rows: int) -> tuple[Sides, Sides]:
    """All values of a column, and those that are compared: of files different ones, of what is encoded no more than `rows`."""
    every = Sides(*(side.take(range(len(side)), [name])[name] for side in drawn))
    if modality in SIMPLE:
        return every, every
    is_media = processor_class(modality).is_media
    return every, Sides(*((list(dict.fromkeys(side)) if is_media else side)[:rows] for side in every.present))


def _told(modality: str, values: Sides, tests: list[dict[str, Any]], every: Sides) -> dict[str, Any]:
    absent = any(test["of"] == "absent" and test["new"] == 1 for test in tests)
    told: dict[str, Any] = {"modality": modality, "values": {"new": len(values.new), "reference": len(values.reference)}, "tests": tests}
    return {**told, "p": corrected(tests), "worth": worth(every) if absent else min(worth(values), worth(every))}


def _answers(pipeline: Pipeline, new: DrawnRows, reference: DrawnRows) -> dict[str, dict[str, Any]]:
    """What the model answers on both sides; nothing of targets without one answer."""
    told = [_predicted(pipeline, side) for side in (new, reference)]
    found = {}
    for name in told[0]:
        sides, tells = Sides(told[0][name], told[1][name]), pipeline.head_config(name).tells
        if tells in ("number", "quantiles"):
            tests = numbers("values", *(np.array(side, dtype=np.float64) for side in sides), family="values")
        elif tells == "text":
            tests = numbers("letters", *(np.array([len(str(text)) for text in side], dtype=np.float64) for side in sides), family="values")
        else:
            tests = labels(Sides(*([tuple(value) if isinstance(value, list) else value for value in side] for side in sides)))
        found[name] = _told(pipeline.schema[name].modality, sides, tests, sides)
    return found


def _predicted(pipeline: Pipeline, rows: DrawnRows) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for batch in pipeline.answers(rows):
        for name, prediction in batch.items():
            if (told := answer_columns(pipeline, name, prediction, False, 1).get(name)) is not None:
                found.setdefault(name, []).extend(told)
    return found


def _judge(found: Sequence[dict[str, Any]]) -> None:
    """Correct over all columns and answers, and give the verdicts."""
    tested = [each for each in found if not math.isnan(each["p"])]
    for each, p in zip(tested, holm(np.array([each["p"] for each in tested])), strict=True):
        times = float(p) / each["p"] if each["p"] > 0 else len(tested)
        for test in each["tests"]:
            test["p"] = min(1.0, test["p"] * times)
        each["p"] = float(p)
    for each in found:
        sure = [test["effect"] for test in each["tests"] if test["p"] <= LEVEL]
        enough = each.pop("worth") >= ENOUGH
        each["p"] = None if math.isnan(each["p"]) else each["p"]
        each["effect"] = max((test["effect"] for test in each["tests"]), default=0.0)
        has_drifted = each["p"] is not None and each["p"] <= LEVEL and max(sure, default=0.0) >= VISIBLE
        each["verdict"] = "drifted" if has_drifted else "like the training data" if enough else "too few rows to tell"
