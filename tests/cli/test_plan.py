"""`omnifuse plan`: a table by part, totals, a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Ended, start, write_recipe, write_rows
from tests.conftest import colour_rows


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    rows = colour_rows(folder, 80, absent=0.1)
    write_rows(folder / "rows.csv", rows)
    return write_recipe(folder / "recipe.yaml")


def test_a_plan_is_shown_and_written(recipe: Path) -> None:
    ended: Ended = start("plan", recipe, "--ranks", 2, "--memory", 16, "--batch", 8, "--json", "plan.json", cwd=recipe.parent)
    assert ended.code == 0, ended.err
    for word in ("encoder of picture", "fusion", "head of answer", "Weights:", "Training:", "In use:", "Time:", "DDP:", "FSDP2:"):
        assert word in ended.out
    assert "It fits on 2 accelerators of 16 GB with DDP: a rank takes" in ended.out
    figures = json.loads((recipe.parent / "plan.json").read_text(encoding="utf-8"))
    assert figures["batch_size"] == 8 and [rank["strategy"] for rank in figures["cluster"]] == ["DDP", "FSDP2"]
    assert figures["training"]["bytes"] == sum(
        figures["training"][kind] for kind in ("weights", "gradients", "optimizer", "activations", "batch")
    )


def test_what_is_too_large_is_told_with_what_helps(recipe: Path) -> None:
    ended: Ended = start(
        "plan", recipe, "--memory", 0.0005, "--set", "model.fusion=joint", "--set", "train.batch_size=64", cwd=recipe.parent
    )
    assert ended.code == 0, ended.err
    assert "It does not fit on one accelerator of 500 kB" in ended.out
    assert "--ranks" in ended.out


@pytest.mark.parametrize(
    ("words", "told"), [(["--ranks", 3], "divided over 3 ranks"), (["--batch", 0], "train.batch_size"), (["--memory", -1], "--memory")]
)
def test_mistakes_are_told_in_one_line(recipe: Path, words: list[object], told: str) -> None:
    assert told in start("plan", recipe, *words, cwd=recipe.parent).line
