"""The command line, run as a user runs it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from omnifuse.cli.main import main
from tests.conftest import colour_rows

MAIN = [sys.executable, "-c", "from omnifuse.cli.main import main; main()"]
RECIPE: dict[str, Any] = {
    "columns": {
        "picture": {"modality": "image", "size": 8},
        "question": {"modality": "text", "vocabulary": 280, "max_length": 8},
        "size": "number",
        "shop": "category",
        "answer": {"modality": "category", "role": "target"},
    },
    "data": {"source": "rows.csv", "split": {"validation": 0.2, "test": 0.2}},
    "model": {"dim": 16, "fusion": "product"},
    "train": {"epochs": 2, "batch_size": 32},
}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line it said about a mistake; fails where there is more, or a traceback."""
        assert self.code != 0, self.out
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.out + self.err
        assert lines[0].startswith("omnifuse: ")
        return lines[0]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300", **more}


def start(*words: object, cwd: Path) -> Ended:
    """Run a command in a process of its own."""
    ended = subprocess.run([*MAIN, *map(str, words)], cwd=cwd, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_recipe(path: Path, changes: dict[str, Any] | None = None) -> Path:
    """The small recipe, with dotted changes."""
    value = yaml.safe_load(yaml.safe_dump(RECIPE))
    for name, new in (changes or {}).items():
        *parents, last = name.split(".")
        place = value
        for parent in parents:
            place = place[parent]
        place[last] = new
    path.write_text(yaml.safe_dump(value, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder, with size and time of change."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


@dataclass(frozen=True)
class Job:
    """A folder in which the main job has been done, and how each step ended."""

    folder: Path
    steps: dict[str, Ended]


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("job")
    rows = colour_rows(folder, 96, absent=0.05)
    write_rows(folder / "rows.csv", rows)
    write_rows(folder / "new.csv", [{**row, "note": f"row {i}"} for i, row in enumerate(colour_rows(folder, 10, seed=1))])
    settings = [word for pair in ("model.dim=16", "train.epochs=2", "train.batch_size=32") for word in ("--set", pair)]
    commands = {
        "init": ["init", "rows.csv", "--target", "answer"],
        "prepare": ["prepare", "recipe.yaml", *settings],
        "train": ["train", "recipe.yaml", "--out", "runs/one", *settings],
        "evaluate": ["evaluate", "runs/one"],
        "predict": ["predict", "runs/one", "new.csv", "--out", "answers.csv"],
    }
    return Job(folder, {name: start(*words, cwd=folder) for name, words in commands.items()})


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with pictures, rows.csv and recipe.yaml."""
    write_rows(tmp_path / "rows.csv", colour_rows(tmp_path, 60))
    write_recipe(tmp_path / "recipe.yaml")
    return tmp_path


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command in this process, in a folder; everything it writes is caught, from libraries too."""

    def run(folder: Path, *words: object) -> Ended:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["omnifuse", *map(str, words)])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return run


def no_leftovers(folder: Path) -> bool:
    """Whether no write was left half-done below a folder."""
    left: Iterable[Path] = folder.rglob(".writing-*")
    return not list(left)
