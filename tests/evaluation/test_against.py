"""One model against another on the same rows."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from omnifuse.core.errors import OmnifuseError
from omnifuse.evaluation.against import compare_answers, on_common_rows, seed_figures, welch
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.kinds.label import Label
from omnifuse.evaluation.kinds.number import Number


def labels(right: np.ndarray, rows: list[int] | None = None) -> Answers:
    """Answers that are right where it says so, always with the same probability of it."""
    said = ["a" if hit else "b" for hit in right]
    scores = np.where(right[:, None], [[0.8, 0.2]], [[0.2, 0.8]])
    return Answers(rows or list(range(len(right))), ["a"] * len(right), said, scores, labels=["a", "b"])


def drawn(share: float, seed: int, rows: int = 600) -> np.ndarray:
    return np.random.default_rng(seed).random(rows) < share


def test_a_better_model_is_told_with_its_interval_and_p() -> None:
    ours, theirs = labels(drawn(0.9, 0)), labels(drawn(0.8, 1))
    found = compare_answers("y", Label(), [ours], [theirs], np.arange(600), ("mine", "yours"))
    accuracy = found["metrics"]["accuracy"]
    expected = np.mean(Label().row_scores(ours) - Label().row_scores(theirs))
    assert accuracy["difference"] == pytest.approx(expected) == pytest.approx(accuracy["ours"] - accuracy["theirs"])
    assert accuracy["interval"][0] < expected < accuracy["interval"][1]
    assert found["verdict"] == "better" and found["p"] < 0.001
    assert found["sentences"][0].startswith("For y, mine is better than yours: accuracy 0.")
    back = compare_answers("y", Label(), [theirs], [ours], np.arange(600), ("yours", "mine"))
    assert back["verdict"] == "worse"
    assert back["metrics"]["log_loss"]["difference"] == pytest.approx(-found["metrics"]["log_loss"]["difference"])


def test_a_smaller_error_is_better() -> None:
    truth = np.random.default_rng(0).normal(size=300)
    near, far = (Answers(list(range(300)), truth.tolist(), (truth + off).tolist()) for off in (0.1, 1.0))
    assert compare_answers("y", Number(), [near], [far], np.arange(300), ("a", "b"))["verdict"] == "better"


def test_equal_models_cannot_be_told_apart_and_chance_is_rarely_taken_for_a_difference() -> None:
    same = labels(drawn(0.8, 0))
    found = compare_answers("y", Label(), [same], [same], np.arange(600), ("a", "b"))
    assert found["verdict"] == "unclear" and found["p"] == 1
    assert "cannot be told apart on 600 rows" in found["sentences"][0]
    alarms = 0
    for seed in range(40):
        one, other = (labels(drawn(0.8, 2 * seed + side, 200)) for side in (0, 1))
        alarms += compare_answers("y", Label(), [one], [other], np.arange(200), ("a", "b"))["verdict"] != "unclear"
    assert alarms <= 6


def test_rows_that_belong_together_are_less_sure() -> None:
    ours, theirs = labels(np.repeat(drawn(0.9, 0, 30), 20)), labels(np.repeat(drawn(0.75, 1, 30), 20))
    alone = compare_answers("y", Label(), [ours], [theirs], np.arange(600), ("a", "b"))
    together = compare_answers("y", Label(), [ours], [theirs], np.repeat(np.arange(30), 20), ("a", "b"))
    widths = [np.ptp(found["metrics"]["accuracy"]["interval"]) for found in (alone, together)]
    assert widths[1] > 3 * widths[0]
    assert together["p"] > alone["p"]


def test_several_seeds_are_averaged_and_compared_as_welch_does() -> None:
    ours = [labels(drawn(0.9, seed)) for seed in range(3)]
    theirs = [labels(drawn(0.8, 10 + seed)) for seed in range(4)]
    found = compare_answers("y", Label(), ours, theirs, np.arange(600), ("a", "b"))
    accuracies = [[Label().metrics(each)["accuracy"] for each in side] for side in (ours, theirs)]
    assert found["metrics"]["accuracy"]["ours"] == pytest.approx(np.mean(accuracies[0]))
    expected = stats.ttest_ind(*accuracies, equal_var=False)
    assert found["over_seeds"]["p"] == pytest.approx(expected.pvalue, abs=1e-9)
    ends = expected.confidence_interval()
    assert found["over_seeds"]["interval"] == pytest.approx([ends.low, ends.high], abs=1e-9)


def test_seeds_that_agree_have_no_spread() -> None:
    found = welch([0.9, 0.9], [0.8, 0.8])
    assert (found["difference"], *found["interval"], found["p"]) == pytest.approx((0.1, 0.1, 0.1, 0.0))


def test_figures_of_seeds_have_students_interval() -> None:
    found = seed_figures([{"accuracy": 0.9, "auroc": 0.5}, {"accuracy": 0.8, "auroc": 0.6}, {"accuracy": 0.85}])
    assert list(found) == ["accuracy"]
    expected = stats.t.interval(0.95, 2, loc=0.85, scale=stats.sem([0.9, 0.8, 0.85]))
    assert found["accuracy"]["interval"] == pytest.approx(expected)
    assert seed_figures([{"accuracy": 0.9}])["accuracy"]["interval"] is None


def test_only_rows_that_both_know_are_compared() -> None:
    first, second = labels(np.array([True, False, True])), labels(np.array([False, True, True, True]))
    chosen, places = on_common_rows([first, second], [["r0", "r1", "r2"], ["r2", "r9", "r0", "r8"]], "y")
    assert places == [0, 2]
    assert [each.predicted for each in chosen] == [["a", "a"], ["a", "b"]]
    with pytest.raises(OmnifuseError, match="for y, the runs have no test row in common"):
        on_common_rows([first, second], [["r0", "r1", "r2"], ["x", "y", "z", "w"]], "y")
    second.truth[0] = "b"
    with pytest.raises(OmnifuseError, match="y has other values in the same rows"):
        on_common_rows([first, second], [["r0", "r1", "r2"], ["r2", "r9", "r0", "r8"]], "y")


def test_models_that_know_other_numbers_of_labels_are_compared() -> None:
    rows, generator = 2000, np.random.default_rng(0)
    answers = []
    for count in (12, 60):
        names = [f"label {place:02}" for place in range(count)]
        scores = generator.dirichlet(np.ones(count), rows)
        truth = [names[place] for place in np.arange(rows) % 12]
        answers.append(Answers(list(range(rows)), truth, [names[place] for place in scores.argmax(1)], scores, labels=names))
    figures = compare_answers("y", Label(), answers[:1], answers[1:], np.arange(rows), ("a", "b"))["metrics"]["auroc"]
    assert figures["interval"][0] < figures["difference"] < figures["interval"][1]


def test_one_row_tells_no_difference() -> None:
    one = labels(np.array([True]))
    found = compare_answers("y", Label(), [one], [one], np.arange(1), ("a", "b"))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["sentences"] == [
        "For y, a and b cannot be told apart on 1 rows: accuracy 1.000 and 1.000, difference +0.0000 (one group of rows has no interval),"
        " p = 1.000."
    ]
