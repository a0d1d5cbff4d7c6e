"""`omnifuse evaluate`: how good is a run, and does it use every column?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omnifuse.cli.options import RunFolder

if TYPE_CHECKING:
    from omnifuse.evaluation.evaluation import Evaluation


def evaluate(
    run: RunFolder,
    data: Annotated[Path | None, typer.Option("--data", help="A table to evaluate on, in place of the run's own test split.")] = None,
    root: Annotated[Path | None, typer.Option("--root", help="Folder of relative media paths in --data.")] = None,
    split: Annotated[str, typer.Option("--split", help="Which split of the run's dataset.")] = "test",
    absent: Annotated[
        list[str], typer.Option("--absent", metavar="COLUMN", help="Take this column away from every row; may be repeated.")
    ] = [],  # noqa: B006 (typer copies it)
) -> None:
    """Measure a run on its test split: metrics.json, evaluation.json and report.html in the run."""
    from omnifuse.cli.progress import console

    evaluation, report = evaluate_run(run, data, split, root, absent)
    console.print(summary(evaluation))
    console.print(f"Report: {report}")


def evaluate_run(
    run: Path, data: Path | None = None, split: str = "test", root: Path | None = None, absent: Sequence[str] = ()
) -> tuple[Evaluation, Path]:
    """Evaluate a run and write its files; returns the evaluation and the path of the report."""
    import tempfile

    from omnifuse.cli.predict import media_root
    from omnifuse.core.atomic import read_json
    from omnifuse.core.errors import OmnifuseError
    from omnifuse.data.dataset import Dataset
    from omnifuse.evaluation.config import EvaluateConfig
    from omnifuse.evaluation.evaluation import as_dataset
    from omnifuse.evaluation.evaluation import evaluate as judge
    from omnifuse.evaluation.report.report import write_report
    from omnifuse.pipeline.pipeline import Pipeline

    pipeline = Pipeline.load(run)
    about = read_json(run / "config.json", "trained run")
    config = EvaluateConfig.parse(about.get("recipe", {}).get("evaluate", {}), "evaluate")
    if data is None and "dataset" not in about:
        raise OmnifuseError(f"{run}: does not say which data it was trained on; give --data TABLE")
    with tempfile.TemporaryDirectory() as folder:
        rows = (
            Dataset.open(about["dataset"]).split(split)
            if data is None
            else as_dataset(data, pipeline.schema, Path(folder), media_root(run, root))
        )
        name = split if data is None else data.name  # with its ending, so that it never takes the place of a split
        evaluation = judge(pipeline, rows, split=name, config=config, absent=absent)
        if data is None and split == "test" and not absent:
            held_out = Dataset.open(about["dataset"]).split("validation")
            if len(held_out):
                plain = config.model_copy(update={"shuffle": False})
                judge(pipeline, held_out, split="validation", config=plain).save_metrics(run)
        evaluation.save(run)
        report = write_report(run, evaluation, pipeline, rows, examples=config.examples)
    return evaluation, report


def summary(evaluation: Evaluation) -> str:
    """The figures and the shuffle test in a few lines."""
    lines = []
    for target, metrics in evaluation.metrics.items():
        figures = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        floor = evaluation.details["floor"][target]
        metric, value = list(floor.items())[1]
        lines.append(f"{target} ({evaluation.rows:,} {evaluation.split} rows): {figures}")
        how = floor.get("how") or f"always answering {floor['answer']}"
        lines.append(f"  floor: {how} gives {metric} {value:.4f}")
    return "\n".join([*lines, *evaluation.sentences()])
