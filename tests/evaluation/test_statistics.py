"""How sure a difference is: against scipy, against cases worked by hand, and against all orders of signs."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from omnifuse.evaluation.statistics import Rows, holm, over_rows, over_seeds, paired_t, sign_flip


def rows_of(values: np.ndarray, clusters: np.ndarray | None = None) -> Rows:
    values = np.asarray(values, dtype=np.float64)
    return Rows(values, np.arange(len(values)) if clusters is None else clusters)


def test_the_interval_over_seeds_is_students():
    values = [0.91, 0.93, 0.9, 0.96]
    mean, low, high = over_seeds(values)
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (low, high) == pytest.approx(expected)
    assert mean == pytest.approx(np.mean(values))


def test_the_test_over_seeds_is_the_paired_t_test():
    own, other = [0.91, 0.93, 0.9], [0.88, 0.92, 0.86]
    assert paired_t(np.subtract(own, other).tolist()) == pytest.approx(stats.ttest_rel(own, other).pvalue)


def test_the_interval_excludes_0_exactly_where_p_is_below_a_twentieth():
    random = np.random.default_rng(0)
    for _ in range(200):
        values = (random.normal(0.02, 0.02, 4)).tolist()
        interval = over_seeds(values, overlap=0.25)
        assert (interval.low > 0 or interval.high < 0) == (paired_t(values, overlap=0.25) < 0.05)


def test_seeds_that_share_training_rows_are_less_sure():
    values = [0.1, 0.2, 0.3]
    # s = 0.1, S = 3, test rows / training rows = 0.25: error² = 0.01 · (1/3 + 0.25)
    half = 4.302652729911275 * math.sqrt(0.01 * (1 / 3 + 0.25))
    assert over_seeds(values, overlap=0.25).half == pytest.approx(half)
    assert over_seeds(values, overlap=0.25).half > over_seeds(values).half


def test_seeds_that_all_differ_by_the_same_amount_tell_no_p():
    assert math.isnan(paired_t([0.25, 0.25, 0.25]))
    assert over_seeds([0.25, 0.25, 0.25]) == (0.25, 0.25, 0.25)


def test_the_bootstrap_over_many_rows_is_the_normal_interval():
    values = np.random.default_rng(1).normal(0.3, 1, 4000)
    interval = over_rows([rows_of(values)])
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert interval.mean == pytest.approx(values.mean())
    assert interval.half == pytest.approx(half, rel=0.05)
    assert interval == over_rows([rows_of(values)]), "the same each time"


def test_rows_that_belong_together_count_as_one():
    values = np.random.default_rng(2).normal(0, 1, 100)
    alone = over_rows([rows_of(values)])
    repeated = over_rows([rows_of(np.repeat(values, 10), np.repeat(np.arange(100), 10))])
    taken_for_many = over_rows([rows_of(np.repeat(values, 10))])
    assert repeated.half == pytest.approx(alone.half, rel=0.05)
    assert taken_for_many.half < 0.5 * alone.half


def test_what_differs_from_seed_to_seed_averages_out_over_rows():
    random = np.random.default_rng(3)
    seeds = [rows_of(random.normal(0, 1, 500)) for _ in range(4)]
    assert over_rows(seeds).half == pytest.approx(over_rows(seeds[:1]).half / 2, rel=0.2)


def test_equal_answers_in_n_rows_leave_3_of_n_open():
    assert over_rows([rows_of(np.zeros(60))]) == (0.0, -0.05, 0.05)
    assert over_rows([rows_of(np.zeros(60))], scale=2.0).high == pytest.approx(0.1)


def test_one_group_tells_nothing():
    interval = over_rows([rows_of(np.ones(50), np.zeros(50, dtype=np.int64))])
    assert (interval.mean, interval.low, interval.high) == (1.0, -math.inf, math.inf)


def test_flipped_signs_agree_with_all_orders_of_signs():
    values = np.array([0.9, 0.4, -0.1, 0.7, 0.2, 0.5, -0.3, 0.6])
    every = [abs(np.dot(signs, values)) >= abs(values.sum()) - 1e-12 for signs in product((-1, 1), repeat=len(values))]
    assert sign_flip([rows_of(values)]) == pytest.approx(np.mean(every), abs=0.01)


def test_flipped_signs_of_right_and_wrong_agree_with_mcnemar():
    own_alone, other_alone = 30, 14  # rows that one of the two models alone got right
    values = np.concatenate([np.ones(own_alone), -np.ones(other_alone), np.zeros(400)])
    exact = stats.binomtest(own_alone, own_alone + other_alone).pvalue
    assert sign_flip([rows_of(values)]) == pytest.approx(exact, abs=0.005)


def test_no_difference_at_all_has_p_1_and_the_smallest_p_is_never_0():
    assert sign_flip([rows_of(np.zeros(20))]) == 1.0
    assert 0 < sign_flip([rows_of(np.ones(200))]) < 0.001


def test_holm_corrects_in_order_and_never_above_1():
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    ps = np.array([0.2, 0.001, 0.04, 0.03, 0.04])  # 5·0.001, 4·0.03, then 3·0.04, which is no more; 0.2 once
    assert holm(ps) == pytest.approx([0.2, 0.005, 0.12, 0.12, 0.12], abs=1e-12)
    assert holm(np.array([0.6, 0.7])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []


def test_a_difference_of_nothing_is_as_large_as_any_other() -> None:
    values = np.tile([1 / 3, -1 / 3, 0.1, -0.1, 0.7, -0.7], 5)[:30] / 7
    assert sign_flip([Rows(values, np.arange(30))]) == 1.0
    even = np.concatenate([np.full(7, 1.0), np.full(7, -1.0), np.zeros(66)])
    assert sign_flip([Rows(even, np.arange(80))]) == 1.0
