"""`omnifuse quality` as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ended, no_leftovers
from tests.study.quality.conftest import Trained, signals  # noqa: F401 (a fixture)

Here = Callable[..., Ended]


def test_figures_are_printed_and_written(signals: Trained, here: Here) -> None:  # noqa: F811
    words = ("quality", signals.run, "--samples", 16, "--directions", "kind->wave", "--steps", 1, "--label", "kind")
    ended = here(signals.run.parent, *words)
    assert ended.code == 0, ended.err
    about = json.loads((signals.run / "quality.json").read_text(encoding="utf-8"))
    assert about["settings"] | {"samples": 16, "steps": 1, "label": "kind"} == about["settings"]
    right = about["directions"]["kind -> wave"]["figures"]["accuracy"]["value"]
    assert f"kind -> wave: {right:.1%} right" in ended.out
    assert "quality.html" in ended.out
    again = here(signals.run.parent, *words)
    assert again.code == 0, again.err
    assert f"kind -> wave: {right:.1%} right" in again.out
    assert no_leftovers(signals.run)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--directions", "kind"], "write it as GIVEN->TARGET"),
        (["--directions", "kidn->wave"], 'unknown input column "kidn"; did you mean "kind"'),
        (["--label", "kidn"], 'unknown column "kidn"; did you mean "kind"'),
    ],
)
def test_mistakes_are_told_in_a_line(signals: Trained, here: Here, words: list[str], message: str) -> None:  # noqa: F811
    assert message in here(signals.run.parent, "quality", signals.run, *words).line


def test_a_folder_that_is_no_run_is_told(here: Here, tmp_path: Path) -> None:
    assert "trained run" in here(tmp_path, "quality", tmp_path).line
