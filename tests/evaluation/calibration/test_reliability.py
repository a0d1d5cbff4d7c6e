"""Errors of calibration are what they are by hand, and near nothing where confidence is what it says."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as log_loss_of_sklearn

from omnifuse.evaluation.answers import places_of
from omnifuse.evaluation.calibration.calibration import reliability, true_values
from omnifuse.evaluation.calibration.reliability import (
    bin_table,
    bins_of,
    brier_score,
    calibration_error,
    chance_error,
    error_intervals,
    log_loss,
)
from omnifuse.evaluation.calibration.temperature import fit_temperature
from omnifuse.pipeline.conformal import log_probabilities, temper
from tests.evaluation.calibration.streams import label_answers

EXACT = {"rel": 1e-6, "abs": 1e-9}


def test_the_error_by_hand_of_bins_of_equal_width() -> None:
    """Two bins: (0, 0.5] with 0.4, 0.5 (one right), (0.5, 1] with 0.6, 0.9, 1.0 (two right): 2/5·|0.5 − 0.45| + 3/5·|2/3 − 2.5/3|."""
    confidence, right = np.array([0.4, 0.5, 0.6, 0.9, 1.0]), np.array([1.0, 0, 0, 1, 1])
    bins = bins_of(confidence, 2)
    assert bins.tolist() == [0, 0, 1, 1, 1]
    assert calibration_error(confidence, right, bins) == pytest.approx(0.4 * 0.05 + 0.6 * (0.5 / 3), **EXACT)
    table = bin_table(confidence, right, bins)
    assert [(each["rows"], each["low"], each["high"]) for each in table] == [(2, 0.4, 0.5), (3, 0.6, 1.0)]
    assert table[1]["right"] == pytest.approx(2 / 3)


def test_the_ends_of_fifteen_bins_belong_to_the_bin_below() -> None:
    assert bins_of(np.array([0.0, 1 / 15, 1 / 15 + 1e-6, 14 / 15, 1.0])).tolist() == [0, 0, 1, 13, 14]


def test_bins_of_equal_mass_hold_as_many_rows_and_keep_equal_confidences_together() -> None:
    confidence = np.random.default_rng(0).beta(5, 1, 1500)
    assert np.bincount(bins_of(confidence, equal_mass=True)).tolist() == [100] * 15
    assert len(set(bins_of(np.full(100, 0.7), equal_mass=True).tolist())) == 1


@pytest.mark.parametrize("equal_mass", [False, True], ids=["width", "mass"])
def test_a_stream_that_is_right_as_often_as_it_says_has_next_to_no_error(equal_mass: bool) -> None:
    draw = np.random.default_rng(1)
    confidence = draw.uniform(0.3, 1, 40_000)
    right = (draw.random(40_000) < confidence).astype(float)
    bins = bins_of(confidence, equal_mass=equal_mass)
    assert calibration_error(confidence, right, bins) < 0.01
    chance = chance_error(confidence, bins, 0)
    assert calibration_error(confidence, right, bins) < 1.3 * chance
    interval, gap = error_intervals(confidence, right, bins, None, 0, 1.3 * chance)
    assert interval[0] == 0 < interval[1] < 0.01
    assert gap[0] <= 0 <= gap[1]


@pytest.mark.parametrize("planted", [0.05, 0.12])
def test_a_planted_gap_is_found_and_lies_in_its_interval(planted: float) -> None:
    draw = np.random.default_rng(2)
    confidence = draw.uniform(0.5, 1, 30_000)
    right = (draw.random(30_000) < confidence - planted).astype(float)
    bins = bins_of(confidence)
    assert calibration_error(confidence, right, bins) == pytest.approx(planted, abs=0.006)
    interval, gap = error_intervals(confidence, right, bins, None, 0)
    assert interval[0] < planted < interval[1]
    assert gap[0] < planted < gap[1]
    assert chance_error(confidence, bins, 0) < planted / 3


def test_the_interval_of_the_error_holds_the_true_one_nine_times_of_ten() -> None:
    inside = 0
    for seed in range(100):
        draw = np.random.default_rng([seed, 3])
        confidence = draw.uniform(0.5, 1, 1500)
        right = (draw.random(1500) < confidence - 0.1).astype(float)
        low, high = error_intervals(confidence, right, bins_of(confidence), None, seed, draws=300)[0]
        inside += low <= 0.1 <= high
    assert inside >= 90


def test_rows_that_are_drawn_together_make_intervals_wider() -> None:
    draw = np.random.default_rng(4)
    confidence, group = np.repeat(draw.uniform(0.5, 1, 200), 10), np.repeat(np.arange(200), 10)
    right = np.repeat((draw.random(200) < confidence[::10]).astype(float), 10)
    bins = bins_of(confidence)
    alone, together = (error_intervals(confidence, right, bins, code, 0)[1] for code in (None, group))
    assert 2.5 < (together[1] - together[0]) / (alone[1] - alone[0]) < 4  # √10 = 3.2


def test_brier_and_log_loss_are_those_of_scikit_learn() -> None:
    answers, _ = label_answers(500, 0)
    truth = true_values(answers, "label")
    p = answers.scores.astype(np.float64)
    p /= p.sum(1, keepdims=True)
    ones = np.eye(4)[truth]
    assert brier_score(p, truth) == pytest.approx(((p - ones) ** 2).sum(1).mean(), **EXACT)
    assert brier_score(p[:, :2] / p[:, :2].sum(1, keepdims=True), truth % 2) == pytest.approx(
        2 * brier_score_loss(truth % 2, (p[:, 1] / p[:, :2].sum(1))), **EXACT
    )
    assert log_loss(np.log(p), truth) == pytest.approx(log_loss_of_sklearn(truth, p, labels=range(4)), **EXACT)


def test_a_label_that_the_model_does_not_know_counts_against_it_and_has_no_log_loss() -> None:
    p = np.array([[0.5, 0.5], [0.5, 0.5]])
    truth = places_of(["a", "?"], ["a", "b"])
    assert truth.tolist() == [0, -1]
    assert brier_score(p, truth) == pytest.approx((0.5 + 0.5) / 2)
    assert log_loss(np.log(p), truth) == pytest.approx(np.log(2))
    assert np.isnan(log_loss(np.log(p[1:]), truth[1:]))
    assert fit_temperature(p[1:], truth[1:]) == 1


def test_where_every_answer_is_right_nothing_tells_how_sure_is_too_sure() -> None:
    p = np.random.default_rng(5).uniform(0.6, 0.9, 500)
    assert fit_temperature(np.stack([p, 1 - p], axis=1), np.zeros(500, dtype=np.int64)) == 1
    assert fit_temperature(np.stack([p, 1 - p], axis=1), np.ones(500, dtype=np.int64)) == 1


@pytest.mark.parametrize("planted", [0.4, 1.0, 2.5])
def test_a_planted_temperature_is_found(planted: float) -> None:
    answers, _ = label_answers(40_000, 1, temperature=1 / planted)
    truth = true_values(answers, "label")
    found = fit_temperature(answers.scores, truth)
    assert found == pytest.approx(planted, rel=0.02)
    at_best, beside = (log_loss(log_probabilities(answers.scores) / t, truth) for t in (found, found * 1.05))
    assert at_best < beside


def test_temperature_mends_the_error_and_keeps_the_answers() -> None:
    answers, _ = label_answers(20_000, 2, temperature=0.4)
    truth = true_values(answers, "label")
    said = answers.scores.argmax(1)
    told = temper(answers.scores, fit_temperature(answers.scores, truth))
    assert (told.argmax(1) == said).all()
    np.testing.assert_allclose(told.sum(1), 1)
    before, after = reliability(answers.scores, truth, said), reliability(told, truth, said)
    assert before["ece"] > 0.05 > 4 * after["ece"]
    assert before["gap_interval"][0] > 0.05
    assert after["log_loss"] < before["log_loss"]
    assert after["brier"] < before["brier"]
    assert after["right"] == before["right"]
    np.testing.assert_allclose(temper(answers.scores, 1.0), answers.scores, atol=1e-6)


@pytest.mark.parametrize(("rows", "least"), [(1, 0.5), (10, 0.9), (50, 0.95)])
def test_a_few_rows_that_are_all_right_convict_no_model(rows: int, least: float) -> None:
    convicted = 0
    for seed in range(100):
        generator = np.random.default_rng([rows, seed])
        confidence = generator.uniform(least, 1, rows)
        right = (generator.random(rows) < confidence).astype(np.float64)
        _, (low, high) = error_intervals(confidence, right, bins_of(confidence), None, seed)
        convicted += low > 0 or high < 0
    assert convicted <= 10
