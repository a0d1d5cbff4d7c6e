"""Columns that are read and answered: what is given and what is asked for, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from training import COLUMNS, colour_rows, make_trainer, model_section

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.core.values import Values
from omnifuse.data.loader import rows_at
from omnifuse.train.config import DirectionsConfig, TrainConfig
from omnifuse.train.directions import Directions
from omnifuse.train.loop import Trainer
from omnifuse.train.tracking import read_history

NAMES = ("a", "b", "c")
ALL = Schema.parse({name: {"modality": "number", "role": "both"} for name in NAMES})
ONE = {"all_but_one": 0, "one_to_all": 0, "none_to_all": 0, "random": 0}
BOTH: dict[str, Any] = {
    **COLUMNS,
    "picture": {**COLUMNS["picture"], "role": "input"},
    "size": {"modality": "number", "role": "both"},
    "shop": {"modality": "category", "role": "both"},
}


def directions(pattern: str) -> Directions:
    return Directions(ALL, DirectionsConfig(**{**ONE, pattern: 1}))


@pytest.mark.parametrize(("pattern", "given"), [("all_but_one", {2}), ("one_to_all", {1}), ("none_to_all", {0}), ("random", {0, 1, 2})])
def test_a_pattern_says_how_many_columns_are_given(pattern: str, given: set[int]) -> None:
    torch.manual_seed(0)
    given_BM = directions(pattern).draw(torch.ones(600, 3, dtype=torch.bool), torch.zeros(600, dtype=torch.bool))
    assert set(given_BM.sum(1).tolist()) == given
    shares = given_BM.float().mean(0)
    assert (shares - shares.mean()).abs().max() < 0.08, "no column is given more often than another"


@pytest.mark.parametrize("pattern", ["all_but_one", "one_to_all", "none_to_all", "random"])
def test_every_row_is_asked_for_something_that_it_has(pattern: str) -> None:
    torch.manual_seed(0)
    present_BM = torch.rand(500, 3) < 0.5
    given_BM = directions(pattern).draw(present_BM, torch.zeros(500, dtype=torch.bool))
    assert not (given_BM & ~present_BM).any(), "nothing absent is given"
    assert (present_BM & ~given_BM).any(1).equal(present_BM.any(1))


def test_with_a_target_beside_them_all_may_be_given() -> None:
    torch.manual_seed(0)
    given_BM = directions("all_but_one").draw(torch.ones(600, 3, dtype=torch.bool), torch.ones(600, dtype=torch.bool))
    assert 0.2 < float(given_BM.all(1).float().mean()) < 0.3, "as often as each column is asked for"


def test_what_is_asked_for_is_absent_among_the_inputs_and_the_rest_among_the_targets() -> None:
    torch.manual_seed(0)
    batch = {name: Values(torch.randn(64), torch.rand(64) < 0.8) for name in NAMES}
    inputs, targets = Directions(ALL, DirectionsConfig()).split(batch)
    for name in NAMES:
        assert (inputs[name].present ^ targets[name].present).equal(batch[name].present)
        for part in (inputs[name], targets[name]):
            assert torch.where(part.present, batch[name].data, 0).equal(part.data)


def test_a_column_that_is_only_read_or_only_answered_is_not_split() -> None:
    schema = Schema.parse({"a": "number", "b": {"modality": "number", "role": "target"}, "c": {"modality": "number", "role": "both"}})
    batch = {name: Values(torch.randn(64), torch.ones(64, dtype=torch.bool)) for name in NAMES}
    inputs, targets = Directions(schema, DirectionsConfig()).split(batch)
    assert inputs["a"] is batch["a"]
    assert targets["b"] is batch["b"]
    assert 0 < int(inputs["c"].present.sum()) < 64
    assert (inputs["c"].present ^ targets["c"].present).all()


def test_patterns_need_a_weight() -> None:
    with pytest.raises(OmnifuseError, match="at least one pattern"):
        TrainConfig.parse({"directions": ONE}, "train")


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return make_trainer(tmp_path, colour_rows(tmp_path / "pictures", 60, absent=0.1), BOTH, model_section(BOTH), epochs=2)


@pytest.mark.parametrize("name", ["size", "shop"])
def test_the_value_that_is_asked_for_changes_no_bit_of_what_is_fused(trainer: Trainer, name: str) -> None:
    """In training mode, where a batch norm or a dropout could carry it over."""
    batch = trainer.loader.batch(rows_at(0, 32, trainer.rows, 0))
    other = dict(batch)

    def fused(values: dict[str, Values]) -> torch.Tensor:
        torch.manual_seed(3)
        inputs, targets = trainer.directions.split(values)
        hidden = targets[name].present
        other[name] = Values(
            torch.where(hidden, batch[name].data.flip(0) * 3 % 2 if name == "size" else 1, batch[name].data), batch[name].present
        )
        model = trainer.pipeline.model.train()
        return model.fuse(model.encode(inputs)).tokens

    first = fused(batch)
    assert not torch.equal(other[name].data, batch[name].data)
    assert torch.equal(first, fused(other))


def test_losses_are_told_by_direction(tmp_path: Path, trainer: Trainer) -> None:
    progress = trainer.run()
    entries = [entry for entry in read_history(trainer.run_folder) if entry["kind"] == "train"]
    assert progress.step == trainer.total
    told = set().union(*(entry["directions"] for entry in entries))
    assert {"size -> shop", "shop -> size", "nothing -> shop", "size + shop -> answer", "nothing -> answer"} <= told
    assert not any("shop" in word.split(" -> ")[0] and word.endswith("-> shop") for word in told)


def test_a_model_learns_both_ways(tmp_path: Path) -> None:
    rows = [{"colour": ("red", "green")[i % 2], "size": float(i % 2) * 10 + i % 3 / 10} for i in range(120)]
    columns = {"colour": {"modality": "category", "role": "both"}, "size": {"modality": "number", "role": "both"}}
    pipeline = of.fit(rows, columns=columns, out=tmp_path / "run", settings={"train.epochs": 30, "model.dim": 8, "train.batch_size": 16})
    low, high = pipeline.predict([{"size": 0.0}, {"size": 10.0}])
    assert (low["colour"], high["colour"]) == ("red", "green")
    red, green = pipeline.predict([{"colour": "red"}, {"colour": "green"}])
    assert red["size"] < 3 < 7 < green["size"]
    asked = pipeline.predict([{"colour": "red", "size": 10.0}])[0]
    assert asked["colour"] == "green", "a column is answered from the others alone"
    assert asked["size"] == pytest.approx(red["size"], abs=1e-4)
    result = of.evaluate(pipeline, rows)
    assert result.metrics["colour"]["accuracy"] == 1
    assert "colour" not in result.details["shuffle"]["colour"]["columns"]
