"""Figures by the values of a column: what is planted between groups is found, and what is not is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error, recall_score

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column, Schema
from omnifuse.data.config import DataConfig, SplitConfig
from omnifuse.data.prepare import prepare
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.groups import by_group, parts_of
from omnifuse.evaluation.kinds.label import Label
from omnifuse.evaluation.kinds.labels import Labels
from omnifuse.evaluation.kinds.number import Number
from omnifuse.evaluation.report.groups import groups_section
from omnifuse.page.sections import write_page

ROWS = 1200
COLUMNS: dict[str, Any] = {
    "size": "number",
    "sex": {"modality": "category", "role": "meta"},
    "hospital": {"modality": "category", "role": "meta"},
    "age": {"modality": "number", "role": "meta"},
    "answer": {"modality": "category", "role": "target"},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> of.Dataset:
    random = np.random.default_rng(0)
    rows = [
        {
            "size": float(random.normal()),
            "sex": random.choice(["f", "m"]) if random.random() > 0.1 else None,
            "hospital": f"h{random.integers(25)}",
            "age": float(random.integers(20, 90)),
            "answer": random.choice(["ill", "well"]),
        }
        for _ in range(ROWS)
    ]
    everything = DataConfig(source="", split=SplitConfig(validation=0, test=0))
    return prepare(rows, Schema.parse(COLUMNS), everything, store=tmp_path_factory.mktemp("groups"))


def said(dataset: of.Dataset, right: Callable[[dict[str, Any]], float], seed: int = 0) -> Answers:
    """Answers that are right with a chance that depends on the row."""
    columns, random = dataset.take(range(ROWS)), np.random.default_rng(seed)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    other = {"ill": "well", "well": "ill"}
    predicted = [row["answer"] if random.random() < right(row) else other[row["answer"]] for row in rows]
    scores = np.array([[0.8, 0.2] if value == "ill" else [0.2, 0.8] for value in predicted])
    return Answers(list(range(ROWS)), columns["answer"], predicted, scores, labels=["ill", "well"])


def test_figures_of_a_part_are_those_of_its_rows(dataset: of.Dataset):
    answers = said(dataset, lambda row: 0.9)
    found = by_group("answer", dataset, answers, Label(), ["sex"])
    parts = {part["name"]: part for part in found["columns"]["sex"]["parts"]}
    assert list(parts) == ["f", "m", "absent"]
    assert sum(part["rows"] for part in parts.values()) == ROWS
    sexes = dataset.take(range(ROWS), ["sex"])["sex"]
    for sex, name in (("f", "f"), ("m", "m"), (None, "absent")):
        rows = [i for i, value in enumerate(sexes) if value == sex]
        truth, predicted = [answers.truth[i] for i in rows], [answers.predicted[i] for i in rows]
        assert parts[name]["metrics"]["accuracy"] == pytest.approx(accuracy_score(truth, predicted), abs=1e-6)
        assert parts[name]["metrics"]["balanced_accuracy"] == pytest.approx(recall_score(truth, predicted, average="macro"), abs=1e-6)
        low, high = parts[name]["intervals"]["accuracy"]
        assert low < parts[name]["metrics"]["accuracy"] < high
    assert json.loads(json.dumps(found)) == found


def test_a_gap_that_was_planted_is_found(dataset: of.Dataset):
    found = by_group("answer", dataset, said(dataset, lambda row: 0.75 if row["sex"] == "f" else 0.95), Label(), ["sex", "age"])
    gap = found["columns"]["sex"]["gap"]
    assert (gap["verdict"], gap["lowest"]) == ("differs", "f")
    assert 0.1 < gap["interval"][0] < gap["value"] < gap["interval"][1] < 0.3
    assert gap["p"] < 0.05
    assert found["columns"]["age"]["gap"]["verdict"] != "differs"
    assert found["sentences"][0].startswith("For answer, accuracy differs by sex: 0.7")


def test_opportunity_and_parity_of_labels(dataset: of.Dataset):
    def right(row: dict[str, Any]) -> float:  # the ill of one sex are missed
        return 0.5 if row["sex"] == "f" and row["answer"] == "ill" else 0.9

    answers = said(dataset, right)
    labels = {each["label"]: each for each in by_group("answer", dataset, answers, Label(), ["sex"])["columns"]["sex"]["labels"]}
    assert labels["ill"]["recall"]["gap"]["verdict"] == "differs"
    assert labels["well"]["recall"]["gap"]["verdict"] != "differs"
    assert labels["ill"]["rate"]["gap"]["verdict"] == "differs"
    sexes = dataset.take(range(ROWS), ["sex"])["sex"]
    women = [i for i, sex in enumerate(sexes) if sex == "f"]
    ill = [i for i in women if answers.truth[i] == "ill"]
    assert labels["ill"]["recall"]["values"]["f"] == pytest.approx(np.mean([answers.predicted[i] == "ill" for i in ill]), abs=1e-6)
    assert labels["ill"]["rate"]["values"]["f"] == pytest.approx(np.mean([answers.predicted[i] == "ill" for i in women]), abs=1e-6)


def test_equal_groups_are_rarely_said_to_differ(dataset: of.Dataset):
    false = 0
    for seed in range(10):
        found = by_group("answer", dataset, said(dataset, lambda row: 0.8, seed), Label(), ["sex"], seed=seed)
        column = found["columns"]["sex"]
        gaps = [column["gap"], *(each[what]["gap"] for each in column["labels"] for what in ("recall", "rate"))]
        false += any(gap["verdict"] == "differs" for gap in gaps)
    assert false <= 2


def test_rows_of_a_group_are_dealt_out_together():
    """With what a group shares, rows alone would make noise significant."""
    alone, together = 0, 0
    for seed in range(8):
        random = np.random.default_rng(seed)
        patients = np.repeat(np.arange(40), 25)
        rows = [{"size": 1.0, "sex": "f" if patient % 2 else "m", "answer": "ill"} for patient in patients]
        data = _Rows(rows)
        hits = random.random(1000) < random.beta(0.7, 0.7, 40)[patients]
        answers = Answers(
            list(range(1000)), [row["answer"] for row in rows], ["ill" if hit else "well" for hit in hits], np.full((1000, 2), 0.5)
        )
        answers.labels = ["ill", "well"]
        for groups in (None, [str(patient) for patient in patients]):
            gap = by_group("answer", data, answers, Label(), ["sex"], groups=groups)["columns"]["sex"]["gap"]  # pyright: ignore[reportArgumentType]
            alone += groups is None and gap["p"] < 0.05
            together += groups is not None and gap["p"] < 0.05
    assert together <= 1
    assert alone >= 3


class _Rows:
    """Rows in memory with a schema."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.schema = Schema.parse({"size": "number", "sex": "category", "answer": {"modality": "category", "role": "target"}})
        self._rows = rows

    def take(self, index: Any, columns: Any = None) -> dict[str, list[Any]]:
        return {name: [self._rows[i][name] for i in index] for name in columns}


def test_numbers_are_compared_by_their_error(dataset: of.Dataset):
    sex = dataset.take(range(ROWS), ["sex"])["sex"]
    truth = np.random.default_rng(0).normal(size=ROWS)
    predicted = truth + np.random.default_rng(1).normal(size=ROWS) * np.array([3.0 if value == "m" else 1.0 for value in sex])
    answers = Answers(list(range(ROWS)), truth.tolist(), predicted.tolist(), predicted)
    found = by_group("size", dataset, answers, Number(), ["sex"])["columns"]["sex"]
    assert (found["gap"]["highest"], found["gap"]["verdict"], found["labels"]) == ("m", "differs", [])
    men = np.array([value == "m" for value in sex])
    assert found["parts"][1]["metrics"]["mae"] == pytest.approx(mean_absolute_error(truth[men], predicted[men]), abs=1e-6)


def test_sets_are_compared_label_by_label(dataset: of.Dataset):
    sex, random = dataset.take(range(ROWS), ["sex"])["sex"], np.random.default_rng(0)
    truth = [("a",) if random.random() < 0.5 else ("a", "b") for _ in sex]
    predicted = [("a",) if value == "f" else labels for value, labels in zip(sex, truth, strict=True)]
    answers = Answers(list(range(ROWS)), truth, predicted, random.random((ROWS, 2)), labels=["a", "b"])
    labels = {each["label"]: each for each in by_group("tags", dataset, answers, Labels(), ["sex"])["columns"]["sex"]["labels"]}
    assert labels["b"]["recall"]["values"] == {"f": 0.0, "m": 1.0, "absent": 1.0}
    assert labels["b"]["recall"]["gap"]["value"] == 1
    assert labels["a"]["recall"]["gap"]["value"] == 0


def test_many_values_keep_the_most_frequent_and_numbers_become_quarters(dataset: of.Dataset):
    found = by_group("answer", dataset, said(dataset, lambda row: 0.9), Label(), ["hospital", "age"])["columns"]
    assert len(found["hospital"]["parts"]) == 21
    assert found["hospital"]["parts"][-1]["name"] == "other"
    assert [part["name"].split()[0] for part in found["age"]["parts"]] == ["at", "above", "above", "above"]


def test_few_values_are_parts_of_their_own():
    parts = parts_of(Column("stars", "number"), [1.0, 5.0, None, 5.0])
    assert [(name, rows.tolist()) for name, rows in parts] == [
        ("1", [True, False, False, False]),
        ("5", [False, True, False, True]),
        ("absent", [False, False, True, False]),
    ]
    texts = [f"{'x' * length}{number}" for number, length in enumerate(range(10, 50))]
    assert len(parts_of(Column("note", "text"), texts)) == 4


def test_small_parts_are_told_and_not_compared(dataset: of.Dataset):
    answers = said(dataset, lambda row: 0.9)
    few = Answers(answers.rows[:40], answers.truth[:40], answers.predicted[:40], answers.scores[:40], labels=answers.labels)
    found = by_group("answer", dataset, few, Label(), ["hospital"])
    assert found["columns"]["hospital"]["gap"] is None
    assert "too few rows to compare accuracy by hospital" in found["sentences"][0]


def test_a_column_that_is_not_there_is_named(dataset: of.Dataset):
    with pytest.raises(OmnifuseError, match=r'evaluate.by: unknown column "sexx"; did you mean "sex"'):
        by_group("answer", dataset, said(dataset, lambda row: 0.9), Label(), ["sexx"])


def test_a_page_shows_every_part(dataset: of.Dataset, tmp_path: Path):
    answers = said(dataset, lambda row: 0.75 if row["sex"] == "f" else 0.95)
    found = by_group("answer", dataset, answers, Label(), ["sex", "hospital"])
    section = groups_section("answer", found, {"accuracy": "accuracy"}, "k")
    assert section.note.startswith("For answer, accuracy differs by sex")
    page = write_page(tmp_path / "page.html", "Groups", "over", found["sentences"], [], [section]).read_text(encoding="utf-8")
    for words in ("accuracy by sex", "By hospital", "Labels by sex", "found of those that are ill", "answered with well", "h7", "absent"):
        assert words in page, words
