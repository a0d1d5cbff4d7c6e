"""Distances of distributions agree with their formulas written out, and say 0 where there is nothing to say."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import linalg

from omnifuse.core.errors import OmnifuseError
from omnifuse.evaluation.generation.distances import beside_floor, frechet_distance, kernel_distance

EXACT: Any = {"rel": 1e-6, "abs": 1e-6}


def features(rows: int, width: int, seed: int, shift: float = 0.0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(rows, width)) @ draw.normal(size=(width, width)) + shift


@pytest.mark.parametrize(("rows", "width"), [(200, 6), (60, 24), (500, 48)])
def test_frechet_is_the_textbook_formula_with_a_root_of_a_matrix(rows: int, width: int) -> None:
    one, two = features(rows, width, 0), features(rows + 7, width, 1, shift=0.3)
    covariances = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    root = np.real(linalg.sqrtm(covariances[0] @ covariances[1]))
    expected = ((one.mean(0) - two.mean(0)) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(one, two) == pytest.approx(expected, **EXACT)


def test_frechet_of_normals_that_are_known_by_heart() -> None:
    """Two points each: means 0 and 3, variances 2 and 8, so 9 + 2 + 8 − 2·4."""
    assert frechet_distance(np.array([[-1.0], [1.0]]), np.array([[1.0], [5.0]])) == pytest.approx(11, **EXACT)


def test_frechet_of_the_same_rows_is_nothing_even_with_fewer_rows_than_numbers() -> None:
    few = features(10, 64, 2)
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6 * float((few**2).sum()))
    assert frechet_distance(few, few + 1) == pytest.approx(64, rel=1e-6)


def test_the_kernel_distance_is_the_mean_over_pairs() -> None:
    one, two = features(13, 5, 3), features(17, 5, 4)

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 5 + 1) ** 3)

    within = [np.mean([kernel(x, y) for x, y in itertools.permutations(each, 2)]) for each in (one, two)]
    across = np.mean([kernel(x, y) for x in one for y in two])
    assert kernel_distance(one, two) == pytest.approx(within[0] + within[1] - 2 * across, **EXACT)


def test_the_kernel_distance_is_unbiased_and_sees_a_shift() -> None:
    same = [kernel_distance(*np.random.default_rng(seed).normal(size=(2, 30, 8))) for seed in range(400)]
    assert abs(np.mean(same)) < 3 * np.std(same) / 20
    assert min(same) < 0 < max(same)
    draw = np.random.default_rng(1)
    assert kernel_distance(draw.normal(size=(300, 8)), draw.normal(size=(300, 8)) + 1) > 10 * max(same)


def test_beside_the_floor_both_are_measured_with_as_many_rows() -> None:
    draw = np.random.default_rng(5)
    real, other, made = draw.normal(size=(400, 16)), draw.normal(size=(300, 16)), draw.normal(size=(900, 16))
    found = beside_floor(frechet_distance, made, real, other)
    assert found.value == frechet_distance(made[:300], real)
    assert found.floor == frechet_distance(other, real)
    assert found.value == pytest.approx(found.floor, rel=0.5), "perfect samples get about what other real values get"
    assert beside_floor(frechet_distance, made + 1, real, other).value > 5 * found.floor


@pytest.mark.parametrize(
    ("one", "two", "words"),
    [
        (np.zeros((1, 2)), np.zeros((3, 2)), "1 rows; it takes at least 2"),
        (np.zeros((3, 2)), np.zeros((3, 4)), r"expected matrices \(rows, 2\), got \(3, 4\)"),
        (np.full((3, 2), np.nan), np.zeros((3, 2)), "not finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(one: np.ndarray, two: np.ndarray, words: str) -> None:
    for measure in (frechet_distance, kernel_distance):
        with pytest.raises(OmnifuseError, match=words):
            measure(one, two)
