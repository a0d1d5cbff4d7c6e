"""Planted slices are found first, nothing is found in noise, and the statistics are those of scipy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import ttest_ind

import omnifuse as of
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig, SplitConfig
from omnifuse.data.prepare import prepare
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.kinds.label import Label
from omnifuse.evaluation.kinds.number import Number
from omnifuse.evaluation.report.slices import slices_section
from omnifuse.evaluation.slices.quarters import quarters
from omnifuse.evaluation.slices.search import Search
from omnifuse.evaluation.slices.slices import find_slices
from omnifuse.page.sections import write_page

COLOURS = ["red", "green", "blue", "grey"]
SIZES = ["large", "small", "tiny"]
COLUMNS: dict[str, Any] = {
    "colour": "category",
    "size": "category",
    "weight": "number",
    "note": "text",
    "tags": "set",
    "at": "datetime",
    "shop": {"modality": "category", "role": "meta"},
    "answer": {"modality": "category", "role": "target"},
    "price": {"modality": "number", "role": "target"},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> of.Dataset:
    """3,000 rows without anything between their columns."""
    random = np.random.default_rng(0)
    rows = [
        {
            "colour": COLOURS[random.integers(4)],
            "size": SIZES[random.integers(3)] if random.random() > 0.1 else None,
            "weight": float(random.normal()),
            "note": " ".join(f"w{word}" for word in random.integers(0, 30, random.integers(1, 9))),
            "tags": [f"t{tag}" for tag in range(6) if random.random() < 0.3],
            "at": f"2026-{random.integers(1, 13):02d}-{random.integers(1, 28):02d}",
            "shop": ["north", "south"][random.integers(2)],
            "answer": ["yes", "no"][random.integers(2)],
            "price": float(random.normal(50, 9)),
        }
        for _ in range(3000)
    ]
    everything = DataConfig(source="", split=SplitConfig(validation=0, test=0))
    return prepare(rows, Schema.parse(COLUMNS), everything, store=tmp_path_factory.mktemp("slices"))


def said(dataset: of.Dataset, wrong: np.ndarray, right: float = 0.95, seed: int = 0) -> Answers:
    """Answers of a model that is right by chance, and always wrong in the rows where `wrong`."""
    truth = dataset.take(range(len(dataset)), ["answer"])["answer"]
    hits = (np.random.default_rng(seed).random(len(truth)) < right) & ~wrong
    flipped = {"yes": "no", "no": "yes"}
    predicted = [value if hit else flipped[value] for value, hit in zip(truth, hits, strict=True)]
    scores = np.array([[0.9, 0.1] if value == "no" else [0.1, 0.9] for value in predicted])
    return Answers(list(range(len(truth))), truth, predicted, scores, labels=["no", "yes"])


def column(dataset: of.Dataset, name: str) -> np.ndarray:
    return np.array(dataset.take(range(len(dataset)), [name])[name], dtype=object)


def test_a_planted_condition_is_found_first_and_alone(dataset: of.Dataset):
    planted = column(dataset, "colour") == "red"
    found = find_slices("answer", dataset, said(dataset, planted & (np.arange(3000) % 2 == 0)), Label())
    assert [each["text"] for each in found["slices"]] == ["colour is red"]
    only = found["slices"][0]
    hits = np.array([t == p for t, p in zip(*truth_and_said(dataset, planted), strict=True)])
    assert (only["rows"], only["columns"]) == (int(planted.sum()), ["colour"])
    assert only["value"] == pytest.approx(hits[planted].mean(), abs=1e-9)
    assert only["elsewhere"] == pytest.approx(hits[~planted].mean(), abs=1e-9)
    assert only["excess"] == pytest.approx(only["worse"] * only["rows"])
    assert only["interval"][0] < only["worse"] < only["interval"][1]
    assert found["sentences"][0].startswith("For answer, it is worse where colour is red: accuracy 0.499 in 716 rows, 0.947")
    assert json.loads(json.dumps(found)) == found


def truth_and_said(dataset: of.Dataset, planted: np.ndarray) -> tuple[list[Any], list[Any]]:
    answers = said(dataset, planted & (np.arange(3000) % 2 == 0))
    return answers.truth, answers.predicted


def test_a_planted_pair_is_found_first(dataset: of.Dataset):
    planted = (column(dataset, "colour") == "red") & (column(dataset, "size") == "large")
    found = find_slices("answer", dataset, said(dataset, planted), Label())
    assert found["slices"][0]["text"] in ("colour is red and size is large", "size is large and colour is red")
    assert found["slices"][0]["value"] == 0
    assert found["slices"][0]["rows"] == planted.sum()
    assert len(found["slices"]) == 1
    assert found["sentences"][0].startswith("For answer, it fails where ")


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("absent", "size is absent"),
        ("word", "note contains “w7”"),
        ("tag", "tags has t3"),
        ("heavy", "weight is above"),
        ("late", "at is above 2026-"),
        ("beside", "shop is north"),
        ("truth", "the true answer is yes"),
    ],
)
def test_every_kind_of_condition_can_be_found(dataset: of.Dataset, where: str, text: str):
    weight, at = column(dataset, "weight").astype(float), column(dataset, "at").astype(float)
    planted = {
        "absent": np.array([value is None for value in column(dataset, "size")]),
        "word": np.array(["w7" in note.split() for note in column(dataset, "note")]),
        "tag": np.array(["t3" in tags for tags in dataset.take(range(3000), ["tags"])["tags"]]),
        "heavy": weight > np.quantile(weight, 0.75),
        "late": at > np.quantile(at, 0.75),
        "beside": column(dataset, "shop") == "north",
        "truth": column(dataset, "answer") == "yes",
    }[where]
    found = find_slices("answer", dataset, said(dataset, planted & (np.random.default_rng(1).random(3000) < 0.6)), Label())
    assert found["slices"][0]["text"].startswith(text)
    assert len(found["slices"]) == 1


def test_errors_of_numbers_are_compared_by_their_share(dataset: of.Dataset):
    truth = dataset.take(range(3000), ["price"])["price"]
    far = column(dataset, "colour") == "blue"
    errors = np.random.default_rng(0).normal(0, 1 + 2.0 * far)
    answers = Answers(list(range(3000)), truth, (np.array(truth) + errors).tolist(), np.array(truth) + errors)
    found = find_slices("price", dataset, answers, Number())
    assert found["slices"][0]["text"] == "colour is blue"
    assert found["slices"][0]["value"] > found["slices"][0]["elsewhere"]
    assert found["sentences"][0].startswith("For price, it is worse where colour is blue: mae 2.")


def test_nothing_is_found_in_noise():
    false = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        holds = random.random((1500, 40)) < random.uniform(0.05, 0.6, 40)
        losses = (random.random(1500) < 0.08).astype(float) if seed % 2 else random.exponential(size=1500)
        effect = 0.02 if seed % 2 else 0.05 * losses.mean()
        search = Search(holds, losses, np.arange(1500), 30, effect)
        false += bool(search.run(10))
    assert false <= 5


def test_nothing_is_found_in_noise_that_rows_of_a_group_share():
    plain, grouped = 0, 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        groups = np.repeat(np.arange(60), 25)
        holds = (random.random((60, 30)) < 0.3)[groups]  # what is said of a patient is said of all rows of that patient
        losses = (random.random(1500) < np.clip(random.beta(0.6, 2, 60)[groups], 0, 1)).astype(float)
        grouped += bool(Search(holds, losses, groups, 30, 0.02).run(10))
        plain += bool(Search(holds, losses, np.arange(1500), 30, 0.02).run(10))
    assert grouped <= 2
    assert plain > 20  # without the groups noise would be taken for slices


def test_a_slice_is_found_in_rows_of_groups(dataset: of.Dataset):
    groups = [f"patient {row // 3}" for row in range(3000)]
    planted = (column(dataset, "colour") == "red") & (column(dataset, "size") == "large")
    found = find_slices("answer", dataset, said(dataset, planted), Label(), groups=groups)
    assert "colour is red" in found["slices"][0]["text"]
    assert "size is large" in found["slices"][0]["text"]


def test_too_few_rows_are_said_to_be(dataset: of.Dataset):
    answers = said(dataset, np.zeros(3000, dtype=bool))
    few = Answers(answers.rows[:40], answers.truth[:40], answers.predicted[:40], answers.scores[:40], labels=answers.labels)
    found = find_slices("answer", dataset, few, Label())
    assert (found["slices"], found["tried"]) == ([], 0)
    assert "too few rows" in found["sentences"][0]


def test_the_statistic_is_that_of_welch():
    random = np.random.default_rng(0)
    one, other = random.normal(1, 3, 80), random.normal(0, 1, 500)
    losses = np.concatenate([one, other])
    search = Search(np.ones((580, 1), dtype=bool), losses, np.arange(580), 30, 0.0)
    search.variance = 0.0  # the floor is ours
    inside = (np.arange(580) < 80)[:, None]
    expected: Any = ttest_ind(one, other, equal_var=False)
    found = search._compared(inside, ~inside)
    assert found.p[0] == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.worse[0] / found.error[0] == pytest.approx(expected.statistic, rel=1e-9)


def test_clusters_of_one_row_are_rows():
    random = np.random.default_rng(0)
    losses, inside = random.normal(size=400), (random.random(400) < 0.4)[:, None]
    search = Search(inside, losses, np.arange(400), 30, 0.0)
    rows, clusters = search._compared(inside, ~inside), search._clustered(inside, ~inside)
    assert clusters.worse == pytest.approx(rows.worse)
    assert clusters.error == pytest.approx(rows.error, rel=0.01)


def test_quarters_hold_every_known_value_once():
    values = np.array([1.0, 1, 1, 1, 2, 3, np.nan, 9])
    parts = quarters(values)
    assert sum(rows.sum() for _, rows in parts) == 7
    assert [int(rows.sum()) for _, rows in quarters(np.arange(8.0))] == [2, 2, 2, 2]
    assert quarters(np.full(3, np.nan)) == []
    assert [words for words, _ in quarters(np.ones(5))] == ["at most 1"]


def test_pictures_are_dark_or_bright(tmp_path: Path):
    random, rows = np.random.default_rng(0), []
    for number in range(400):
        shade, side = int(random.integers(0, 250)), int(random.integers(8, 24))
        Image.fromarray(np.full((side, side, 3), shade, dtype=np.uint8)).save(tmp_path / f"{number}.png")
        rows.append({"photo": f"{number}.png", "dark": shade < 60, "answer": "yes" if number % 2 else "no"})
    schema = Schema.parse({"photo": "image", "dark": {"modality": "category", "role": "meta"}, "answer": COLUMNS["answer"]})
    dataset = prepare(rows, schema, DataConfig(source="", split=SplitConfig(validation=0, test=0)), store=tmp_path / "d", root=tmp_path)
    wrong = np.array([value == "True" for value in dataset.take(range(400), ["dark"])["dark"]])
    bare = dataset.reading(Schema.parse({"photo": "image", "answer": COLUMNS["answer"]}))
    found = find_slices("answer", bare, said(dataset, wrong), Label())
    assert found["slices"][0]["text"].startswith("photo is dark (at most 0.2")


def test_a_page_shows_the_slices(dataset: of.Dataset, tmp_path: Path):
    planted = (column(dataset, "colour") == "red") & (column(dataset, "size") == "large")
    found = find_slices("answer", dataset, said(dataset, planted), Label())
    section = slices_section("answer", found, "accuracy", "k")
    page = write_page(tmp_path / "page.html", "Slices", "over", found["sentences"], [], [section]).read_text(encoding="utf-8")
    for words in ("it fails where", found["slices"][0]["text"], "Worst slices", "lost"):
        assert words in page, words
    none = find_slices("answer", dataset, said(dataset, np.zeros(3000, dtype=bool)), Label())
    empty = slices_section("answer", none, "accuracy", "k")
    assert (list(empty.blocks), empty.note) == ([], none["sentences"][0])
