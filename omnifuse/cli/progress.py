"""Progress bars for the terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

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


@contextmanager
def training_bar() -> Iterator[TrainingBar]:
    """A training bar that is taken away whatever happens."""
    bar = TrainingBar()
    try:
        yield bar
    finally:
        bar.close()
