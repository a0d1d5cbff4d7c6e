"""`omnifuse plan`: a table by part, totals, a verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ended

KINDS = ("weights", "gradients", "optimizer", "activations", "batch")


def test_a_plan_is_shown_and_written(work: Path, here: Callable[..., Ended]) -> None:
    ended = here(work, "plan", "recipe.yaml", "--ranks", 2, "--memory", 16, "--batch", 8, "--json", "plan.json")
    assert ended.code == 0, ended.err
    for word in ("encoder of picture", "fusion", "head of answer", "Weights:", "Training:", "In use:", "Time:", "DDP:", "FSDP2:"):
        assert word in ended.out
    assert "It fits on 2 accelerators of 16 GB with DDP: a rank takes" in ended.out
    figures = json.loads((work / "plan.json").read_text(encoding="utf-8"))
    assert figures["batch_size"] == 8 and [rank["strategy"] for rank in figures["cluster"]] == ["DDP", "FSDP2"]
    assert figures["training"]["bytes"] == sum(figures["training"][kind] for kind in KINDS)


def test_what_is_too_large_is_told_with_what_helps(work: Path, here: Callable[..., Ended]) -> None:
    ended = here(work, "plan", "recipe.yaml", "--memory", 0.0002, "--set", "train.batch_size=64")
    assert ended.code == 0, ended.err
    assert "It does not fit on one accelerator of 200 kB" in ended.out
    assert "--ranks" in ended.out


@pytest.mark.parametrize(
    ("words", "told"), [(["--ranks", 3], "divided over 3 ranks"), (["--batch", 0], "train.batch_size"), (["--memory", -1], "--memory")]
)
def test_mistakes_are_told_in_one_line(work: Path, here: Callable[..., Ended], words: list[object], told: str) -> None:
    assert told in here(work, "plan", "recipe.yaml", *words).line
