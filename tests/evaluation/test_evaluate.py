"""Judging a pipeline: the same figures from every kind of data, and nothing changed by it."""

from __future__ import annotations

import copy
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.config import EvaluateConfig
from omnifuse.evaluation.evaluation import Evaluation
from omnifuse.evaluation.kinds.label import Label
from omnifuse.evaluation.kinds.number import Number
from tests.evaluation.conftest import Learned

QUICK = EvaluateConfig(shuffle=False)


@pytest.fixture(scope="module")
def judged(learned: Learned) -> Evaluation:
    return of.evaluate(learned.pipeline, learned.rows, root=learned.folder)


def same_figures(one: Evaluation, other: Evaluation) -> None:
    assert list(one.metrics) == list(other.metrics)
    for target, metrics in one.metrics.items():
        assert metrics == pytest.approx(other.metrics[target], rel=1e-5, abs=1e-6)


def write_csv(rows: list[dict[str, Any]], path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_path_a_list_and_a_data_frame_give_the_same_figures(learned: Learned, judged: Evaluation) -> None:
    assert judged.rows == len(learned.rows)
    assert judged.metrics["answer"]["accuracy"] > 0.8
    path = write_csv(learned.rows, learned.folder / "judged.csv")
    same_figures(of.evaluate(learned.pipeline, path, config=QUICK), judged)
    same_figures(of.evaluate(learned.pipeline, str(path), config=QUICK), judged)
    same_figures(of.evaluate(learned.pipeline, pd.DataFrame(learned.rows), root=learned.folder, config=QUICK), judged)


def test_a_dataset_is_judged_on_its_test_split_or_the_split_that_was_taken(learned: Learned) -> None:
    dataset = learned.dataset
    assert len(dataset.split("test")) not in (0, len(dataset))
    whole = of.evaluate(learned.pipeline, dataset, config=QUICK)
    taken = of.evaluate(learned.pipeline, dataset.split("test"), config=QUICK)
    assert (whole.split, whole.rows) == ("test", len(dataset.split("test")))
    assert whole.metrics == taken.metrics
    train = of.evaluate(learned.pipeline, dataset, split="train", config=QUICK)
    assert (train.split, train.rows) == ("train", len(dataset.split("train")))


def test_an_unknown_split_is_named_with_the_nearest(learned: Learned) -> None:
    with pytest.raises(OmnifuseError, match='unknown split "tset"; did you mean "test"'):
        of.evaluate(learned.pipeline, learned.dataset, split="tset")


def test_the_figures_are_those_of_the_predictions(learned: Learned, judged: Evaluation) -> None:
    answers = learned.pipeline.predict(learned.rows, root=learned.folder, probabilities=True)
    labels = ["no", "yes"]
    shares = np.array([[answer["answer_probabilities"][label] for label in labels] for answer in answers])
    truth = [row["answer"] for row in learned.rows]
    said = [answer["answer"] for answer in answers]
    expected = Label().metrics(Answers(truth=truth, predicted=said, scores=shares, labels=labels))
    assert judged.metrics["answer"] == pytest.approx(expected, abs=1e-5)
    truths, prices_said = [row["price"] for row in learned.rows], [answer["price"] for answer in answers]
    prices = Number().metrics(Answers(truth=truths, predicted=prices_said))
    assert judged.metrics["price"] == pytest.approx(prices, rel=1e-5)


def test_the_order_and_number_of_rows_at_a_time_change_nothing(learned: Learned, judged: Evaluation) -> None:
    same_figures(of.evaluate(learned.pipeline, learned.rows[::-1], root=learned.folder, config=QUICK), judged)
    few = EvaluateConfig(shuffle=False, batch_size=7)
    same_figures(of.evaluate(learned.pipeline, learned.rows, root=learned.folder, config=few), judged)


def test_the_interval_contains_the_figure_and_narrows_with_rows(learned: Learned, judged: Evaluation) -> None:
    for target, metric in (("answer", "accuracy"), ("price", "mae")):
        low, high = judged.details["intervals"][target][metric]
        assert low <= judged.metrics[target][metric] <= high
    few = of.evaluate(learned.pipeline, learned.rows[:12], root=learned.folder, config=QUICK)
    low, high = few.details["intervals"]["price"]["mae"]
    assert high - low > 1.5 * np.ptp(judged.details["intervals"]["price"]["mae"]) > 0


def test_the_interval_is_that_of_the_binomial_for_an_accuracy(learned: Learned) -> None:
    wrong = [{**row, "answer": "yes" if i % 4 else "no", "size": 1.0 + i} for i, row in enumerate(learned.rows * 5)]
    found = of.evaluate(learned.pipeline, wrong, root=learned.folder, config=QUICK)
    share = found.metrics["answer"]["accuracy"]
    low, high = found.details["intervals"]["answer"]["accuracy"]
    half = 1.96 * np.sqrt(share * (1 - share) / len(wrong))
    assert (low, high) == pytest.approx((share - half, share + half), abs=half / 4)


def test_a_row_that_is_there_five_times_is_no_more_sure_than_once(learned: Learned) -> None:
    wrong = [{**row, "answer": "yes" if i % 4 else "no"} for i, row in enumerate(learned.rows)]
    once, often = (of.evaluate(learned.pipeline, rows, root=learned.folder, config=QUICK) for rows in (wrong, wrong * 5))
    for metric, (low, high) in once.details["intervals"]["answer"].items():
        again = often.details["intervals"]["answer"][metric]
        assert again[1] - again[0] == pytest.approx(high - low, rel=0.15)


def test_every_metric_has_an_interval_that_holds_it(judged: Evaluation) -> None:
    for target, metrics in judged.metrics.items():
        for metric, value in metrics.items():
            low, high = judged.details["intervals"][target][metric]
            assert low - 1e-6 <= value <= high + 1e-6, (target, metric)


def test_the_floor_is_the_best_answer_that_looks_at_nothing(learned: Learned, judged: Evaluation) -> None:
    truth = [row["answer"] for row in learned.rows]
    assert judged.details["floor"]["answer"] == {"answer": "no", "accuracy": pytest.approx(truth.count("no") / len(truth))}
    prices = np.array([row["price"] for row in learned.rows])
    median = np.median(prices)
    assert judged.details["floor"]["price"] == pytest.approx({"answer": median, "mae": np.abs(prices - median).mean()})


def test_the_confusion_matrix_and_the_table_of_labels_add_up(learned: Learned, judged: Evaluation) -> None:
    confusion = judged.details["confusion"]["answer"]
    counts = np.array(confusion["counts"])
    assert (confusion["labels"], confusion["of"]) == (["no", "yes"], 2)
    assert counts.sum() == len(learned.rows)
    assert counts.trace() / counts.sum() == pytest.approx(judged.metrics["answer"]["accuracy"])
    for i, line in enumerate(judged.details["classes"]["answer"]):
        assert line["rows"] == counts[i].sum()
        assert line["recall"] == pytest.approx(counts[i, i] / counts[i].sum())
        assert line["precision"] == pytest.approx(counts[i, i] / counts[:, i].sum())
    assert "price" not in judged.details["confusion"]


def test_a_label_that_was_never_seen_counts_as_wrong(learned: Learned) -> None:
    rows = [{**row, "answer": "perhaps" if i % 4 == 0 else row["answer"]} for i, row in enumerate(learned.rows)]
    found = of.evaluate(learned.pipeline, rows, root=learned.folder, config=QUICK)
    known = of.evaluate(learned.pipeline, [row for row in rows if row["answer"] != "perhaps"], root=learned.folder, config=QUICK)
    assert found.metrics["answer"]["accuracy"] == pytest.approx(known.metrics["answer"]["accuracy"] * 0.75)
    assert found.metrics["answer"]["log_loss"] == pytest.approx(known.metrics["answer"]["log_loss"], rel=1e-5)
    assert found.details["confusion"]["answer"]["labels"] == ["no", "perhaps", "yes"]


def test_a_test_set_with_one_class_is_judged_without_an_area(learned: Learned) -> None:
    rows = [row for row in learned.rows if row["answer"] == "no"]
    found = of.evaluate(learned.pipeline, rows, root=learned.folder, config=QUICK)
    assert "auroc" not in found.metrics["answer"]
    assert found.metrics["answer"]["accuracy"] > 0.8
    assert found.details["floor"]["answer"] == {"answer": "no", "accuracy": 1}


def test_a_single_row_is_judged(learned: Learned) -> None:
    found = of.evaluate(learned.pipeline, learned.rows[:1], root=learned.folder)
    assert found.rows == 1
    assert found.metrics["answer"]["accuracy"] in (0, 1)
    json.dumps(found.details, allow_nan=False)


def test_rows_with_one_target_absent_are_judged_on_the_other(learned: Learned) -> None:
    rows = [{**row, "price": None if i % 3 else row["price"]} for i, row in enumerate(learned.rows)]
    found = of.evaluate(learned.pipeline, rows, root=learned.folder)
    assert len(found.answers["price"].truth) == len(rows) / 3
    assert len(found.answers["answer"].truth) == len(rows)
    truth = np.array([row["price"] for row in learned.rows[::3]])
    guesses = [answer["price"] for answer in learned.pipeline.predict(learned.rows[::3], root=learned.folder)]
    assert found.metrics["price"]["mae"] == pytest.approx(np.abs(truth - guesses).mean(), rel=1e-5)


def test_rows_without_any_target_are_refused(learned: Learned) -> None:
    with pytest.raises(OmnifuseError) as caught:
        of.evaluate(learned.pipeline, [{**row, "answer": None, "price": None} for row in learned.rows], root=learned.folder)
    message = str(caught.value)
    assert "target" in message or "answer" in message, message
    assert "train" not in message, message  # nothing is being trained here
    assert "\n" not in message


def test_rows_without_any_target_name_them(learned: Learned) -> None:
    with pytest.raises(OmnifuseError, match="no row is left: none of 120 has a value in a target"):
        of.evaluate(learned.pipeline, [{**row, "answer": None, "price": None} for row in learned.rows], root=learned.folder)


def test_a_table_without_the_column_of_a_target_names_it(learned: Learned) -> None:
    rows = [{("anwser" if name == "answer" else name): value for name, value in row.items()} for row in learned.rows]
    with pytest.raises(OmnifuseError, match='unknown column "answer"; did you mean "anwser"'):
        of.evaluate(learned.pipeline, rows, root=learned.folder)


def test_no_rows_are_refused(learned: Learned) -> None:
    with pytest.raises(OmnifuseError, match="empty"):
        of.evaluate(learned.pipeline, [])


@pytest.mark.parametrize("training", [True, False])
def test_mode_weights_and_gradients_stay_as_they_were(learned: Learned, training: bool) -> None:
    model = learned.pipeline.model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    was = model.training
    model.train(training)
    try:
        of.evaluate(learned.pipeline, learned.rows[:20], root=learned.folder)
        assert all(module.training is training for module in model.modules())
    finally:
        model.train(was)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_encoders_run_once_for_each_different_value(learned: Learned) -> None:
    model = learned.pipeline.model
    seen: dict[str, list[int]] = {name: [] for name in learned.pipeline.schema.inputs}
    hooks = [
        model.encoders[name].register_forward_hook(lambda _, given, __, name=name: seen[name].append(len(given[0])))
        for name in learned.pipeline.schema.inputs
    ]
    try:
        of.evaluate(learned.pipeline, learned.rows * 3, root=learned.folder, config=EvaluateConfig(batch_size=50))
    finally:
        for hook in hooks:
            hook.remove()
    for name in seen:
        assert sum(seen[name]) == len({row[name] for row in learned.rows}), name
    assert seen["picture"] == [12]
    assert seen["question"] == [3]
    assert max(seen["size"]) == 50


def test_the_files_have_their_layout_and_keep_other_splits(learned: Learned, judged: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"validation": {"answer": {"accuracy": 0.5}}, "test": {"old": {}}}')
    judged.save(tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["validation"] == {"answer": {"accuracy": 0.5}}
    assert list(metrics["test"]) == ["answer", "price"]
    assert metrics["test"] == judged.metrics
    assert all(isinstance(value, float) for values in metrics["test"].values() for value in values.values())
    details = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert (details["split"], details["rows"]) == ("test", len(learned.rows))
    assert {"intervals", "floor", "shuffle", "classes", "confusion"} <= set(details)
    for target in ("answer", "price"):
        test = details["shuffle"][target]
        assert set(test) == {"metric", "intact", "rows", "columns", "sentences"}
        assert list(test["columns"]) == learned.pipeline.schema.inputs
        assert all(set(column) == {"shuffled", "worsening", "interval", "used", "verdict"} for column in test["columns"].values())
    assert not list(tmp_path.glob(".writing-*"))


def test_two_evaluations_give_the_same_files(learned: Learned, judged: Evaluation, tmp_path: Path) -> None:
    again = of.evaluate(learned.pipeline, learned.rows, root=learned.folder)
    for name, evaluation in (("one", judged), ("two", again)):
        (tmp_path / name).mkdir()
        evaluation.save(tmp_path / name)
    for file in ("metrics.json", "evaluation.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_table_may_lack_inputs_and_say_nothing_of_a_target(learned: Learned) -> None:
    rows = [{**{name: value for name, value in row.items() if name != "shop"}, "price": None} for row in learned.rows]
    found = of.evaluate(learned.pipeline, rows, root=learned.folder, config=QUICK)
    assert list(found.metrics) == ["answer"]
    assert found.lacking == ["shop", "price"]
    assert found.sentences()[0] == "No row has a value in shop and price."
    emptied = [{**row, "shop": None, "price": None} for row in learned.rows]
    assert found.metrics == of.evaluate(learned.pipeline, emptied, root=learned.folder, config=QUICK).metrics


def test_confidence_is_judged_by_what_rows_have_when_a_column_is_taken_away(learned: Learned) -> None:
    rows = learned.dataset.split("test")
    whole = of.evaluate(learned.pipeline, rows)
    pipeline = copy.copy(learned.pipeline)
    pipeline.calibration = whole.calibration
    found = of.evaluate(pipeline, rows, absent=["shop"]).details["calibration"]["answer"]
    assert found["coverage"]["0.9"]["patterns"]
    assert all("shop" not in each["columns"] for each in found["coverage"]["0.9"]["patterns"])
