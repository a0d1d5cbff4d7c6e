"""Run folders that are judged, beside others that were made otherwise."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.evaluation.runs import compare_runs, judge_run, over_runs
from tests.cli.conftest import write_rows

QUICK: dict[str, Any] = {"shuffle": False, "subsets": False, "slices": False, "calibration": False}
SETTINGS: dict[str, Any] = {
    "model.dim": 8,
    "model.fusion": "concat",
    "train.epochs": 1,
    "data.split": {"test": 0.4},
    "evaluate.by": ["shop"],
}
TARGET = {"modality": "number", "role": "target"}


def table(seed: int) -> list[dict[str, Any]]:
    drawn = random.Random(seed)
    return [
        {"x": (x := drawn.gauss(0, 1)), "z": drawn.random(), "shop": drawn.choice("ab"), "y": 2 * x, "big": "yes" if x > 0 else "no"}
        for _ in range(120)
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same rows, with one column more or less, and other heads."""
    folder = tmp_path_factory.mktemp("runs")
    shop = {"modality": "category", "role": "meta"}
    quantiles = {"model.heads": {"y": {"name": "number", "loss": "quantile"}}}
    five = {"model.heads": {"y": {"name": "number", "loss": "quantile", "quantiles": [0.1, 0.3, 0.5, 0.7, 0.9]}}}
    both = {"x": "number", "z": "number", "shop": shop, "y": TARGET}
    made: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "quantiles": (both, quantiles),
        "five": (both, five),
        "number": ({"x": "number", "shop": shop, "y": TARGET}, {}),
        "label": ({"x": "number", "shop": shop, "big": {"modality": "category", "role": "target"}}, {}),
    }
    for name, (columns, more) in made.items():
        of.fit(table(0), columns=columns, out=folder / name, settings={**SETTINGS, **more})
    return folder


@pytest.fixture
def kept() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_heads_of_other_levels_and_without_any_are_compared_as_the_number_that_they_tell(runs: Path, kept: ExitStack) -> None:
    ours, other, plain = (judge_run(runs / name, kept, changes=QUICK) for name in ("quantiles", "five", "number"))
    assert "pinball" in compare_runs([ours], [ours])["y"]["metrics"]
    for theirs in (other, plain):
        assert set(compare_runs([ours], [theirs])["y"]["metrics"]) == {"mae", "rmse", "r2", "mape"}


def test_a_model_that_reads_a_column_less_is_compared_on_the_rows_of_both(runs: Path, kept: ExitStack, tmp_path: Path) -> None:
    rows = [*table(1)[:40], *table(1)[:2]]
    path = write_rows(tmp_path / "new.csv", rows)
    ours, theirs = (judge_run(runs / name, kept, path, changes=QUICK) for name in ("quantiles", "number"))
    found = compare_runs([ours], [theirs])["y"]
    assert found["rows"] == len(rows), "equal rows count as often as they are there"
    assert found["metrics"]["mae"]["ours"] == pytest.approx(ours.evaluation.metrics["y"]["mae"])
    assert found["metrics"]["mae"]["theirs"] == pytest.approx(theirs.evaluation.metrics["y"]["mae"])
    own = compare_runs(*([judge_run(runs / name, kept, changes=QUICK)] for name in ("quantiles", "number")))["y"]
    assert 0 < own["rows"] < 48, "those that are test rows of both"


def test_a_table_need_not_have_the_columns_that_the_recipe_tells_by(runs: Path, kept: ExitStack, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "new.csv", [{name: row[name] for name in ("x", "y")} for row in table(2)])
    assert not judge_run(runs / "number", kept, path, changes=QUICK).evaluation.details["groups"]
    assert judge_run(runs / "number", kept, changes=QUICK).evaluation.details["groups"]["y"]
    with pytest.raises(OmnifuseError, match=r'evaluate\.by: unknown column "shop"'):
        judge_run(runs / "number", kept, path, changes={**QUICK, "by": ["shop"]})


def test_runs_of_other_targets_are_no_seeds_of_one_recipe(runs: Path, kept: ExitStack) -> None:
    judged = [judge_run(runs / name, kept, changes=QUICK) for name in ("number", "label")]
    with pytest.raises(OmnifuseError, match="have no target in common; name several seeds"):
        over_runs(judged)
    with pytest.raises(OmnifuseError, match="answers none of the targets"):
        compare_runs(judged[:1], judged[1:])


@pytest.mark.parametrize("name", ["number", "label", "quantiles"])
def test_a_model_whose_answers_are_no_numbers_is_told_in_one_line(runs: Path, kept: ExitStack, name: str) -> None:
    run = judge_run(runs / name, kept, changes=QUICK)
    for weight in run.pipeline.model.parameters():
        torch.nn.init.constant_(weight, torch.nan)
    with pytest.raises(OmnifuseError, match=r"what is no number in 48 of 48 rows; its weights are damaged"):
        of.evaluate(run.pipeline, run.rows)
