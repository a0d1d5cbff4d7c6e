"""Every metric is the textbook's, on hand-worked cases and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from omnifuse.core.errors import OmnifuseError
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.intervals import metric_intervals
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.kinds.label import Label, OrderedLabel
from omnifuse.evaluation.kinds.labels import Labels
from omnifuse.evaluation.kinds.number import Number
from omnifuse.evaluation.kinds.quantiles import Quantiles
from omnifuse.evaluation.kinds.ranking import Ranking
from omnifuse.evaluation.kinds.sample import Sample
from omnifuse.evaluation.kinds.text import Text
from omnifuse.evaluation.metrics import check_monitor, is_better

EXACT = {"rel": 0, "abs": 1e-9}


def label_metrics(truth: list[str], said: list[str], shares: np.ndarray, labels: list[str]) -> dict[str, float]:
    return Label().metrics(Answers(truth=truth, predicted=said, scores=shares, labels=labels))


def number_metrics(truth: np.ndarray, said: np.ndarray) -> dict[str, float]:
    return Number().metrics(Answers(truth=truth.tolist(), predicted=said.tolist()))


def predicted(probabilities: np.ndarray, labels: list[str]) -> list[str]:
    return [labels[i] for i in probabilities.argmax(axis=1)]


def test_two_labels_by_hand() -> None:
    labels = ["no", "yes"]
    truth = ["yes", "yes", "no", "no"]
    shares = np.array([[0.2, 0.8], [0.6, 0.4], [0.9, 0.1], [0.5, 0.5]])
    found = label_metrics(truth, ["yes", "no", "no", "no"], shares, labels)
    assert found["accuracy"] == pytest.approx(3 / 4, **EXACT)
    assert found["balanced_accuracy"] == pytest.approx((1 / 2 + 1) / 2, **EXACT)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2, **EXACT)
    assert found["auroc"] == pytest.approx(3 / 4, **EXACT)  # of 4 pairs yes/no, 3 are in order
    assert found["log_loss"] == pytest.approx(-math.log(0.8 * 0.4 * 0.9 * 0.5) / 4, **EXACT)
    assert found["auprc"] == pytest.approx((1 + 2 / 3) / 2, **EXACT)  # 0.8 comes first, 0.4 third
    assert tuple(found) == tuple(name for name in Label.names if name != "top5_accuracy")


def test_an_area_counts_ties_as_half() -> None:
    shares = np.array([[0.5, 0.5], [0.5, 0.5], [0.9, 0.1]])
    found = label_metrics(["yes", "no", "no"], ["no"] * 3, shares, ["no", "yes"])
    assert found["auroc"] == pytest.approx(0.75, **EXACT)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), classes=st.integers(2, 8), rows=st.integers(12, 60))
def test_categories_equal_scikit_learn(seed: int, classes: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    labels = [f"label {i}" for i in range(classes)]
    ids = np.concatenate([np.arange(classes), random.integers(0, classes, rows)])
    truth = [labels[i] for i in ids]
    shares = random.dirichlet(np.ones(classes), len(ids))
    answers = predicted(shares, labels)
    found = label_metrics(truth, answers, shares, labels)
    expected = {
        "accuracy": sk.accuracy_score(truth, answers),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, answers),
        "macro_f1": sk.f1_score(truth, answers, labels=labels, average="macro", zero_division=0),
        "log_loss": sk.log_loss(truth, shares, labels=labels),
        "auroc": sk.roc_auc_score(ids, shares[:, 1] if classes == 2 else shares, multi_class="ovr", average="macro"),
        "auprc": sk.average_precision_score(ids == 1, shares[:, 1])
        if classes == 2
        else sk.average_precision_score(np.eye(classes)[ids], shares, average="macro"),
    }
    if classes > 5:
        expected["top5_accuracy"] = sk.top_k_accuracy_score(ids, shares, k=5)
    assert found == pytest.approx(expected, **EXACT)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-1e4, 1e4, allow_subnormal=False)] * 2), min_size=2, max_size=30).filter(
        lambda pairs: np.ptp([t for t, _ in pairs]) > 1e-3
    )
)
def test_numbers_equal_scikit_learn(pairs: list[tuple[float, float]]) -> None:
    truth, answers = (np.array(values) for values in zip(*pairs, strict=True))
    found = number_metrics(truth, answers)
    expected = {
        "mae": sk.mean_absolute_error(truth, answers),
        "rmse": sk.root_mean_squared_error(truth, answers),
        "r2": sk.r2_score(truth, answers),
    }
    if np.abs(truth).min() > 0:
        expected["mape"] = sk.mean_absolute_percentage_error(truth, answers)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_numbers_by_hand() -> None:
    found = number_metrics(np.array([1.0, 2.0, 6.0]), np.array([2.0, 2.0, 3.0]))
    assert found == pytest.approx({"mae": 4 / 3, "rmse": math.sqrt(10 / 3), "r2": 1 - 10 / 14, "mape": (1 + 0 + 1 / 2) / 3}, **EXACT)
    assert tuple(found) == Number.names


def test_numbers_that_are_all_the_same_have_no_r2() -> None:
    assert number_metrics(np.array([3.0, 3.0]), np.array([3.0, 5.0])) == pytest.approx(
        {"mae": 1, "rmse": math.sqrt(2), "mape": 1 / 3}, **EXACT
    )


def test_one_row_has_an_error_and_no_r2() -> None:
    assert number_metrics(np.array([3.0]), np.array([5.0])) == pytest.approx({"mae": 2, "rmse": 2, "mape": 2 / 3}, **EXACT)


def test_a_label_the_model_does_not_know_counts_as_wrong() -> None:
    labels = ["a", "b"]
    shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1], [0.6, 0.4]])
    found = label_metrics(["a", "b", "new", "new"], predicted(shares, labels), shares, labels)
    assert found["accuracy"] == pytest.approx(2 / 4, **EXACT)
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 + 0) / 3, **EXACT)
    assert found["macro_f1"] == pytest.approx((2 * (1 / 3) / (1 / 3 + 1) + 1 + 0) / 3, **EXACT)
    assert found["log_loss"] == pytest.approx(-math.log(0.9 * 0.8) / 2, **EXACT)  # over the rows whose label it knows
    assert found["auroc"] == pytest.approx(1, **EXACT)


def test_only_labels_the_model_does_not_know() -> None:
    found = label_metrics(["new", "newer"], ["a", "b"], np.array([[0.9, 0.1], [0.2, 0.8]]), ["a", "b"])
    assert found == {"accuracy": 0, "balanced_accuracy": 0, "macro_f1": 0}


@pytest.mark.parametrize("label", ["a", "b"])
def test_a_test_set_of_one_class_has_no_area(label: str) -> None:
    shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    found = label_metrics([label] * 3, predicted(shares, ["a", "b"]), shares, ["a", "b"])
    right = {"a": 2 / 3, "b": 1 / 3}[label]
    assert "auroc" not in found
    assert found["accuracy"] == found["balanced_accuracy"] == pytest.approx(right, **EXACT)
    assert math.isfinite(found["log_loss"])


def test_areas_are_averaged_over_the_labels_that_occur() -> None:
    labels = ["a", "b", "c"]
    shares = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4], [0.4, 0.5, 0.1]])
    found = label_metrics(["a", "b", "b"], predicted(shares, labels), shares, labels)
    assert found["auroc"] == pytest.approx((1 + 1) / 2, **EXACT)
    other = np.array([[0.3, 0.6, 0.1], [0.5, 0.4, 0.1], [0.1, 0.9, 0.0]])
    found = label_metrics(["a", "b", "b"], predicted(other, labels), other, labels)
    assert found["auroc"] == pytest.approx((1 / 2 + 1 / 2) / 2, **EXACT)


def test_probabilities_in_single_precision_are_taken_as_they_are() -> None:
    shares = np.array([[0.1, 0.2, 0.7]] * 5, dtype=np.float32)
    found = label_metrics(["c"] * 5, ["c"] * 5, shares, ["a", "b", "c"])
    assert found["log_loss"] == pytest.approx(-math.log(0.7), abs=1e-6)


def test_the_main_metric_is_the_mean_of_the_scores_of_the_rows() -> None:
    given = Answers(truth=["a", "b", "a"], predicted=["a", "a", "a"], scores=np.array([[0.9, 0.1]] * 3), labels=["a", "b"])
    assert Label().row_scores(given).tolist() == [1, 0, 1]
    assert Label().row_scores(given).mean() == pytest.approx(Label().metrics(given)[Label.main], **EXACT)
    given = Answers(truth=[1.0, 2.0, 4.0], predicted=[1.5, 2.0, 1.0])
    assert Number().row_scores(given).tolist() == [0.5, 0, 3]
    assert Number().row_scores(given).mean() == pytest.approx(Number().metrics(given)[Number.main], **EXACT)


@pytest.mark.parametrize(
    ("metric", "new", "old", "better"),
    [("accuracy", 0.9, 0.8, True), ("accuracy", 0.8, 0.8, False), ("mae", 1, 2, True), ("mae", 2, 1, False), ("loss", 1, 1, False)],
)
def test_which_value_is_better(metric: str, new: float, old: float, better: bool) -> None:
    assert is_better(metric, new, old) is better


def test_what_may_be_watched() -> None:
    targets = {"answer": Label.names, "a.price": Number.names}
    for good in ("loss", "answer.accuracy", "answer.auroc", "a.price.mae"):
        check_monitor(good, targets)
    with pytest.raises(OmnifuseError, match=r'train.monitor: .*"acuracy"; did you mean "accuracy"'):
        check_monitor("answer.acuracy", targets)
    with pytest.raises(OmnifuseError, match=r'train.monitor: .*"anwser.accuracy"; did you mean "answer.accuracy"'):
        check_monitor("anwser.accuracy", targets)
    with pytest.raises(OmnifuseError, match=r"train\.monitor"):
        check_monitor("accuracy", targets)


def test_a_truth_of_zero_has_no_relative_error() -> None:
    assert "mape" not in number_metrics(np.array([0.0, 2.0]), np.array([1.0, 2.0]))


def many_kinds() -> list[tuple[Kind, Answers]]:
    random = np.random.default_rng(0)
    rows, labels = 40, ["a", "b", "c", "d", "e", "f"]
    shares = random.dirichlet(np.ones(6), rows).round(2) + 0.01  # with ties
    truth, said = [labels[i] for i in random.integers(0, 6, rows)], [labels[i] for i in shares.argmax(axis=1)]
    numbers = random.normal(size=rows).tolist()
    quantiles = np.sort(random.normal(size=(rows, 3)), axis=1)
    sets = [tuple(label for label, there in zip(labels, row, strict=True) if there) for row in random.random((rows, 6)) < 0.4]
    said_sets = [tuple(label for label, there in zip(labels, row, strict=True) if there) for row in shares > 0.2]
    texts = ["a red circle", "a blue square", "one of many"] * 14
    return [
        (Label(), Answers(truth=truth, predicted=said, scores=shares, labels=labels)),
        (OrderedLabel(), Answers(truth=truth, predicted=said, scores=shares, labels=labels)),
        (Labels(), Answers(truth=sets, predicted=said_sets, scores=shares, labels=labels)),
        (Number(), Answers(truth=numbers, predicted=random.normal(size=rows).tolist())),
        (Quantiles((0.1, 0.5, 0.9)), Answers(truth=numbers, predicted=quantiles[:, 1].tolist(), scores=quantiles)),
        (Ranking(), Answers(truth=truth, predicted=said, scores=random.integers(0, 20, rows).astype(float), labels=labels)),
        (Text(), Answers(truth=texts[:rows], predicted=texts[1 : rows + 1])),
        (Sample(), Answers(truth=numbers, predicted=[None] * rows, scores=random.random((rows, 1)))),
    ]


@pytest.mark.parametrize("place", range(8))
def test_a_weight_counts_a_row_as_often_as_it_says(place: int) -> None:
    kind, given = many_kinds()[place]
    random = np.random.default_rng(1)
    weights = random.integers(0, 3, (5, 40))
    weights[0] = random.random(40) < 0.5  # a group of rows
    found = kind.measure(given)(weights.astype(float))
    fixed = {"cider"}  # what is rare is told by all rows
    for draw, times in enumerate(weights):
        rows = np.repeat(np.arange(40), times)
        again = Answers(
            truth=[given.truth[i] for i in rows],
            predicted=[given.predicted[i] for i in rows],
            scores=given.scores[rows] if len(given.scores) else given.scores,
            labels=given.labels,
        )
        expected = kind.metrics(again)
        assert {name: found[name][draw] for name in expected if name not in fixed} == pytest.approx(
            {name: value for name, value in expected.items() if name not in fixed}, rel=1e-6, abs=1e-9
        )


@pytest.mark.parametrize("place", range(8))
def test_what_is_slow_can_be_left_out(place: int) -> None:
    kind, given = many_kinds()[place]
    found = kind.measure(given, leave_out=kind.slow)(np.ones((2, 40)))
    assert not set(found) & set(kind.slow)
    assert {name: value[0] for name, value in found.items()} == pytest.approx({n: v for n, v in kind.metrics(given).items() if n in found})


def test_a_metric_that_a_group_does_not_allow_is_no_number() -> None:
    given = Answers(
        truth=["a", "a", "b"], predicted=["a", "b", "b"], scores=np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]), labels=["a", "b"]
    )
    found = Label().measure(given)(np.array([[1.0, 1, 0], [0, 0, 0], [1, 1, 1]]))
    assert found["accuracy"].tolist() == pytest.approx([0.5, math.nan, 2 / 3], nan_ok=True)
    assert found["auroc"].tolist() == pytest.approx([math.nan, math.nan, 1], nan_ok=True)


def test_rows_that_are_all_right_leave_room_for_what_they_did_not_show() -> None:
    def interval(rows: int, said: str, clusters: int) -> list[float]:
        scores = np.tile([[0.9, 0.1]] if said == "a" else [[0.1, 0.9]], (rows, 1))
        answers = Answers(list(range(rows)), ["a"] * rows, [said] * rows, scores, labels=["a", "b"])
        return metric_intervals(Label(), answers, np.arange(rows) % clusters, 0)["accuracy"]

    assert interval(30, "a", 30) == pytest.approx([0.9, 1])  # 0.9 ** 30 = 0.042
    assert interval(30, "a", 10) == pytest.approx([0.7, 1])
    assert interval(30, "b", 30) == pytest.approx([0, 0.1])
    assert interval(1, "b", 1) == [0, 1]
