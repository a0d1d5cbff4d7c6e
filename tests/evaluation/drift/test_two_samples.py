"""Two samples: the figures of scipy, and cases worked by hand."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import stats

from omnifuse.evaluation.drift.two_samples import chi_square, energy_distance, kolmogorov_smirnov


def test_kolmogorov_smirnov_is_that_of_scipy():
    random = np.random.default_rng(0)
    one, other = random.normal(size=300), random.normal(0.3, 1.2, 200)
    found, expected = kolmogorov_smirnov(one, other), _any(stats.ks_2samp(one, other, method="asymp"))
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue), abs=1e-12)
    assert kolmogorov_smirnov(np.array([1.0, 2.0]), np.array([3.0, 4.0])).effect == 1


def test_chi_square_is_that_of_scipy():
    one, other = Counter(a=40, b=60, c=20), Counter(a=55, b=30, c=25)
    expected = _any(stats.chi2_contingency([[40, 60, 20], [55, 30, 25]], correction=False))
    found = chi_square(one, other)
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue), abs=1e-9)
    phi = expected.statistic / 230 - 2 / 229
    assert found.effect == pytest.approx(math.sqrt(phi / (1 - 1 / 229)), abs=1e-9)


def test_rare_labels_count_together():
    one, other = (
        Counter({"a": 50, "b": 50, **{f"x{i}": 1 for i in range(20)}}),
        Counter({"a": 50, "b": 50, **{f"y{i}": 1 for i in range(20)}}),
    )
    assert chi_square(one, other).statistic == pytest.approx(0)
    assert chi_square(Counter(a=50, b=50), Counter({"a": 50, "b": 50, **{f"y{i}": 1 for i in range(20)}})).p < 1e-3
    assert chi_square(Counter(a=9), Counter(a=7)) == (0.0, 0.0, 1.0)


def test_labels_that_share_nothing_have_an_effect_of_one():
    assert chi_square(Counter(a=100), Counter(b=100)).effect == pytest.approx(1, abs=0.01)


def test_energy_distance_worked_by_hand():
    # |0-1| + |0-3| + |2-1| + |2-3| = 6, twice its mean 3; within: 2·2/4 = 1 and 2·2/4 = 1
    found = energy_distance(np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]]), seed=0, draws=50)
    assert found.statistic == pytest.approx(3 - 1 - 1, abs=1e-12)
    square = energy_distance(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]), seed=0, draws=50)
    assert square.statistic == pytest.approx(10, abs=1e-12)


def test_energy_distance_in_one_dimension_is_that_of_scipy():
    random = np.random.default_rng(0)
    one, other = random.normal(size=80), random.exponential(size=130)
    found = energy_distance(one[:, None], other[:, None], seed=0, draws=50)
    assert math.sqrt(found.statistic) == pytest.approx(stats.energy_distance(one, other), abs=1e-9)


@pytest.mark.parametrize("shift", [0.5, 1.0])
def test_the_effect_is_half_the_deviations_between_two_normal_distributions(shift: float):
    random = np.random.default_rng(0)
    found = energy_distance(random.normal(size=(900, 1)), random.normal(shift, 1, (900, 1)), seed=0, draws=200)
    assert found.effect == pytest.approx(shift / 2, rel=0.15)
    assert found.p == pytest.approx(1 / 201)


def test_equal_distributions_have_even_ps():
    found = []
    for seed in range(100):
        random = np.random.default_rng(seed)
        found.append(energy_distance(random.normal(size=(60, 8)), random.normal(size=(90, 8)), seed, draws=100).p)
    assert np.mean(np.array(found) <= 0.05) <= 0.11
    assert 0.35 < np.mean(found) < 0.65


def _any(value: Any) -> Any:
    return value
