"""`omnifuse evaluate`: how good is a run, and does it use every column?"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omnifuse.core.errors import OmnifuseError

if TYPE_CHECKING:
    from omnifuse.evaluation.evaluation import Evaluation
    from omnifuse.evaluation.runs import JudgedRun

ANSWERS_ALONE = {"shuffle": False, "subsets": False, "slices": False, "calibration": False, "by": []}  # of a run that is compared with


def evaluate(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folder of a trained run, or of several seeds of one recipe.")],
    data: Annotated[Path | None, typer.Option("--data", help="A table to evaluate on, in place of the run's own test split.")] = None,
    root: Annotated[Path | None, typer.Option("--root", help="Folder of relative media paths in --data.")] = None,
    split: Annotated[str, typer.Option("--split", help="Which split of the run's dataset.")] = "test",
    against: Annotated[
        list[Path], typer.Option("--against", metavar="RUN", help="Another run to compare with on the same rows; repeated, its seeds.")
    ] = [],  # noqa: B006 (typer copies it)
    by: Annotated[
        list[str], typer.Option("--by", metavar="COLUMN", help="Tell the metrics by the values of this column; may be repeated.")
    ] = [],  # noqa: B006
    robustness: Annotated[bool, typer.Option("--robustness", help="Damage the columns more and more, and see how it holds.")] = False,
    absent: Annotated[
        list[str], typer.Option("--absent", metavar="COLUMN", help="Take this column away from every row; may be repeated.")
    ] = [],  # noqa: B006
) -> None:
    """Measure a run on its test split: metrics.json, evaluation.json, report.html and report.md in the run."""
    from omnifuse.cli.progress import console
    from omnifuse.evaluation.runs import compare_runs, judge_run, over_runs

    if data is None and root is not None:
        raise OmnifuseError("--root is the folder of media in --data TABLE; the dataset of a run holds its own")
    if data is not None and split != "test":
        raise OmnifuseError("give --data TABLE or a --split of the run's own dataset, not both")
    changes: dict[str, Any] = {**({"by": by} if by else {}), **({"robustness": True} if robustness else {})}
    with ExitStack() as kept:
        ours = [judge_run(run, kept, data, split, root, absent, changes) for run in runs]
        theirs = [judge_run(run, kept, data, split, root, absent, {**changes, **ANSWERS_ALONE}) for run in against]
        first = ours[0].evaluation
        if len(ours) > 1:
            first.details["seeds"] = over_runs(ours)
        if theirs:
            first.details["against"] = compare_runs(ours, theirs)
        reports = [write(each) for each in ours]
    for each, report in zip(ours, reports, strict=True):
        if len(ours) > 1:
            console.rule(str(each.run))
        console.print(summary(each.evaluation), markup=False)
        console.print(f"Report: {report}", markup=False)
    if len(ours) > 1:
        console.rule(f"{len(ours)} runs")
        console.print(seeds_table(first.details["seeds"]), markup=False)


def evaluate_run(run: Path) -> tuple[Evaluation, Path]:
    """Evaluate a run on its test split and write its files; returns the evaluation and the path of the report."""
    from omnifuse.evaluation.runs import judge_run

    with ExitStack() as kept:
        judged = judge_run(run, kept)
        return judged.evaluation, write(judged)


def write(judged: JudgedRun) -> Path:
    """Write what was found into the run; returns the path of the report."""
    from omnifuse.evaluation.report.report import write_report

    judged.evaluation.save(judged.run)
    config = judged.config
    return write_report(judged.run, judged.evaluation, judged.pipeline, judged.rows, examples=config.examples, explain=config.explain)


def summary(evaluation: Evaluation) -> str:
    """The figures and the tests in a few lines."""
    from omnifuse.page.words import counted, figure

    lines = []
    for target, metrics in evaluation.metrics.items():
        figures = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        floor = evaluation.details["floor"][target]
        metric, value = list(floor.items())[1]
        lines.append(f"{target} ({counted(evaluation.rows, 'row')}, {evaluation.split}): {figures}")
        answer = figure(floor["answer"]) if isinstance(floor["answer"], float) else floor["answer"]
        how = floor.get("how") or f"always answering {answer}"
        lines.append(f"  floor: {how} gives {metric} {value:.4f}")
    return "\n".join([*lines, *evaluation.sentences()])


def seeds_table(seeds: dict[str, dict[str, Any]]) -> str:
    """The mean of every metric over runs with its 95 % interval."""
    return "\n".join(
        f"{target} {name}: {each['mean']:.4f} ({each['interval'][0]:.4f} to {each['interval'][1]:.4f} over {len(each['values'])} seeds)"
        for target, metrics in seeds.items()
        for name, each in metrics.items()
    )
