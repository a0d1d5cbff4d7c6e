"""Judging a trained pipeline on data it has not seen."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from omnifuse.core.atomic import read_json, write_json
from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig, SplitConfig
from omnifuse.data.dataset import GROUP, Dataset
from omnifuse.data.prepare import prepare
from omnifuse.data.table import read_table
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.calibration.calibration import calibrate, judge_calibration, patterns_and_groups
from omnifuse.evaluation.collect import collect
from omnifuse.evaluation.config import EvaluateConfig
from omnifuse.evaluation.drift.drift import find_drift
from omnifuse.evaluation.groups import by_group
from omnifuse.evaluation.intervals import clusters_of, metric_intervals
from omnifuse.evaluation.kinds import kind_of
from omnifuse.evaluation.robustness.curves import robustness
from omnifuse.evaluation.shuffle import shuffle_test
from omnifuse.evaluation.slices.slices import find_slices
from omnifuse.evaluation.subsets import subset_test, subsets_for
from omnifuse.page.words import counted, listed
from omnifuse.pipeline.calibration import Calibration
from omnifuse.pipeline.pipeline import Pipeline

TESTS = ("shuffle", "subsets", "calibration", "slices", "groups", "robustness")
TELLING = (*TESTS, "against")  # details that say in sentences what they found
TABLES = ("classes", "confusion")


@dataclass
class Evaluation:
    """What is known about a model on some rows.

    Attributes:
        split: name of the rows.
        rows: how many.
        metrics: by target and metric.
        details: by fixed keys and target, what is more than a number: `intervals`, `floor`, `shuffle`, `subsets`, `calibration`, `slices`,
            `groups`, `robustness`, `classes`, `confusion`; of runs that were compared `against` and `seeds`; and of new rows `drift`.
        answers: by target, every answer (not written to disk).
        calibration: what the validation split told, where the model was calibrated.
        validation: its metrics there.
        lacking: columns that no row has.
    """

    split: str
    rows: int
    metrics: dict[str, dict[str, float]]
    details: dict[str, dict[str, Any]]
    answers: dict[str, Answers] = field(repr=False, default_factory=dict)
    calibration: Calibration | None = field(repr=False, default=None)
    validation: dict[str, dict[str, float]] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """What the tests say, in plain words."""
        told = [line for key in TELLING for test in self.details.get(key, {}).values() for line in test.get("sentences", [])]
        lacking = [f"No row has a value in {listed(self.lacking)}."] if self.lacking else []
        return [*lacking, *told, *self.details.get("drift", {}).get("sentences", [])]

    def save(self, run: Path) -> None:
        """Write `metrics.json` (other splits in it are kept), `evaluation.json`, or `evaluation-NAME.json` of other rows than test, and of
        a model that was calibrated `calibration.json`.
        """
        path = run / "metrics.json"
        known = read_json(path, "metrics") if path.exists() else {}
        found = {self.split: self.metrics, **({"validation": self.validation} if self.validation else {})}
        write_json(path, {**(known if isinstance(known, dict) else {}), **found})
        write_json(run / self.file_name("evaluation", "json"), {"split": self.split, "rows": self.rows, **self.details})
        if self.calibration is not None and self.split == "test":
            self.calibration.save(run)

    def file_name(self, kind: str, ending: str) -> str:
        """Under which name a file about it lies in a run: `KIND.ENDING` of the test split, else with the name of the rows."""
        return f"{kind}.{ending}" if self.split == "test" else f"{kind}-{self.split.replace('/', '%2F')}.{ending}"


def evaluate(
    pipeline: Pipeline,
    data: Any,
    *,
    split: str = "test",
    config: EvaluateConfig | None = None,
    root: str | Path | None = None,
    seed: int = 0,
    absent: Sequence[str] = (),
    reference: Dataset | None = None,
) -> Evaluation:
    """Judge a pipeline.

    Args:
        pipeline: trained.
        data: a prepared `Dataset` (its split `split` is used, or all rows of a split that was taken already), or
            rows: the path of a table, a list of dicts, a pandas or PyArrow table. Of the test split the validation split beside it tells
            how sure the model may be; of other rows what an earlier evaluation has written into the run.
        split: which split, and the name of the result.
        config: the `evaluate` section of a recipe.
        root: folder of relative media paths, where `data` are rows.
        seed: of the shuffle test.
        absent: input columns that are taken away from every row first; the result is then named `test without COLUMN`.
        reference: the training split, where it is to be told how far these rows have drifted from it.

    Raises:
        OmnifuseError: no row, no row with a known target, no such input column, or a model whose answers are no numbers.
    """
    config = config or EvaluateConfig()
    for name in absent:
        if name not in pipeline.schema.inputs:
            raise unknown("input column", name, pipeline.schema.inputs, where="absent")
    if not isinstance(data, Dataset):
        with tempfile.TemporaryDirectory() as folder:
            return _judge(pipeline, as_dataset(data, pipeline.schema, Path(folder), root), split, config, seed, absent, reference)
    return _judge(pipeline, data if data.split_name else data.split(split), split, config, seed, absent, reference)


def as_dataset(data: Any, schema: Schema, store: Path, root: str | Path | None = None) -> Dataset:
    """Prepare rows that are all to be evaluated, in a folder of their own.

    Inputs that the table does not have are absent, as in `predict`; columns of role `meta` are left out then.

    Raises:
        OmnifuseError: a target that the table does not have, or what `prepare` raises.
    """
    there = read_table(data).column_names
    schema = Schema([schema[name] for name in schema if name not in schema.meta or schema[name].source in there])
    everything = DataConfig(source="", split=SplitConfig(validation=0, test=0), bad_values="error")
    lacking = [schema[name].source for name in schema.inputs if name not in schema.targets]
    dataset = prepare(data, schema, everything, store=store, root=Path(root) if root else None, lacking=lacking)
    return dataset.split("train")


def _judge(
    pipeline: Pipeline,
    rows: Dataset,
    split: str,
    config: EvaluateConfig,
    seed: int,
    absent: Sequence[str],
    reference: Dataset | None,
) -> Evaluation:
    if len(rows) == 0:
        raise OmnifuseError(f"the {split} split holds no row; there is nothing to evaluate")
    asked, subsets = subsets_for(pipeline, config.subset_rows, absent, seed)
    answers = collect(
        pipeline,
        rows,
        batch_size=config.batch_size,
        shuffle_rows=config.shuffle_rows if config.shuffle and pipeline.schema.inputs else 0,
        seed=seed,
        absent=absent,
        subsets=subsets if config.subsets and len(asked.columns) > 1 else None,
    )
    answers = {target: given for target, given in answers.items() if given.truth}
    if not answers:
        raise OmnifuseError(f"no row of the {split} split has a value in the target {' or '.join(pipeline.schema.targets)}")
    for target, given in answers.items():
        _check_finite(target, given)
    named = f"{split} without {', '.join(dict.fromkeys(absent))}" if absent else split
    found = Evaluation(named, len(rows), {}, {key: {} for key in ("intervals", "floor", *TESTS, *TABLES)}, answers)
    found.lacking = [name for name in pipeline.schema.used if name not in absent and rows.absent(name) == len(rows)]
    _calibrate(found, pipeline, rows, config, seed)
    patterns, shared = patterns_and_groups(pipeline, rows, answers, absent) if config.calibration else ({}, {})
    for target, given in answers.items():
        kind, groups = kind_of(pipeline.head_config(target)), groups_of(rows, given)
        clusters, details = clusters_of(groups, len(given.truth)), found.details
        found.metrics[target] = kind.metrics(given)
        details["floor"][target] = kind.floor(given)
        details["intervals"][target] = metric_intervals(kind, given, clusters, seed)
        told = {
            "shuffle": shuffle_test(target, kind, given, clusters) if given.shuffled else {},
            "subsets": subset_test(target, kind, given, asked, subsets.dealt, clusters) if given.subsets else {},
            "calibration": judge_calibration(found.calibration, target, kind, given, patterns[target], shared[target], seed)
            if target in patterns
            else {},
            "slices": find_slices(target, rows, given, kind, groups=groups) if config.slices else {},
            "groups": by_group(target, rows, given, kind, config.by, groups=groups, seed=seed) if config.by else {},
            **kind.tables(given),
        }
        for key, each in told.items():
            if each:
                details[key][target] = each
    if config.robustness:
        held = robustness(pipeline, rows, batch_size=config.batch_size, rows=config.robustness_rows, seed=seed)
        found.details["robustness"] = held
    if reference is not None:
        found.details["drift"] = find_drift(pipeline, rows, reference, seed=seed)
    return found


def _calibrate(found: Evaluation, pipeline: Pipeline, rows: Dataset, config: EvaluateConfig, seed: int) -> None:
    """Judge the validation split beside the test split, and learn from it how sure the model may be."""
    found.calibration = pipeline.calibration
    if rows.split_name != "test" or found.split != "test":
        return
    held_out = rows.split("validation")
    answers = collect(pipeline, held_out, batch_size=config.batch_size) if len(held_out) else {}
    for target, given in answers.items():
        if given.truth:
            found.validation[target] = target_metrics(pipeline, target, given)
    if config.calibration and answers:
        found.calibration = calibrate(pipeline, answers, *patterns_and_groups(pipeline, held_out, answers), seed=seed)


def _check_finite(target: str, given: Answers) -> None:
    """Raise where the model tells what is no number."""
    broken = int((~np.isfinite(given.scores)).any(axis=tuple(range(1, given.scores.ndim))).sum())
    if broken:
        raise OmnifuseError(
            f"the model answers {target} with what is no number in {broken:,} of {counted(len(given.scores), 'row')};"
            " its weights are damaged, or its training went astray: train it again"
        )


def groups_of(rows: Dataset, answers: Answers) -> list[str | None]:
    """The group that each answered row was kept together with when the data were split; `None` for rows that stand alone."""
    return rows.take(answers.rows, [GROUP])[GROUP]


def target_metrics(pipeline: Pipeline, target: str, answers: Answers) -> dict[str, float]:
    """The metrics of one target."""
    return kind_of(pipeline.head_config(target)).metrics(answers)
