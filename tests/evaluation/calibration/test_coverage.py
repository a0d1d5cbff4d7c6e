"""Sets and intervals hold the truth as often as was asked, by what a row has, and what chance makes of it is known."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta, binom

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.calibration.calibration import calibrate_target, judge_calibration, true_values
from omnifuse.evaluation.calibration.coverage import Threshold, coverage_table, expected_interval, expected_of_all
from omnifuse.evaluation.calibration.effective_rows import effective_rows
from omnifuse.evaluation.kinds.label import Label
from omnifuse.evaluation.kinds.number import Number
from omnifuse.evaluation.kinds.quantiles import Quantiles
from omnifuse.pipeline.calibration import LEVELS, Calibration
from omnifuse.pipeline.conformal import Scores, intervals, label_scores, label_sets, number_scores, rows_needed, true_label_scores
from tests.evaluation.calibration.streams import PATTERNS, label_answers, number_answers

ROWS = 24_000
MANY = 120_000  # 30,000 of each pattern: a point is three deviations of what chance makes of both halves
TARGETS: dict[str, tuple[str, Any, Any]] = {
    "lac": ("label", "lac", label_answers),
    "aps": ("label", "aps", label_answers),
    "residual": ("number", "residual", number_answers),
    "cqr": ("quantiles", "cqr", partial(number_answers, levels=3)),
}


@pytest.mark.parametrize("method", list(TARGETS))
def test_coverage_is_within_a_point_of_all_rows_and_of_each_pattern(method: str) -> None:
    tells, used, made = TARGETS[method]
    known = calibrate_target(tells, *made(MANY, 0, even=True), method=used)
    assert set(known.patterns) == set(PATTERNS)
    answers, patterns = made(MANY, 1, even=True)
    truth = true_values(answers, tells)
    for level in LEVELS:
        table = coverage_table(known, answers.scores, truth, patterns, [], level)
        assert table["overall"]["covered"] == pytest.approx(level, abs=0.01)
        assert table["overall"]["expected"][0] < level < table["overall"]["expected"][1]
        for each in table["patterns"]:
            assert each["own"]
            assert each["covered"] == pytest.approx(level, abs=0.01)
        assert sum(each["inside"] for each in table["patterns"]) >= len(PATTERNS) - 1
    off = max(abs(each["covered_by_common"] - 0.95) for each in table["patterns"])
    assert (off > 0.03) or method == "aps"  # one threshold for all does not do it


@pytest.mark.parametrize("method", list(TARGETS))
def test_hard_rows_have_larger_sets_and_wider_intervals(method: str) -> None:
    tells, used, made = TARGETS[method]
    known = calibrate_target(tells, *made(6_000, 2), method=used)
    answers, patterns = made(6_000, 3)
    table = coverage_table(known, answers.scores, true_values(answers, tells), patterns, [], 0.9)
    size = {tuple(each["columns"]): each["size"] for each in table["patterns"]}
    assert size[PATTERNS[0]] < size[PATTERNS[1]] < size[PATTERNS[3]]


def test_the_smallest_sets_are_those_of_lac() -> None:
    sizes = {}
    for method in ("lac", "aps"):
        known = calibrate_target("label", *label_answers(ROWS, 4), method=method)
        answers, patterns = label_answers(ROWS, 5)
        table = coverage_table(known, answers.scores, true_values(answers, "label"), patterns, [], 0.9)
        sizes[method] = table["overall"]["size"]
    assert sizes["lac"] < sizes["aps"]


@pytest.mark.parametrize(
    ("rows", "coverage", "rank"), [(9, 0.9, 9), (8, 0.9, None), (19, 0.95, 19), (18, 0.95, None), (99, 0.9, 90), (10, 0.9, 10)]
)
def test_the_rank_of_the_threshold_by_hand(rows: int, coverage: float, rank: int | None) -> None:
    scores = Scores.of(np.random.default_rng(0).permutation(rows) + 1.0)
    assert scores.rank(coverage) == scores.tied_rank(coverage) == rank
    assert scores.threshold(coverage) == (np.inf if rank is None else rank)
    assert (rows < rows_needed(coverage)) == (rank is None)


def test_of_many_scores_two_thousand_are_kept_and_thresholds_are_never_too_low() -> None:
    scores = np.random.default_rng(1).permutation(54_321) + 1.0
    kept = Scores.of(scores)
    assert len(kept.kept) == 2_000
    for coverage in (0.001, 0.5, 0.8, 0.9, 0.95, 0.999, 0.9999):
        exact = int(np.ceil((len(scores) + 1) * coverage - 1e-9))
        rank = kept.rank(coverage)
        assert rank is not None
        assert exact <= rank <= exact + len(scores) / 2_000
        assert kept.threshold(coverage) == rank
    assert kept.rank(0.999_999) is None
    again = Scores.parse(kept.dump())
    np.testing.assert_array_equal(again.kept, kept.kept)


def test_scores_by_hand() -> None:
    p = np.array([[0.2, 0.5, 0.3]])
    np.testing.assert_allclose(label_scores(p, "lac"), [[0.8, 0.5, 0.7]])
    scores = label_scores(p, "aps", seed=3)
    u = scores[0, 1] / 0.5
    assert 0 <= u < 1
    np.testing.assert_allclose(scores, [[0.8 + u * 0.2, u * 0.5, 0.5 + u * 0.3]])
    assert scores[0, 1] != label_scores(p, "aps", seed=4)[0, 1]
    assert true_label_scores(p, np.array([-1]), "lac").tolist() == [np.inf]
    assert label_sets(p, np.array([[True, True, False]]), ["a", "b", "c"]) == [["b", "a"]]
    assert number_scores(np.array([2.0, 2.0]), np.array([5.0, 1.0])).tolist() == [3, 1]
    assert number_scores(np.array([[1.0, 2, 3]] * 3), np.array([0.0, 2.5, 7])).tolist() == [1, -0.5, 4]
    low, high = intervals(np.array([[1.0, 2, 3], [1, 2, 3]]), np.array([0.5, -2]))
    assert (low.tolist(), high.tolist()) == ([0.5, 2], [3.5, 2])


def test_the_share_of_aps_is_uniform_and_belongs_to_the_row() -> None:
    p = np.random.default_rng(2).dirichlet(np.ones(3), 20_000).astype(np.float32)
    best = p.argmax(1)
    u = label_scores(p, "aps")[np.arange(len(p)), best] / p[np.arange(len(p)), best]
    np.testing.assert_allclose(np.quantile(u, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.015)
    np.testing.assert_array_equal(label_scores(p[5:9], "aps"), label_scores(p, "aps")[5:9])


def test_the_expected_interval_is_that_of_simulated_calibrations() -> None:
    n, m, level = 400, 250, 0.9
    threshold = Threshold.of(Scores.of(np.arange(float(n))), level)
    assert threshold is not None
    assert (threshold.low, threshold.rows) == (361, 400)
    draw = np.random.default_rng(3)
    chance = beta.rvs(361, 40, size=100_000, random_state=draw)
    shares = binom.rvs(m, chance, random_state=draw) / m
    expected = expected_interval(threshold, m)
    np.testing.assert_allclose(expected, np.percentile(shares, [2.5, 97.5]), atol=1.01 / m)
    together = expected_of_all([(threshold, 0.6, 150.0), (threshold, 0.4, 100.0)], 0)
    assert together == expected
    other = Threshold(361, 361, 400)
    apart = expected_of_all([(threshold, 0.5, 125.0), (other, 0.5, 125.0)], 0)
    assert expected[0] < apart[0] < level < apart[1] < expected[1]  # two thresholds vary less than one


def test_equal_scores_widen_what_is_expected_upwards() -> None:
    tied = Scores.of(np.repeat(np.arange(10.0), 20))
    assert (tied.rank(0.9), tied.tied_rank(0.9)) == (181, 200)
    low, high = expected_interval(Threshold.of(tied, 0.9), 500)
    assert low < 0.9
    assert high == pytest.approx(1, abs=0.01)


def test_too_few_rows_have_every_label_and_every_number_and_say_so() -> None:
    answers, patterns = label_answers(12, 6)
    known = calibrate_target("label", answers, patterns)
    table = coverage_table(known, answers.scores, true_values(answers, "label"), patterns, [], 0.95)
    assert (table["overall"]["covered"], table["overall"]["size"], table["overall"]["expected"]) == (1, 4, [1, 1])
    assert Calibration({"answer": known}).unlimited(0.95) == [
        "answer: every label is in at a coverage of 0.95, for it takes 19 calibration rows, and there are 12"
    ]
    assert Calibration({"answer": known}).unlimited(0.9) == []
    numbers, patterns = number_answers(12, 6)
    known = calibrate_target("number", numbers, patterns, method="residual")
    table = coverage_table(known, numbers.scores, true_values(numbers, "number"), patterns, [], 0.95)
    assert table["overall"]["size"] is None
    assert table["overall"]["inside"]


def test_patterns_with_few_rows_have_the_common_threshold() -> None:
    answers, patterns = label_answers(1_500, 7)
    known = calibrate_target("label", answers, patterns, least=150)
    counts = {pattern: patterns.count(pattern) for pattern in PATTERNS}
    assert set(known.patterns) == {pattern for pattern, count in counts.items() if count >= 150}
    assert 0 < len(known.patterns) < 4
    assert known.scores_for(("neither",), 0.9) is known.common
    table = coverage_table(known, answers.scores, true_values(answers, "label"), patterns, [], 0.9)
    for each in table["patterns"]:
        assert each["own"] == (tuple(each["columns"]) in known.patterns)
        assert each["calibration_rows"] == (counts[tuple(each["columns"])] if each["own"] else 1_500)
    first = known.patterns[PATTERNS[0]]
    extreme = 1 - 0.5 / first.rows
    assert known.scores_for(PATTERNS[0], extreme) is known.common  # its own rows are too few for so much


def test_labels_that_the_model_does_not_know_are_never_held() -> None:
    answers, patterns = label_answers(2_000, 8)
    for row in range(0, 2_000, 50):
        answers.truth[row] = "unseen"
    known = calibrate_target("label", answers, patterns)
    assert np.isinf(Scores.parse(known.common.dump()).kept[-40:]).all()
    table = coverage_table(known, answers.scores, true_values(answers, "label"), patterns, [], 0.9)
    assert table["overall"]["covered"] == pytest.approx(0.9, abs=0.02)


def clustered(groups: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Absolute residuals that share a part within each group."""
    draw = np.random.default_rng(seed)
    own, code = draw.normal(size=groups * size), np.repeat(np.arange(groups), size)
    return 0.8 * draw.normal(size=groups)[code] + 0.6 * own, code


def test_effective_rows_are_the_rows_by_the_design_effect() -> None:
    values, code = clustered(3_000, 8, 0)
    assert effective_rows(values, [code]) == pytest.approx(len(values) / (1 + 7 * 0.64), rel=0.05)
    assert effective_rows(values) == len(values)
    assert effective_rows(values, [np.arange(len(values))]) == pytest.approx(len(values))
    assert effective_rows(np.random.default_rng(1).normal(size=len(values)), [code]) == pytest.approx(len(values), rel=0.05)
    copies = np.repeat(np.random.default_rng(2).normal(size=500), 4)
    assert effective_rows(copies, [np.repeat(np.arange(500), 4)]) == pytest.approx(500, rel=0.01)
    assert effective_rows(np.ones(40), [np.repeat(np.arange(10), 4)]) == 10


def test_effective_rows_of_groups_that_cross_are_those_of_many_repetitions() -> None:
    """Rows are drawn from 40 pictures and 60 clips, and both decide."""
    picked = np.random.default_rng(5)
    picture, clip = picked.integers(0, 40, 600), picked.integers(0, 60, 600)
    means, found = [], []
    for seed in range(400):
        draw = np.random.default_rng([seed, 6])
        values = draw.normal(size=40)[picture] + draw.normal(size=60)[clip] + draw.normal(size=600)
        means.append(values.mean())
        found.append(effective_rows(values, [picture, clip]))
    assert np.median(found) == pytest.approx(3 / np.var(means), rel=0.25)


def test_expected_intervals_of_clustered_rows_are_wider_and_hold_what_is_seen() -> None:
    inside, alone, wider = 0, 0, 0
    for seed in range(200):
        (first, code), (second, other) = clustered(150, 6, 2 * seed), clustered(120, 6, 2 * seed + 1)
        kept = Answers(truth=first.tolist(), scores=np.zeros(len(first)))
        pattern = [("left",)] * len(first)
        tables = []
        for calibration_groups, test_groups in (([code], [other]), ((), ())):
            known = calibrate_target("number", kept, pattern, calibration_groups, method="residual")
            tables.append(coverage_table(known, np.zeros(len(second)), second, pattern[: len(second)], test_groups, 0.9)["overall"])
        inside, alone = inside + tables[0]["inside"], alone + tables[1]["inside"]
        wider += np.ptp(tables[0]["expected"]) > 1.3 * np.ptp(tables[1]["expected"])
    assert inside >= 180
    assert alone < 170
    assert wider >= 195


def test_what_is_judged_of_each_kind_can_be_written_as_json() -> None:
    import json

    answers, patterns = label_answers(800, 9)
    calibration = Calibration({"y": calibrate_target("label", answers, patterns)})
    details = judge_calibration(calibration, "y", Label(), answers, patterns, [np.arange(800) // 2], 0)
    assert list(details["coverage"]) == ["0.8", "0.9", "0.95"]
    assert details["before"]["right"] == pytest.approx(1 - details["abstention"]["all"])
    assert details["abstention"]["at_80"] < details["abstention"]["all"]
    json.dumps(details, allow_nan=False)
    uncalibrated = judge_calibration(None, "y", Label(), answers, patterns)
    assert set(uncalibrated) == {"tells", "rows", "before", "abstention", "sentences"}
    numbers, patterns = number_answers(800, 9)
    calibration = Calibration({"y": calibrate_target("number", numbers, patterns, method="residual")})
    told = judge_calibration(calibration, "y", Number(), numbers, patterns)
    assert set(told) == {"tells", "rows", "method", "least_rows", "coverage", "unlimited", "sentences"}
    levels, patterns = number_answers(800, 9, levels=3)
    details = judge_calibration(None, "y", Quantiles(), levels, patterns)
    assert [each["level"] for each in details["levels"]] == [0.05, 0.5, 0.95]
    assert details["levels"][1]["below"] == pytest.approx(0.5, abs=0.06)
    json.dumps(details, allow_nan=False)
