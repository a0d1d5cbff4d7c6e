"""The shuffle test finds what the model uses, and what it ignores."""

from __future__ import annotations

import copy
import math
import random

import numpy as np
import pytest
import torch
from scipy import stats

import omnifuse as of
from omnifuse.core.seeds import seed_of
from omnifuse.core.values import Tokens
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.config import EvaluateConfig
from omnifuse.evaluation.evaluation import Evaluation
from omnifuse.evaluation.kinds.label import Label
from omnifuse.evaluation.kinds.number import Number
from omnifuse.evaluation.shuffle import shuffle_test
from omnifuse.pipeline.features import EncodedRows
from tests.conftest import colour_rows
from tests.evaluation.conftest import Learned


@pytest.fixture(scope="module")
def judged(learned: Learned) -> Evaluation:
    return of.evaluate(learned.pipeline, learned.rows, root=learned.folder)


def said(evaluation: Evaluation, target: str, column: str) -> str:
    return next(line for line in evaluation.details["shuffle"][target]["sentences"] if f" {column}:" in line)


def test_a_model_that_needs_picture_and_question_uses_both(judged: Evaluation) -> None:
    test = judged.details["shuffle"]["answer"]
    assert test["intact"] == pytest.approx(judged.metrics["answer"]["accuracy"])
    for column in ("picture", "question"):
        found = test["columns"][column]
        assert found["used"] is True
        assert found["shuffled"] < 0.75 < test["intact"]
        assert found["worsening"] == pytest.approx(test["intact"] - found["shuffled"])
        assert found["interval"][0] <= found["worsening"] <= found["interval"][1]
        sentence = f"the model uses {column}: accuracy falls from {test['intact']:.3f} to {found['shuffled']:.3f}"
        assert sentence in said(judged, "answer", column)


def test_the_error_of_a_number_rises_when_its_column_is_shuffled(judged: Evaluation) -> None:
    test = judged.details["shuffle"]["price"]
    size = test["columns"]["size"]
    assert test["metric"] == "mae"
    assert size["used"] is True
    assert size["shuffled"] > 3 * test["intact"]
    assert size["worsening"] == pytest.approx(size["shuffled"] - test["intact"])
    assert "the model uses size: mae rises from" in said(judged, "price", "size")


@pytest.mark.parametrize("column", ["picture", "question", "size", "shop"])
def test_a_column_that_cannot_matter_is_ignored(learned: Learned, column: str) -> None:
    pipeline = copy.deepcopy(learned.pipeline)
    with torch.no_grad():
        for parameter in pipeline.model.encoders[column].parameters():
            parameter.zero_()
    found = of.evaluate(pipeline, colour_rows(learned.folder, 400, seed=2), root=learned.folder)  # equal rows would count once
    for target in pipeline.schema.targets:
        test = found.details["shuffle"][target]
        assert test["columns"][column]["used"] is False
        assert test["columns"][column]["verdict"] == "ignores"
        assert test["columns"][column]["worsening"] == 0
        assert test["columns"][column]["shuffled"] == test["intact"]
        stays = "accuracy" if target == "answer" else "mae"
        assert f"the model ignores {column}: {stays} stays at" in said(found, target, column)


def test_a_model_that_answers_nothing_but_its_bias_ignores_everything(learned: Learned) -> None:
    pipeline = copy.deepcopy(learned.pipeline)
    with torch.no_grad():
        for encoder in pipeline.model.encoders.children():
            for parameter in encoder.parameters():
                parameter.zero_()
    found = of.evaluate(pipeline, colour_rows(learned.folder, 400, seed=2), root=learned.folder)
    assert not any(column["used"] for test in found.details["shuffle"].values() for column in test["columns"].values())
    assert all(" ignores " in sentence for test in found.details["shuffle"].values() for sentence in test["sentences"])


def test_a_few_rows_cannot_show_that_a_column_is_ignored(learned: Learned) -> None:
    pipeline = copy.deepcopy(learned.pipeline)
    with torch.no_grad():
        for encoder in pipeline.model.encoders.children():
            for parameter in encoder.parameters():
                parameter.zero_()
    found = of.evaluate(pipeline, learned.rows[:20], root=learned.folder)
    assert {column["verdict"] for test in found.details["shuffle"].values() for column in test["columns"].values()} == {"unclear"}
    assert all("too few rows to tell" in sentence for test in found.details["shuffle"].values() for sentence in test["sentences"])


def test_the_seed_alone_decides_how_values_are_dealt(learned: Learned, judged: Evaluation) -> None:
    again = of.evaluate(learned.pipeline, learned.rows, root=learned.folder)
    other = of.evaluate(learned.pipeline, learned.rows, root=learned.folder, seed=1)
    assert again.details["shuffle"] == judged.details["shuffle"]
    assert other.details["shuffle"] != judged.details["shuffle"]
    assert other.metrics == judged.metrics


def test_other_randomness_is_neither_read_nor_moved(learned: Learned, judged: Evaluation) -> None:
    torch.manual_seed(123)
    np.random.seed(123)
    random.seed(123)
    before = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())
    assert of.evaluate(learned.pipeline, learned.rows, root=learned.folder).details["shuffle"] == judged.details["shuffle"]
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()
    assert before[2] == random.getstate()


def test_shuffling_deals_the_values_of_one_column_anew_and_leaves_the_others(learned: Learned) -> None:
    tokens = {name: Tokens(torch.arange(10.0).view(10, 1, 1), torch.ones(10, 1, dtype=torch.bool)) for name in ("a", "b")}
    rows = EncodedRows(tokens, {"a": torch.arange(10), "b": torch.arange(10)})
    mixed = rows.shuffled("a", torch.Generator().manual_seed(seed_of(0)))
    assert mixed.index["a"].tolist() != list(range(10))
    assert sorted(mixed.index["a"].tolist()) == list(range(10))
    assert mixed.index["b"].tolist() == list(range(10))
    assert rows.index["a"].tolist() == list(range(10))


def test_the_test_can_be_left_out(learned: Learned) -> None:
    config = EvaluateConfig(shuffle=False, subsets=False, slices=False, calibration=False)
    found = of.evaluate(learned.pipeline, learned.rows, root=learned.folder, config=config)
    assert found.details["shuffle"] == found.details["subsets"] == {}
    assert found.sentences() == []


def test_absent_targets_are_left_out_of_the_comparison(learned: Learned) -> None:
    rows = [{**row, "answer": None if i % 2 else row["answer"]} for i, row in enumerate(learned.rows)]
    test = of.evaluate(learned.pipeline, rows, root=learned.folder).details["shuffle"]["answer"]
    assert test["rows"] == len(rows) / 2
    assert test["columns"]["picture"]["used"] is True


def answers(truth: list[str], predicted: list[str], mixed: list[str]) -> Answers:
    scores = Label().row_scores(Answers(truth=truth, predicted=mixed))
    return Answers(list(range(len(truth))), truth, predicted, shuffled={"a": scores})


def test_worsening_and_its_interval_by_hand() -> None:
    truth = ["x"] * 8
    found = shuffle_test("t", Label(), answers(truth, ["x"] * 6 + ["y"] * 2, ["x"] * 3 + ["y"] * 4 + ["x"]))
    column = found["columns"]["a"]
    # of the eight rows three get worse, one gets better: d = 3×1, 1×−1, 4×0
    deviation = math.sqrt((3 * (1 - 0.25) ** 2 + (-1 - 0.25) ** 2 + 4 * 0.25**2) / 7)
    assert (found["intact"], column["shuffled"], column["worsening"]) == (0.75, 0.5, 0.25)
    half = stats.t.ppf(0.975, 7) * deviation / math.sqrt(8)
    assert column["interval"] == pytest.approx([0.25 - half, 0.25 + half], abs=1e-12)
    assert column["used"] is False  # the interval holds 0


def test_two_rows_tell_next_to_nothing() -> None:
    for mixed in (["y", "y"], ["y", "x"]):
        found = shuffle_test("t", Label(), answers(["x", "x"], ["x", "x"], mixed))
        assert found["columns"]["a"]["verdict"] == "unclear"
    assert shuffle_test("t", Label(), answers(["x"], ["x"], ["y"])) == {}


def test_rows_that_belong_together_tell_less() -> None:
    mixed = answers(["x"] * 40, ["x"] * 40, ["y"] * 20 + ["x"] * 20)
    alone, pairs = (shuffle_test("t", Label(), mixed, clusters)["columns"]["a"] for clusters in (None, np.arange(40) // 10))
    assert alone["verdict"] == "uses" and pairs["verdict"] == "unclear"
    deviation = math.sqrt(4 / 3 * 4 * 5**2) / 40  # four clusters of ten rows, whose sums are 5, 5, −5, −5
    assert pairs["interval"][1] - 0.5 == pytest.approx(stats.t.ppf(0.975, 3) * deviation)
    assert shuffle_test("t", Label(), mixed, np.zeros(40, dtype=int)) == {}


def test_a_clear_but_invisible_loss_is_not_called_use() -> None:
    truth = ["x"] * 10_000
    for wrong, used in ((20, False), (60, True)):
        found = shuffle_test("t", Label(), answers(truth, truth, ["y"] * wrong + ["x"] * (10_000 - wrong)))
        assert found["columns"]["a"]["interval"][0] > 0
        assert found["columns"]["a"]["used"] is used


def test_a_model_that_gets_better_when_shuffled_does_not_use_the_column() -> None:
    found = shuffle_test("t", Label(), answers(["x"] * 50, ["y"] * 50, ["x"] * 50))
    assert found["columns"]["a"]["worsening"] == -1
    assert found["columns"]["a"]["used"] is False


def test_nothing_shuffled_says_nothing() -> None:
    assert shuffle_test("t", Label(), Answers([0], ["x"], ["x"])) == {}


def test_the_floor_of_one_label_and_of_numbers() -> None:
    assert Label().floor(Answers(truth=["b", "a", "b"])) == {"answer": "b", "accuracy": pytest.approx(2 / 3)}
    assert Number().floor(Answers(truth=[1.0, 2.0, 9.0])) == {"answer": 2.0, "mae": pytest.approx(8 / 3)}
