"""Comparisons from end to end: what is planted is found, what is interrupted goes on, what fails is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig
from omnifuse.model.fusion.config import FUSIONS
from omnifuse.model.fusion.fusion import PooledFusion
from omnifuse.study.compare.comparison import Comparison, compare
from omnifuse.study.compare.runs import Result, Unwatched
from omnifuse.train.recipe import Recipe
from tests.cli.conftest import write_rows

RECIPE: dict[str, Any] = {
    "name": "planted",
    "columns": {
        "left": "category",
        "right": "category",
        "answer": {"modality": "category", "role": "target"},
    },
    "data": {"source": "rows.csv", "split": {"validation": 0.2, "test": 0.4}},
    "model": {"dim": 8, "fusion": "concat"},
    "train": {"epochs": 8, "batch_size": 16, "device": "cpu", "log_steps": 5, "optimizer": {"name": "adamw", "lr": 0.03}},
}


def planted(folder: Path, both: bool, count: int = 240) -> Recipe:
    """Rows whose answer needs both columns (their exclusive or) or the left one alone; equal rows are many, so `n` tells them apart."""
    random = np.random.default_rng(0)
    rows = []
    for number in range(count):
        left, right = random.integers(0, 2, 2)
        rows.append({"n": number, "left": f"l{left}", "right": f"r{right}", "answer": "yes" if (left ^ right if both else left) else "no"})
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "rows.csv", rows)
    return Recipe.make({**RECIPE, "data": {"source": "rows.csv", "split": {**RECIPE["data"]["split"], "by": "n"}}})


class Notes(Unwatched):
    """Remembers which runs began and where each training started; ends the program at a validation, as a power cut would."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.begun: list[tuple[str, int]] = []
        self.ended: list[Result | None] = []
        self.done: list[int] = []
        self.heard: list[str] = []
        self.left = stop_after

    def run_begins(self, number: int, total: int, name: str, seed: int) -> None:
        self.begun.append((name, seed))

    def run_ends(self, seconds: float, result: Result | None) -> None:
        self.ended.append(result)

    def started(self, total_steps: int, done: int, batch_size: int) -> None:
        self.done.append(done)

    def said(self, message: str) -> None:
        self.heard.append(message)

    def validated(self, entry: dict[str, Any]) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt


@pytest.fixture(scope="module")
def exclusive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recipe, Comparison]:
    """A comparison of rows that need both columns."""
    folder = tmp_path_factory.mktemp("exclusive")
    recipe = planted(folder, both=True)
    return folder, recipe, compare(recipe, folder / "out", base=folder, fusions=["concat", "product"], seeds=3)


def test_fusion_helps_where_both_columns_are_needed(exclusive: tuple[Path, Recipe, Comparison]):
    _, _, comparison = exclusive
    assert str(comparison).startswith("fusion helps: +")
    outcome = comparison.outcomes["answer"]
    assert {each.contender.kind for each in outcome.standings[:2]} == {"fusion"}
    gain = outcome.of(str(outcome.fusion)).gain
    assert gain is not None
    assert gain.interval.low > 0.2


def test_fusion_does_not_help_where_one_column_suffices(tmp_path: Path):
    recipe = planted(tmp_path, both=False, count=800)
    comparison = compare(recipe, tmp_path / "out", base=tmp_path, fusions=["concat"], seeds=1)
    outcome = comparison.outcomes["answer"]
    assert (outcome.single, outcome.verdict) == ("only-left-concat", "does not help")
    assert str(comparison).endswith("the best single modality (left)")


def test_what_is_written_has_the_fixed_keys(exclusive: tuple[Path, Recipe, Comparison]):
    folder, recipe, _ = exclusive
    comparison = compare(recipe, folder / "out", base=folder, fusions=["concat", "product"], seeds=3)
    about = json.loads((folder / "out" / "compare.json").read_text(encoding="utf-8"))
    assert about == json.loads(json.dumps(comparison.about))
    assert about["finished"]
    assert (about["seeds"], about["rows"]) == ([0, 1, 2], {"train": 96, "validation": 48, "test": 96})
    assert list(about["contenders"]) == ["only-left-concat", "only-right-concat", "concat", "product"]
    target = about["targets"]["answer"]
    assert (target["metric"], target["lower_is_better"], target["test_rows"]) == ("accuracy", False, 96)
    first = target["ranking"][0]
    assert len(first["test"]["seeds"]) == 3
    assert first["gain"]["p_holm"] >= first["gain"]["p"]
    assert {"accuracy", "auroc", "log_loss"} <= set(first["metrics"])
    costs = about["contenders"]["concat"]["costs"]
    assert costs["parameters"] == costs["trained"] > 0
    assert min(costs["flops"], costs["latency_ms"], costs["peak_mb"], costs["train_seconds"]) > 0


def test_every_key_of_the_file_is_explained_on_its_page(exclusive: tuple[Path, Recipe, Comparison]):
    page = (Path(__file__).parents[3] / "docs" / "compare.md").read_text(encoding="utf-8")
    about = exclusive[2].about
    target = about["targets"]["answer"]
    contender = about["contenders"]["concat"]
    keys = [*about, *target, *target["ranking"][0], *target["ranking"][0]["gain"], *contender, *contender["costs"]]
    assert not [key for key in keys if f"`{key}`" not in page]


def test_the_page_stands_alone_and_says_the_sentence_first(exclusive: tuple[Path, Recipe, Comparison]):
    _, _, comparison = exclusive
    page = comparison.page.read_text(encoding="utf-8")
    assert "http" not in page.replace("http-equiv", "")
    assert page.index(comparison.sentences[0]) < page.index("<table")
    assert 'class="sortable"' in page
    assert page.count("<svg") == 3


def test_runs_are_made_small_and_can_be_used(exclusive: tuple[Path, Recipe, Comparison]):
    from omnifuse.pipeline.pipeline import Pipeline

    folder, _, _ = exclusive
    run = folder / "out" / "runs" / "product" / "2"
    assert not (run / "checkpoints").exists()
    rows = [{"left": "l0", "right": "r1"}, {"left": "l1", "right": "r1"}]
    assert [said["answer"] for said in Pipeline.load(run).predict(rows)] == ["yes", "no"]


def test_what_is_finished_is_not_trained_again_and_more_can_be_added(exclusive: tuple[Path, Recipe, Comparison]):
    folder, recipe, comparison = exclusive
    notes = Notes()
    again = compare(recipe, folder / "out", base=folder, fusions=["concat", "product"], seeds=3, observer=notes)
    assert (notes.begun, again.about) == ([], comparison.about)
    more = compare(recipe, folder / "out", base=folder, fusions=["product", "gated"], seeds=1, observer=notes)
    assert notes.begun == [("gated", 0)]
    assert {each.contender.key for each in more.outcomes["answer"].standings if each.contender.kind == "fusion"} == {"product", "gated"}


def test_a_comparison_that_was_killed_goes_on_to_the_same_figures(exclusive: tuple[Path, Recipe, Comparison], tmp_path: Path):
    folder, recipe, _ = exclusive
    words: dict[str, Any] = {"base": folder, "fusions": ["concat", "product"], "seeds": 1}
    whole = compare(recipe, folder / "out", **words)
    with pytest.raises(KeyboardInterrupt):
        compare(recipe, tmp_path / "out", observer=Notes(stop_after=8 + 5), **words)  # in the sixth epoch of the second run
    assert not (tmp_path / "out" / "compare.json").exists()
    notes = Notes()
    again = compare(recipe, tmp_path / "out", observer=notes, **words)
    assert notes.begun[0] == ("right alone", 0), "the first run was finished"
    assert notes.done[0] == 30, "the second goes on after its fifth epoch of six steps"
    assert set(notes.done[1:]) == {0}
    assert again.about["targets"] == whole.about["targets"]


def test_another_recipe_and_other_files_are_refused(exclusive: tuple[Path, Recipe, Comparison], tmp_path: Path):
    folder, recipe, _ = exclusive
    changed = Recipe.make({**recipe.dump(), "train": {**recipe.dump()["train"], "epochs": 9}})
    with pytest.raises(
        OmnifuseError, match=r"holds a comparison with train.epochs = 8.0, now it is 9.0; undo the change or choose another"
    ):
        compare(changed, folder / "out", base=folder, fusions=["concat"])
    with pytest.raises(OmnifuseError, match="rows were divided once"):
        compare(recipe, folder / "out", base=folder, fusions=["concat"], divide=True)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OmnifuseError, match="not a comparison"):
        compare(recipe, tmp_path, base=folder, fusions=["concat"])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_contender_whose_loss_diverges_is_told_and_the_others_go_on(tmp_path: Path):
    class ExplodesConfig(PartConfig):
        name: str = "explodes"

    @FUSIONS.register(ExplodesConfig)
    class Explodes(PooledFusion):
        def __init__(self, config: ExplodesConfig, columns: dict[str, bool], dim: int) -> None:
            super().__init__(columns, dim)
            self.scale = torch.nn.Parameter(torch.ones(dim))

        def combine(self, z_BMD: torch.Tensor, present_BM: torch.Tensor) -> torch.Tensor:
            return self.scale * z_BMD.sum(1) * torch.inf

    recipe = planted(tmp_path, both=True, count=100)
    words: dict[str, Any] = {"base": tmp_path, "fusions": ["explodes", "concat"], "seeds": 2}
    try:
        notes = Notes()
        comparison = compare(recipe, tmp_path / "out", observer=notes, **words)
        (left,) = comparison.about["left_out"]
        assert left["name"] == "explodes"
        assert left["reason"].startswith("with seed 0: train: the loss became nan")
        assert "explodes" not in comparison.about["contenders"]
        assert comparison.outcomes["answer"].fusion == "concat"
        assert notes.begun.count(("explodes", 0)) == 1
        assert ("explodes", 1) not in notes.begun, "it is not trained with the other seeds"
        assert left["reason"] in comparison.page.read_text(encoding="utf-8").replace("&#39;", "'")
        again = Notes()
        compare(recipe, tmp_path / "out", observer=again, **words)
        assert again.begun == [], "nor a second time"
    finally:
        FUSIONS._entries.pop("explodes")


def test_rows_may_be_divided_anew_with_each_seed(tmp_path: Path):
    recipe = planted(tmp_path, both=True, count=100)
    comparison = compare(recipe, tmp_path / "out", base=tmp_path, fusions=["concat"], seeds=2, divide=True)
    assert comparison.about["varies"] == "weights, order, noise and the division of the rows"
    assert comparison.outcomes["answer"].groups > comparison.outcomes["answer"].rows, "the seeds have test rows of their own"


def test_a_number_is_told_by_its_error_in_its_unit(tmp_path: Path):
    random = np.random.default_rng(1)
    numbers = random.normal(0, 1, (300, 2))
    write_rows(tmp_path / "rows.csv", [{"a": round(a, 4), "b": round(b, 4), "weight": round(50 + 10 * (a + b), 3)} for a, b in numbers])
    value = {
        "columns": {"a": "number", "b": "number", "weight": {"modality": "number", "unit": "kg", "role": "target"}},
        "data": {"source": "rows.csv", "split": {"validation": 0.2, "test": 0.3}},
        "model": {"dim": 16, "fusion": "concat"},
        "train": {"epochs": 10, "batch_size": 16, "device": "cpu", "optimizer": {"name": "adamw", "lr": 0.01}},
    }
    comparison = compare(Recipe.make(value), tmp_path / "out", base=tmp_path, fusions=["concat"], seeds=1)
    assert str(comparison).startswith("fusion helps: mae −")
    assert " kg against the best single modality (" in str(comparison)


def test_without_validation_or_test_rows_nothing_is_trained(tmp_path: Path):
    recipe = planted(tmp_path, both=True, count=60)
    for split in ("validation", "test"):
        value = recipe.dump()
        value["data"]["split"][split] = 0
        with pytest.raises(OmnifuseError, match=f"data.split.{split}: there are no {split} rows"):
            compare(Recipe.make(value), tmp_path / f"out-{split}", base=tmp_path, fusions=["concat"])
