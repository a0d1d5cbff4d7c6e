"""Progress bars for the terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from omnifuse.study.compare.runs import Result

console = Console(highlight=False, soft_wrap=True, markup=False)  # what users wrote may hold [brackets]


@contextmanager
def counting(what: str, unit: str = "rows") -> Iterator[Callable[[int], None]]:
    """A counter with its rate, for work whose end is not known; yields a function that takes how many more are done."""
    began, done = time.perf_counter(), 0
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None, rate="")

        def add(more: int) -> None:
            nonlocal done
            done += more
            progress.update(task, rate=f"{done:,} {unit}, {done / max(time.perf_counter() - began, 1e-9):,.0f}/s")

        yield add


class TrainingBar:
    """Shows steps, loss, samples per second and time left; a line at each validation."""

    def __init__(self) -> None:
        """Only the first rank of a distributed run shows anything."""
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("loss {task.fields[loss]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=os.environ.get("RANK", "0") != "0",
        )
        self._quiet = os.environ.get("RANK", "0") != "0"

    def started(self, total_steps: int, done: int, batch_size: int) -> None:
        """Show the bar."""
        self._batch, self._first, self._began = batch_size, done, time.perf_counter()
        if done:
            self.said(f"going on after step {done:,} of {total_steps:,}")
        self._task = self._progress.add_task("", total=total_steps, completed=done, rate="", loss="–")
        self._progress.start()

    def stepped(self, step: int, loss: float | None) -> None:
        """Move the bar."""
        if loss is None:
            self._progress.update(self._task, completed=step)
            return
        rate = (step - self._first) * self._batch / max(time.perf_counter() - self._began, 1e-9)
        self._progress.update(self._task, completed=step, loss=f"{loss:.4f}", rate=f"{rate:,.0f} samples/s")

    def validated(self, entry: dict[str, Any]) -> None:
        """Print the main figures of a validation."""
        figures = [f"{target} {name} {value:.4f}" for target, all_ in entry["metrics"].items() for name, value in list(all_.items())[:1]]
        mark = " ← best" if entry["best"] else ""
        self.said(f"epoch {entry['epoch']:.1f}: validation loss {entry['loss']:.4f}, {', '.join(figures)}{mark}")

    def said(self, message: str) -> None:
        """Print a line above the bar."""
        if not self._quiet:
            (self._progress.console if self._progress.live.is_started else console).print(message)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()


def training_bar() -> closing[TrainingBar]:
    """A training bar that is taken away whatever happens."""
    return closing(TrainingBar())


class RunsBar:
    """Shows which run of how many is at work, how far it is, and the time left for all of them; a line for each that is done."""

    def __init__(self) -> None:
        """Nothing is shown before the first run begins."""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=1, loss="", left="", visible=False)
        self._seconds: list[float] = []
        self._number, self._total, self._steps, self._share, self._name = 0, 0, 1, 0.0, ""

    def run_begins(self, number: int, total: int, name: str, seed: int) -> None:
        """Show which."""
        self._number, self._total, self._share, self._name = number, total, 0.0, f"{name}, seed {seed}"
        self._began = time.perf_counter()
        self._progress.start()
        self._progress.update(self._task, description=f"{number} of {total}: {self._name}", visible=True, loss="")
        self._move()

    def run_ends(self, seconds: float, result: Result | None) -> None:
        """Print its figures."""
        self._seconds.append(seconds)
        if result is not None:
            figures = [
                f"{target} {name} {value:.4f}"
                for target, metrics in result.metrics["validation"].items()
                for name, value in list(metrics.items())[:1]
            ]
            self.said(f"{self._number} of {self._total}: {self._name}: validation {', '.join(figures)}, {seconds:.0f} s")
        self._share = 1.0
        self._move()

    def started(self, total_steps: int, done: int, batch_size: int) -> None:
        """Remember how long the run is."""
        self._steps, self._share = total_steps, done / total_steps
        if done:
            self.said(f"{self._name}: going on after step {done:,} of {total_steps:,}")

    def stepped(self, step: int, loss: float | None) -> None:
        """Move the bar."""
        self._share = step / self._steps
        if loss is not None:
            self._progress.update(self._task, loss=f"loss {loss:.4f}")
        self._move()

    def validated(self, entry: dict[str, Any]) -> None:
        """Nothing: there are many runs."""

    def said(self, message: str) -> None:
        """Print a line above the bar."""
        (self._progress.console if self._progress.live.is_started else console).print(message)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()

    def _move(self) -> None:
        """Runs differ in length, so the time left is that of a mean run for each that is to come."""
        self._progress.update(self._task, completed=(self._number - 1 + self._share) / self._total)
        spent = time.perf_counter() - self._began
        each = sum(self._seconds) / len(self._seconds) if self._seconds else spent / self._share if self._share else None
        if each is not None:
            to_come = each * (self._total - self._number) + max(0.0, each * (1 - self._share))
            self._progress.update(self._task, left=f"left about {_clock(to_come)}")


def runs_bar() -> closing[RunsBar]:
    """A bar over several runs that is taken away whatever happens."""
    return closing(RunsBar())


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
