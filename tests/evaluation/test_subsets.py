"""What each column contributes: Shapley's shares, and what pairs of columns know."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest

import omnifuse as of
from omnifuse.core.seeds import seed_of
from omnifuse.evaluation.answers import Answers, Told
from omnifuse.evaluation.config import EvaluateConfig
from omnifuse.evaluation.evaluation import Evaluation
from omnifuse.evaluation.kinds.label import Label
from omnifuse.evaluation.subsets import coalitions, pair_information, shapley, subset_test
from tests.evaluation.conftest import Learned


def worths(columns: list[str], known: tuple[frozenset[str], ...]) -> dict[frozenset[str], np.ndarray]:
    """A game in which columns help and hinder each other, for three rows."""
    value = {some: np.random.default_rng(seed_of(0, *sorted(some))).normal(size=3) for some in known}
    return {some: numbers + len(some) for some, numbers in value.items()}


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_shares_are_the_mean_over_all_orders(count: int) -> None:
    columns = list("abcde")[:count]
    asked = coalitions(columns)
    assert len(asked.known) == 2**count
    value = worths(columns, asked.known)
    found = shapley(value, asked)
    for column in columns:
        gains = [value[frozenset(o[: o.index(column) + 1])] - value[frozenset(o[: o.index(column)])] for o in permutations(columns)]
        assert found[column] == pytest.approx(np.mean(gains, axis=0), abs=1e-9)
    assert sum(found.values()) == pytest.approx(value[frozenset(columns)] - value[frozenset()], abs=1e-9)


def test_of_many_columns_orders_are_drawn_and_shares_still_add_up() -> None:
    columns = [f"c{i}" for i in range(9)]
    asked = coalitions(columns)
    assert len(asked.known) < 2**9 / 2
    assert {frozenset([name]) for name in columns} <= set(asked.known)
    value = worths(columns, asked.known)
    total = value[frozenset(columns)] - value[frozenset()]
    assert sum(shapley(value, asked).values()) == pytest.approx(total, abs=1e-9)
    plain = {some: np.array(float(len(some))) for some in asked.known}
    assert [float(share) for share in shapley(plain, asked).values()] == pytest.approx([1.0] * 9, abs=1e-9)


TRUTHS: dict[str, Callable[[int, int], int]] = {"xor": lambda a, b: a ^ b, "and": lambda a, b: a & b, "copy": lambda a, b: a}
PAIRS = {name: [(a, b) for a in (0, 1) for b in ((a,) if name == "copy" else (0, 1))] for name in TRUTHS}


def surprise(name: str, known: tuple[int, ...]) -> np.ndarray:
    """−log p(truth | what is known), by counting."""
    pairs = PAIRS[name]
    found = []
    for pair in pairs:
        alike = [other for other in pairs if all(other[i] == pair[i] for i in known)]
        found.append(-math.log(np.mean([TRUTHS[name](*other) == TRUTHS[name](*pair) for other in alike])))
    return np.array(found)


@pytest.mark.parametrize("name", ["xor", "and", "copy"])
def test_what_pairs_know_by_hand(name: str) -> None:
    truth = [str(TRUTHS[name](*pair)) for pair in PAIRS[name]]
    found = pair_information(truth, *(surprise(name, known) for known in ((), (0,), (1,), (0, 1))))
    entropy = float(surprise(name, ()).mean()) / math.log(2)
    alone = entropy - float(surprise(name, (0,)).mean()) / math.log(2)
    expected = {"redundancy": alone, "unique_first": 0, "unique_second": 0, "synergy": entropy - alone}
    assert found == pytest.approx(expected, abs=1e-9)
    by_hand = {"xor": (0, 1), "and": (0.311278, 0.5), "copy": (1, 0)}[name]
    assert (found["redundancy"], found["synergy"]) == pytest.approx(by_hand, abs=1e-6)


def learned_gate(name: str) -> Evaluation:
    random = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for _ in range(800):
        a, b = PAIRS[name][random.integers(len(PAIRS[name]))]
        rows.append({"a": random.normal(a, 0.05), "b": random.normal(b, 0.05), "y": f"y{TRUTHS[name](a, b)}"})
    settings = {
        "model.dim": 16,
        "model.fusion": "product",
        "model.modality_dropout": 0.3,
        "train.epochs": 12,
        "train.batch_size": 32,
        "train.optimizer.lr": 0.01,
        "data.split": {"validation": 0.1, "test": 0.1},
    }
    columns = {"a": "number", "b": "number", "y": {"modality": "category", "role": "target"}}
    pipeline = of.fit(rows[:400], columns=columns, settings=settings)
    return of.evaluate(pipeline, rows[400:])


@pytest.mark.parametrize("name", ["xor", "and", "copy"])
def test_what_a_model_learned_of_a_gate_is_told_apart(name: str) -> None:
    found = learned_gate(name).details["subsets"]["y"]
    assert found["dealt"] == [], "both were dropped in training"
    [pair] = found["pairs"]
    expected = {"xor": (0, 1), "and": (0.311, 0.5), "copy": (1, 0)}[name]
    assert (pair["redundancy"], pair["synergy"]) == pytest.approx(expected, abs=0.12)
    assert abs(pair["unique_first"]) < 0.1 and abs(pair["unique_second"]) < 0.1


def test_shares_tell_what_a_model_uses(learned: Learned) -> None:
    details = of.evaluate(learned.pipeline, learned.rows, root=learned.folder).details["subsets"]
    answer, price = details["answer"], details["price"]
    for column in ("picture", "question"):
        assert answer["contributions"][column]["interval"][0] > 0.1
    for column in ("size", "shop"):
        low, high = answer["contributions"][column]["interval"]
        assert low < 0.05 and high < 0.1
    assert price["contributions"]["size"]["share"] > 0.8, "an error that falls is a gain"
    values = {tuple(subset["known"]): subset["value"] for subset in price["subsets"]}
    total = sum(share["value"] for share in price["contributions"].values())
    assert total == pytest.approx(values[()] - values[tuple(price["contributions"])], abs=1e-6)
    assert "of what the columns bring (accuracy from" in answer["sentences"][0]
    assert "(mae down from" in price["sentences"][0]


def test_a_column_that_gives_the_answer_away_is_named() -> None:
    random = np.random.default_rng(0)
    rows = []
    for _ in range(500):
        y, x = random.integers(2), random.normal()
        rows.append({"x": x + 0.5 * y, "code": f"c{y}", "y": f"y{y}"})
    columns = {"x": "number", "code": "category", "y": {"modality": "category", "role": "target"}}
    settings = {
        "model.dim": 16,
        "model.fusion": "concat",
        "train.epochs": 10,
        "model.modality_dropout": 0.3,
        "data.clean.duplicates": "keep",
    }
    pipeline = of.fit(rows[:300], columns=columns, settings=settings)
    sentences = of.evaluate(pipeline, rows[300:]).details["subsets"]["y"]["sentences"]
    assert [line for line in sentences if line.startswith("Does code give y away?")]
    assert not [line for line in sentences if line.startswith("Does x give")]


def test_subsets_can_be_left_out_and_one_column_has_none(learned: Learned) -> None:
    off = EvaluateConfig(subsets=False, shuffle=False)
    assert of.evaluate(learned.pipeline, learned.rows, root=learned.folder, config=off).details["subsets"] == {}
    absent = ["picture", "question", "size"]
    assert of.evaluate(learned.pipeline, learned.rows, root=learned.folder, absent=absent).details["subsets"] == {}


def test_fewer_rows_can_be_asked(learned: Learned) -> None:
    few = EvaluateConfig(subset_rows=20, shuffle=False)
    found = of.evaluate(learned.pipeline, learned.rows, root=learned.folder, config=few).details["subsets"]["answer"]
    assert found["rows"] == 20


def test_a_column_that_is_asked_for_as_well_is_no_part_of_its_own_answer_among_many() -> None:
    columns, asked, rows = [f"c{i}" for i in range(7)], coalitions([f"c{i}" for i in range(7)]), np.arange(40)
    told = {known: (rows < 4 * len(known - {"c3"})).astype(np.float64) for known in asked.known}
    subsets = {known: Told(right, right, np.empty(0)) for known, right in told.items()}
    answers = Answers(rows.tolist(), ["yes"] * 40, ["yes"] * 40, subsets=subsets)
    found = subset_test("c3", Label(), answers, asked, (), rows)
    assert list(found["contributions"]) == [name for name in columns if name != "c3"]
    assert [each["value"] for each in found["contributions"].values()] == pytest.approx([0.1] * 6)
