"""`omnifuse quality`: how good is what a run makes?"""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Any, Literal

import typer

from omnifuse.cli.options import RunFolder
from omnifuse.core.errors import OmnifuseError


def quality(
    run: RunFolder,
    label: Annotated[
        str | None, typer.Option("--label", metavar="COLUMN", help="What a value is; by default a category, or a text of few words.")
    ] = None,
    samples: Annotated[int, typer.Option("--samples", "-n", min=2, help="Of each direction.")] = 1000,
    directions: Annotated[
        str | None,
        typer.Option("--directions", metavar="GIVEN->TARGET,…", help="Such as word->image,image+audio->word,nothing->image."),
    ] = None,
    guidance: Annotated[float | None, typer.Option("--guidance", help="How far samples are pushed towards the inputs.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="From noise to data.")] = None,
    solver: Annotated[Literal["euler", "heun"] | None, typer.Option("--solver", help="One look at the velocity a step, or two.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of rows, noise and judges.")] = 0,
) -> None:
    """Make samples of test rows in every direction and judge them: quality.json and quality.html in the run.

    Judges are small networks that are trained on the training split first, a minute or two each, and kept in RUN/judges. Stopped, it
    goes on when it is started again.
    """
    from omnifuse.cli.progress import console
    from omnifuse.core.atomic import read_json
    from omnifuse.data.dataset import Dataset
    from omnifuse.pipeline.pipeline import Pipeline
    from omnifuse.study.quality.directions import parse_directions
    from omnifuse.study.quality.quality import quality as judge

    pipeline = Pipeline.load(run)
    about = read_json(run / "config.json", "trained run")
    if "dataset" not in about:
        raise OmnifuseError(f"{run}: does not say which data it was trained on, so there are no test rows")
    chosen = None if directions is None else parse_directions(directions, pipeline)
    options: dict[str, Any] = {"samples": samples, "label": label, "directions": chosen, "seed": seed}
    with closing(QualityBar()) as bar:
        found = judge(pipeline, Dataset.open(about["dataset"]), run, **options, steps=steps, solver=solver, guidance=guidance, observer=bar)
    console.print(f"Report: {found.page}")


class QualityBar:
    """Shows what is being made or trained and how far it is; a line for each direction that is measured."""

    def __init__(self) -> None:
        """Nothing is shown before something begins."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        from omnifuse.cli.progress import console

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"))
        self._console = console
        self._progress = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        self._task = self._progress.add_task("", total=None, visible=False)

    def started(self, total_steps: int, done: int, batch_size: int) -> None:
        """A judge is trained."""
        self._begin("training a judge", total_steps, done)

    def stepped(self, step: int, loss: float | None) -> None:
        """It goes on."""
        self._progress.update(self._task, completed=step)

    def validated(self, entry: dict[str, Any]) -> None:
        """Nothing: it is measured when it is done."""

    def direction_begins(self, number: int, total: int, name: str, samples: int) -> None:
        """Samples are made."""
        self._begin(f"{number} of {total}: {name}", samples, 0)

    def drawn(self, more: int) -> None:
        """Some of them are there."""
        self._progress.update(self._task, advance=more)

    def direction_ends(self, name: str, words: str) -> None:
        """Print its main figures."""
        self.said(f"{name}: {words}")

    def said(self, message: str) -> None:
        """Print a line above the bar."""
        (self._progress.console if self._progress.live.is_started else self._console).print(message)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()

    def _begin(self, what: str, total: int, done: int) -> None:
        self._progress.start()
        self._progress.reset(self._task, description=what, total=total, completed=done, visible=True)
