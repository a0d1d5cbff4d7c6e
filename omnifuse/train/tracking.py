"""What a run tells while it trains: `history.jsonl`, TensorBoard, and a progress bar."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from omnifuse.core.atomic import write_text
from omnifuse.core.errors import OmnifuseError


class Observer(Protocol):
    """Watches a run; see `Silent` and the command line's progress bar."""

    def started(self, total_steps: int, done: int, batch_size: int) -> None:
        """Training begins, or goes on at step `done`."""

    def stepped(self, step: int, loss: float | None) -> None:
        """A step is done; the loss is given now and then."""

    def validated(self, entry: dict[str, Any]) -> None:
        """A validation is done; the entry is a line of `history.jsonl`."""

    def said(self, message: str) -> None:
        """Something worth a line."""


class Silent:
    """Says nothing."""

    def started(self, total_steps: int, done: int, batch_size: int) -> None:
        """Nothing."""

    def stepped(self, step: int, loss: float | None) -> None:
        """Nothing."""

    def validated(self, entry: dict[str, Any]) -> None:
        """Nothing."""

    def said(self, message: str) -> None:
        """Nothing."""


class History:
    """Appends entries to `history.jsonl` and to the trackers that the recipe names."""

    def __init__(self, run: Path, tracking: list[str], step: int) -> None:
        """Open the history of a run that stands at `step`; entries after it are dropped, they will come again."""
        self.path = run / "history.jsonl"
        kept = [entry for entry in read_history(run) if entry["step"] <= step]
        write_text(self.path, "".join(json.dumps(entry) + "\n" for entry in kept))
        self._file = self.path.open("a", encoding="utf-8")
        self._board = _tensorboard(run, step) if "tensorboard" in tracking else None

    def add(self, entry: dict[str, Any]) -> None:
        """Write one entry."""
        try:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
        except OSError as error:
            raise OmnifuseError(f"{self.path}: cannot be written ({error.strerror}); free some space, then go on with --resume") from None
        if self._board is not None:
            for name, value in _scalars(entry):
                self._board.add_scalar(f"{entry['kind']}/{name}", value, entry["step"])

    def close(self) -> None:
        """Finish the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_history(run: Path) -> list[dict[str, Any]]:
    """The entries of `history.jsonl`; a line that was cut off is left out."""
    path = run / "history.jsonl"
    if not path.exists():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int) and "kind" in entry:
            entries.append(entry)
    return entries


@contextmanager
def recording(run: Path | None, tracking: list[str], step: int) -> Iterator[History | None]:
    """The history of the run while it trains; nothing on ranks that do not write."""
    history = None if run is None else History(run, tracking, step)
    try:
        yield history
    finally:
        if history is not None:
            history.close()


def _tensorboard(run: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        raise OmnifuseError("train.tracking: TensorBoard is not installed; pip install 'omnifuse[tensorboard]'") from None
    return SummaryWriter(str(run / "tensorboard"), purge_step=step + 1 if step else None)


def _scalars(entry: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in entry.items():
        if name in ("loss", "lr", "samples_per_s"):
            yield name, value
        if name == "metrics":
            for target, metrics in value.items():
                yield from ((f"{target}/{metric}", number) for metric, number in metrics.items())
