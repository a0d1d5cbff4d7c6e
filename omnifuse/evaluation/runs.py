"""Run folders that are judged: one alone, several seeds of one recipe, and one against another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omnifuse.core.atomic import read_json
from omnifuse.core.errors import OmnifuseError
from omnifuse.data.dataset import Dataset
from omnifuse.data.scan import row_ids
from omnifuse.evaluation.against import compare_answers, on_common_rows, seed_figures
from omnifuse.evaluation.config import EvaluateConfig
from omnifuse.evaluation.evaluation import Evaluation, as_dataset, evaluate, groups_of
from omnifuse.evaluation.intervals import clusters_of
from omnifuse.evaluation.kinds import kind_of
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.kinds.label import Label
from omnifuse.evaluation.kinds.number import Number
from omnifuse.evaluation.robustness.summaries import effective, effective_sentences
from omnifuse.pipeline.pipeline import Pipeline


@dataclass(frozen=True)
class JudgedRun:
    """A run with what was found: its pipeline, the rows it was judged on, and the evaluation."""

    run: Path
    pipeline: Pipeline
    rows: Dataset
    evaluation: Evaluation
    config: EvaluateConfig

    @property
    def name(self) -> str:
        """Its folder."""
        return self.run.resolve().name


def judge_run(
    run: Path,
    kept: ExitStack,
    data: Path | None = None,
    split: str = "test",
    root: Path | None = None,
    absent: Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
) -> JudgedRun:
    """Judge the model of a run on a split of the data it was trained with, or on a table.

    Args:
        run: its folder.
        kept: holds what is made of a table for as long as it is open.
        data: a table, instead of the run's own split; it is also compared with the training rows, where these are still there.
        split: of the run's dataset.
        root: folder of relative media paths in the table.
        absent: input columns that are taken away.
        changes: options in place of those of the `evaluate` section that the run was trained with.

    Raises:
        OmnifuseError: no run, no dataset of it and no table, or what `evaluate` raises.
    """
    pipeline = Pipeline.load(run)
    about = read_json(run / "config.json", "trained run")
    config = EvaluateConfig.parse({**about.get("recipe", {}).get("evaluate", {}), **(changes or {})}, "evaluate")
    if data is None:
        if "dataset" not in about:
            raise OmnifuseError(f"{run}: does not say which data it was trained on; give --data TABLE")
        rows = Dataset.open(about["dataset"]).split(split)
        return JudgedRun(run, pipeline, rows, evaluate(pipeline, rows, split=split, config=config, absent=absent), config)
    known = root or (Path(about["root"]) if about.get("root") else None)
    rows = as_dataset(data, pipeline.schema, Path(kept.enter_context(TemporaryDirectory())), known)
    if "by" not in (changes or {}):  # what the recipe asks of its own rows, a table need not have
        config = config.model_copy(update={"by": [name for name in config.by if name in rows.schema.stored]})
    reference = _training_rows(about)
    found = evaluate(pipeline, rows, split=data.name, config=config, absent=absent, reference=reference)  # with its ending, unlike a split
    return JudgedRun(run, pipeline, rows, found, config)


def compare_runs(ours: Sequence[JudgedRun], theirs: Sequence[JudgedRun]) -> dict[str, dict[str, Any]]:
    """By target that all runs answer, one model against another (`compare_answers`), each with one seed or several, on the rows that all
    of them were judged on. Where damage was measured in the first of both, also how much less it loses to it (`effective`).

    Raises:
        OmnifuseError: no target or no row in common, or other values in the same rows.
    """
    first, every = ours[0], [*ours, *theirs]
    targets = [name for name in first.evaluation.answers if all(name in other.evaluation.answers for other in every)]
    if not targets:
        raise OmnifuseError(f"against: {theirs[0].run} answers none of the targets of {first.run} ({', '.join(first.evaluation.answers)})")
    ids = _shared_ids(every)
    found = {}
    for target in targets:
        kind = _shared_kind(target, every)
        given = [each.evaluation.answers[target] for each in every]
        common, places = on_common_rows(given, ids, target)
        clusters = clusters_of(groups_of(first.rows, given[0].at(places)), len(places))
        names = (_told(ours), _told(theirs))
        told = compare_answers(target, kind, common[: len(ours)], common[len(ours) :], clusters, names)
        found[target] = {"names": list(names), **told, **_held(target, first, theirs[0], told["sentences"])}
    return found


def over_runs(runs: Sequence[JudgedRun]) -> dict[str, dict[str, Any]]:
    """By target and metric, the figures of several seeds with Student's interval (`seed_figures`).

    Raises:
        OmnifuseError: the runs have no target in common.
    """
    targets = [name for name in runs[0].evaluation.metrics if all(name in each.evaluation.metrics for each in runs)]
    if not targets:
        raise OmnifuseError(f"{' and '.join(str(each.run) for each in runs)} have no target in common; name several seeds of one recipe")
    return {target: seed_figures([each.evaluation.metrics[target] for each in runs]) for target in targets}


def _shared_kind(target: str, runs: Sequence[JudgedRun]) -> Kind:
    """How all of them can judge a target: as each does, or as the plain number or label that it is in all."""
    kinds = [kind_of(each.pipeline.head_config(target)) for each in runs]
    if all(type(kind) is type(kinds[0]) and vars(kind) == vars(kinds[0]) for kind in kinds):
        return kinds[0]
    for plain in (Number(), Label()):
        if all(isinstance(kind, type(plain)) for kind in kinds):
            return plain
    tells = sorted({each.pipeline.head_config(target).tells for each in runs})
    raise OmnifuseError(f"against: {target} is told as {' and '.join(tells)} in these runs, which cannot be compared")


def _shared_ids(runs: Sequence[JudgedRun]) -> list[list[str]]:
    """For each run a name of every row that a row has in all runs: its id, or one made in the same way of the columns that all models know;
    rows that are equal are numbered.
    """
    columns = [{name: each.pipeline.schema[name].modality for name in each.pipeline.schema.used} for each in runs]
    shared = [name for name in columns[0] if all(known.get(name) == columns[0][name] for known in columns)]
    is_same = all(known == columns[0] for known in columns)
    told = [each.rows.ids() if is_same else row_ids(each.rows.take(range(len(each.rows)), shared), shared) for each in runs]
    return [_numbered(ids) for ids in told]


def _numbered(ids: Sequence[str]) -> list[str]:
    met: Counter[str] = Counter()
    numbered = []
    for each in ids:
        met[each] += 1
        numbered.append(f"{each} {met[each]}")
    return numbered


def _held(target: str, ours: JudgedRun, theirs: JudgedRun, sentences: list[str]) -> dict[str, Any]:
    """What is lost to damage beside the other run."""
    curves, others = (each.evaluation.details["robustness"].get(target) for each in (ours, theirs))
    if not (curves and others):
        return {}
    found = effective(curves, others)
    said = effective_sentences(target, curves["metric"], found, theirs.name)
    return {"robustness": found, "sentences": [*sentences, *said]}


def _told(runs: Sequence[JudgedRun]) -> str:
    return runs[0].name if len(runs) == 1 else f"{runs[0].name} and {len(runs) - 1} more"


def _training_rows(about: Mapping[str, Any]) -> Dataset | None:
    """The split that a run was trained on, where it is still there."""
    try:
        return Dataset.open(about["dataset"]).split("train") if "dataset" in about else None
    except OmnifuseError:
        return None
