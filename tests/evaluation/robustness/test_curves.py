"""Curves show what a model stands on: they fall where what it reads is damaged, and nowhere else."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.data.loader import RawRows
from omnifuse.evaluation.collect import collect
from omnifuse.evaluation.evaluation import as_dataset
from omnifuse.evaluation.kinds import kind_of
from omnifuse.evaluation.report.robustness import robustness_section
from omnifuse.evaluation.robustness.corruptions import Known, find_corruption
from omnifuse.evaluation.robustness.curves import robustness, taken_away
from omnifuse.evaluation.robustness.rows import Corrupted, FirstRows
from omnifuse.evaluation.robustness.summaries import Intact, curve_of, effective, effective_sentences, sentences
from omnifuse.page.sections import write_page
from tests.evaluation.conftest import Learned


@pytest.fixture(scope="module")
def rows(learned: Learned, tmp_path_factory: pytest.TempPathFactory) -> of.Dataset:
    """120 rows that the model has not seen."""
    return as_dataset(learned.rows, learned.pipeline.schema, tmp_path_factory.mktemp("store"), learned.folder)


@pytest.fixture(scope="module")
def found(learned: Learned, rows: of.Dataset) -> dict[str, Any]:
    return robustness(learned.pipeline, rows, rows=100)


@pytest.fixture(scope="module")
def one_sided() -> tuple[of.Pipeline, list[dict[str, Any]]]:
    """A model of two numbers and a word, whose target is the sign of `a` alone."""
    random = np.random.default_rng(0)
    made = [{"a": a, "b": b, "word": f"nothing much {int(b > 0)}"} for a, b in random.normal(size=(700, 2)).tolist()]
    table = [{**row, "sign": "plus" if row["a"] > 0 else "minus"} for row in made]
    columns = {"a": "number", "b": "number", "word": "text", "sign": {"modality": "category", "role": "target"}}
    settings = {
        "model": {"dim": 16, "fusion": "concat"},
        "train": {"epochs": 12, "batch_size": 32, "optimizer": {"name": "adamw", "lr": 0.01}},
    }
    return of.fit(table[:300], columns=columns, settings=settings), table[300:]


def test_a_model_that_reads_one_column_is_hurt_by_damage_to_it_alone(one_sided: Any, tmp_path: Path) -> None:
    pipeline, table = one_sided
    told = robustness(pipeline, as_dataset(table, pipeline.schema, tmp_path), rows=400)["sign"]
    noise = {column: told["columns"][column]["curves"]["noise"] for column in ("a", "b")}
    assert told["intact"] > 0.93
    assert noise["a"]["verdict"] == "suffers"
    assert noise["a"]["values"] == sorted(noise["a"]["values"], reverse=True)
    # a sign with noise of twice its deviation added stays right in 1/2 + arctan(1/2)/π of the rows
    assert noise["a"]["values"][-1] == pytest.approx(0.5 + np.arctan(0.5) / np.pi, abs=0.08)
    assert min(noise["b"]["values"]) > told["intact"] - 0.04
    assert noise["a"]["relative"] < 0.8 < 0.9 < noise["b"]["relative"]
    assert told["sentences"][0].startswith(f"For sign, accuracy falls from {told['intact']:.3f} to {noise['a']['values'][-1]:.3f} at the")
    assert "strongest noise of a (2: standard deviation" in told["sentences"][0]
    assert " falls " not in told["sentences"][2]


def test_a_point_is_what_the_model_says_of_rows_that_were_damaged_beforehand(
    learned: Learned, rows: of.Dataset, found: dict[str, Any]
) -> None:
    pipeline, some = learned.pipeline, FirstRows(rows, 100)
    truth = some.take(range(100), ["answer"])["answer"]
    for column, name in (("picture", "noise"), ("picture", "darkness"), ("question", "typos"), ("shop", "replacement")):
        corruption, processor = find_corruption(pipeline.schema[column].modality, name), pipeline.processors[column]
        others = [] if processor.is_media else some.take(range(100), [column])[column]
        about = Known(pipeline.schema[column].modality, processor, others)
        damaged = Corrupted(some, column, corruption, corruption.levels[-1], about)
        head, labels = pipeline.model.head("answer"), pipeline.processors["answer"]
        said = [label for part in pipeline.answers(damaged) for label in labels.decode(head.answer(part["answer"]))]
        curve = found["answer"]["columns"][column]["curves"][name]
        assert curve["values"][-1] == np.mean([a == b for a, b in zip(truth, said, strict=True)])


def test_what_is_taken_away_from_every_row_is_absent(learned: Learned, rows: of.Dataset) -> None:
    told = robustness(learned.pipeline, rows, rows=1000, corruptions=["absent"])
    for column in learned.pipeline.schema.inputs:
        without = of.evaluate(learned.pipeline, rows, absent=[column]).metrics
        for target, metric in (("answer", "accuracy"), ("price", "mae")):
            assert list(told[target]["columns"][column]["curves"]) == ["absent"]
            assert told[target]["columns"][column]["curves"]["absent"]["values"][-1] == pytest.approx(without[target][metric], rel=1e-5)


def test_a_larger_share_takes_the_same_rows_away_and_more() -> None:
    ids = [f"row {number}" for number in range(37)]
    taken = [taken_away(ids, "a", share, 0) for share in (0.25, 0.5, 0.75, 1.0)]
    assert [int(each.sum()) for each in taken] == [9, 18, 28, 37]
    assert all((few <= many).all() for few, many in pairwise(taken))
    assert (taken_away(ids, "b", 0.5, 0) != taken[1]).any()


def test_the_same_seed_gives_the_same_curves_and_another_one_others(learned: Learned, rows: of.Dataset) -> None:
    first, again, other = (
        robustness(learned.pipeline, rows, rows=60, batch_size=size, seed=seed, columns=["size", "question"])["answer"]
        for size, seed in ((60, 0), (7, 0), (60, 1))
    )
    assert first == again
    assert other["intact"] == first["intact"]
    assert other["columns"] != first["columns"]


def test_damage_of_a_row_does_not_depend_on_its_company(learned: Learned, rows: of.Dataset) -> None:
    about = Known("image", learned.pipeline.processors["picture"])
    noise = find_corruption("image", "noise")
    few, many = (Corrupted(FirstRows(rows, count), "picture", noise, 0.2, about) for count in (5, 50))
    files = [damaged.media(damaged.take([4, 4, 2], ["picture"])["picture"]) for damaged in (few, many)]
    assert files[0] == files[1]
    assert files[0][0] == files[0][1] != files[0][2]
    stronger = Corrupted(FirstRows(rows, 5), "picture", noise, 0.4, about)
    assert stronger.media(stronger.take([4], ["picture"])["picture"]) != files[0][:1]


def test_damaged_rows_are_rows_with_one_other_column(learned: Learned, rows: of.Dataset) -> None:
    typos = find_corruption("text", "typos")
    damaged: RawRows = Corrupted(FirstRows(rows, 30), "question", typos, 1.0, Known("text"), seed=5)
    assert len(damaged) == 30
    before, after = rows.take(range(30)), damaged.take(range(30))
    assert {name for name in before if before[name] != after[name]} == {"question"}
    assert all(a != b for a, b in zip(before["question"], after["question"], strict=True))
    assert damaged.media(after["picture"]) == rows.media(before["picture"])


def test_only_the_damaged_column_is_encoded_again(learned: Learned, rows: of.Dataset) -> None:
    calls: Counter[str] = Counter()
    encoders = learned.pipeline.model.encoders
    hooks = [
        encoders[name].register_forward_hook(lambda module, given, out, name=name: calls.update({name: len(out.mask)})) for name in encoders
    ]
    robustness(learned.pipeline, rows, rows=100, columns=["picture"], corruptions=["blur", "noise", "absent"])
    for hook in hooks:
        hook.remove()
    pictures = len(set(rows.take(range(100), ["picture"])["picture"]))
    assert calls["picture"] == pictures + 4 * pictures + 4 * 100  # as they are; blurred alike where they are alike; noise of each row
    assert calls["question"] <= 3


def test_every_kind_of_target_is_scored_as_the_evaluation_does(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table: list[dict[str, Any]] = []
    for number in range(90):
        size, kind = float(random.uniform(0, 3)), int(random.integers(3))
        row: dict[str, Any] = {"size": size, "shop": f"shop {kind}", "price": 3 * size, "count": 2 * size + kind, "item": f"item {kind}"}
        row |= {"tags": ["big"] * (size > 1) + [f"tag {kind}"], "rating": ["poor", "good"][size > 1.5], "name": f"name {number % 12}"}
        table.append({**row, "curve": np.linspace(0, size, 8), "rating": None if number % 5 == 0 else row["rating"]})
    target: Any = {"role": "target"}
    columns: dict[str, Any] = {
        "size": "number",
        "shop": {"modality": "category", "role": "both"},
        "price": {"modality": "number", **target},
        "count": {"modality": "number", **target},
        "tags": {"modality": "set", **target},
        "rating": {"modality": "category", **target},
        "item": {"modality": "id", **target},
        "name": {"modality": "text", "vocabulary": 280, **target},
        "curve": {"modality": "series", **target},
    }
    heads = {
        "price": {"name": "number", "loss": "quantile", "quantiles": [0.1, 0.5, 0.9]},
        "name": "contrastive",
        "curve": {"name": "flow", "width": 8, "depth": 1},
    }
    settings = {"model": {"dim": 8, "fusion": "concat", "heads": heads}, "train.epochs": 1}
    pipeline = of.fit(table, columns=columns, settings=settings)
    data = as_dataset(table, pipeline.schema, tmp_path)
    told = robustness(pipeline, data, batch_size=16, columns=["size", "shop"])
    answers = collect(pipeline, data, batch_size=16)
    assert set(told) == set(pipeline.schema.targets)
    for name, each in told.items():
        kind = kind_of(pipeline.head_config(name))
        assert each["metric"] == kind.main
        assert each["rows"] == len(answers[name].truth)
        assert each["intact"] == pytest.approx(float(kind.row_scores(answers[name]).mean()), rel=1e-6)
        assert each["floor"] == pytest.approx(kind.floor(answers[name])[kind.main])
    assert list(told["shop"]["columns"]) == ["size"]
    assert list(told["price"]["columns"]) == ["size", "shop"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["pictur"]}, 'robustness.columns: unknown input column "pictur"; did you mean "picture"?'),
        ({"columns": ["answer"]}, 'robustness.columns: unknown input column "answer"'),
        ({"corruptions": ["nois"]}, 'robustness.corruptions: unknown corruption "nois"; did you mean "noise"?'),
        ({"columns": ["size"], "corruptions": ["blur"]}, 'robustness.corruptions: unknown corruption "blur"'),
        ({"rows": 0}, "robustness: there is no row to damage"),
    ],
)
def test_what_is_not_there_is_said_with_the_nearest_name(learned: Learned, rows: of.Dataset, options: Any, message: str) -> None:
    with pytest.raises(OmnifuseError) as caught:
        robustness(learned.pipeline, rows, **options)
    assert str(caught.value).startswith(message)


def intact(scores: list[float], floor: float, lower: bool = False) -> Intact:
    return Intact(np.array(scores), np.arange(len(scores)), floor, lower, not lower, 0)


def test_summaries_by_hand() -> None:
    levels = find_corruption("image", "noise")
    curve = curve_of(levels, intact([1, 1, 1, 0], 0.25), np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]))
    assert curve["values"] == [0.75, 0.5, 0.25, 0]
    assert curve["relative"] == pytest.approx((1 + 0.5 + 0 + 0) / 4)  # below the floor counts as nothing
    assert curve["change"] == pytest.approx((0 - 0.25 - 0.5 - 0.75) / 4)
    error = curve_of(levels, intact([1.0, 3.0], 6.0, lower=True), np.array([[1.0, 3.0], [2.0, 4.0], [4.0, 6.0], [9.0, 9.0]]))
    assert error["relative"] == pytest.approx((1 + 3 / 4 + 1 / 4 + 0) / 4)
    assert curve_of(levels, intact([0, 1.0], 0.9), np.zeros((4, 2)))["relative"] is None


def test_intervals_are_over_groups_and_agree_with_theory() -> None:
    random = np.random.default_rng(0)
    scores = (random.random(400) < 0.8).astype(float)
    alone = Intact(scores, np.arange(400), 0.5, False, True, 0)
    error = alone.draw(scores[None]).std()
    assert error == pytest.approx(np.sqrt(scores.mean() * (1 - scores.mean()) / 400), rel=0.1)
    pairs = Intact(np.repeat(scores[:200], 2), np.repeat(np.arange(200), 2), 0.5, False, True, 0)
    assert pairs.draw(pairs.scores[None]).std() == pytest.approx(np.sqrt(2) * error, rel=0.15)


def test_a_curve_is_called_what_its_rows_allow() -> None:
    levels, rows = find_corruption("image", "noise"), 1000
    right = [1.0] * rows
    for wrong, verdict in ((0, "holds"), (2, "holds"), (15, "suffers"), (400, "suffers")):
        scores = np.ones((4, rows))
        scores[-1, :wrong] = 0
        assert curve_of(levels, intact(right, 0.5), scores)["verdict"] == verdict
    assert curve_of(levels, intact([1.0] * 20, 0.5), np.ones((4, 20)))["verdict"] == "unclear"


def test_effective_robustness_by_hand() -> None:
    levels, start = find_corruption("image", "noise"), [1.0] * 10

    def run(lost: int, metric: str = "accuracy", lower: bool = False) -> dict[str, Any]:
        scores = np.ones((4, 10))
        scores[2:, :lost] = 2 if lower else 0
        curve = curve_of(levels, intact(start, 0.5, lower), scores)
        return {"metric": metric, "lower_is_better": lower, "columns": {"photo": {"curves": {"noise": curve}}}}

    better = effective(run(1), run(5))["photo"]["noise"]
    assert better["effective"] == pytest.approx(0.5 * (0.5 - 0.1))
    low, high = better["interval"]
    assert (low + high) / 2 == pytest.approx(better["effective"])
    assert effective(run(3), run(3))["photo"]["noise"]["effective"] == 0
    assert effective(run(5, "mae", True), run(1, "mae", True))["photo"]["noise"]["effective"] == pytest.approx(-0.2)
    assert effective(run(1), {**run(1), "columns": {}}) == {}
    with pytest.raises(OmnifuseError, match="one run is measured by accuracy, the other by mae"):
        effective(run(1), run(1, "mae", True))
    said = effective_sentences("sign", "accuracy", effective(run(0), run(9)), "runs/other")
    assert said == ["For sign, this model loses 0.450 less accuracy than runs/other to noise of photo, on average over the levels."]


def test_damage_that_is_worse_than_absence_is_said_to_be() -> None:
    def told(noisy: int, absent: int, lower: bool = False) -> str:
        start, bad = intact([1.0] * 200, 0.5, lower), 9.0 if lower else 0.0
        scores = {name: np.ones((4, 200)) for name in ("noise", "absent")}
        scores["noise"][-1, :noisy] = scores["absent"][-1, :absent] = bad
        curves = {name: curve_of(find_corruption("image", "noise"), start, each) for name, each in scores.items()}
        found = {"metric": "mae" if lower else "accuracy", "lower_is_better": lower, "intact": 1.0}
        return sentences("sign", {**found, "columns": {"photo": {"curves": curves}}})[0]

    assert told(180, 40).endswith("; without photo it is 0.800, better than with one so damaged.")
    assert told(180, 40, lower=True).endswith("; without photo it is 2.600, better than with one so damaged.")
    assert told(40, 180).endswith("; without photo it is 0.100.")
    assert told(0, 180).startswith("For sign, accuracy hardly changes when photo is damaged (noise): at worst it is 1.000 (from 1.000)")


def test_the_page_says_it_in_words_pictures_and_a_table(found: dict[str, Any], tmp_path: Path) -> None:
    section = robustness_section(found)
    page = write_page(tmp_path / "page.html", "t", "o", [], [], [section]).read_text(encoding="utf-8")
    for target, each in found.items():
        assert each["sentences"]
        assert f"{target}: every damage" in page
        for column in each["columns"]:
            assert f"{target}: {column} damaged" in page
    assert page.count("<svg") == 8
    assert 'class="sortable"' in page
    assert "dropped words" in page
    assert "image, blur: standard deviation, as a share of the shorter side" in page
