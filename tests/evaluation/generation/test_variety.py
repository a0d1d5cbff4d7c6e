"""Diversity, memorising and retrieval of samples, by brute force and in cases that everybody can judge."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.evaluation.generation.recall import recall_at
from omnifuse.evaluation.generation.variety import label_entropy, nearest_distances, nearness, spread


def test_spread_is_the_mean_over_pairs() -> None:
    rows = np.random.default_rng(0).normal(size=(700, 9)) + 50
    expected = np.mean([np.linalg.norm(rows[i] - rows[j]) for i, j in itertools.combinations(range(0, 700), 2)])
    assert spread(rows) == pytest.approx(float(expected), rel=1e-6)


def test_spread_within_groups_sees_that_every_input_gives_one_sample() -> None:
    draw = np.random.default_rng(1)
    centres = draw.normal(size=(5, 4)) * 10
    groups = [group for group in range(5) for _ in range(20)]
    collapsed, various = centres[groups], centres[groups] + draw.normal(size=(100, 4))
    assert spread(collapsed) == pytest.approx(spread(various), rel=0.2)
    assert spread(collapsed, groups) == pytest.approx(0, abs=1e-5)
    assert spread(various, groups) == pytest.approx(math.sqrt(8), rel=0.15)
    pairs = [(i, j) for i, j in itertools.combinations(range(100), 2) if groups[i] == groups[j]]
    expected = np.mean([np.linalg.norm(various[i] - various[j]) for i, j in pairs])
    assert spread(various, groups) == pytest.approx(float(expected), rel=1e-6)


def test_groups_of_one_row_cannot_be_compared() -> None:
    with pytest.raises(OmnifuseError, match="no two can be compared"):
        spread(np.eye(3), ["a", "b", "c"])


def test_entropy_of_labels() -> None:
    assert label_entropy(["a"] * 9) == 0
    assert label_entropy(list("abcd")) == pytest.approx(math.log(4))
    assert label_entropy(["a", "a", "a", "b"]) == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))


def test_copies_of_the_training_set_are_found_and_fresh_samples_are_not_accused() -> None:
    draw = np.random.default_rng(2)
    training, real, fresh = (draw.normal(size=(n, 8)) for n in (2000, 1000, 1000))
    honest = nearness(fresh, real, training)
    assert honest.made == pytest.approx(honest.real, rel=0.05)
    assert honest.close == pytest.approx(0.01, abs=0.012)
    half = np.concatenate([fresh[:500], training[:500] + draw.normal(size=(500, 8)) * 1e-3])
    assert nearness(half, real, training).close == pytest.approx(0.5, abs=0.02)


def test_nearest_distances_are_those_of_brute_force() -> None:
    draw = np.random.default_rng(3)
    rows, among = draw.normal(size=(600, 5)) + 100, draw.normal(size=(70, 5)) + 100
    expected = np.sqrt(((rows[:, None] - among[None]) ** 2).sum(-1)).min(1)
    assert nearest_distances(rows, among) == pytest.approx(expected, abs=1e-6)


def test_recall_counts_the_candidate_that_a_sample_was_made_from() -> None:
    candidates = np.eye(4)
    rows = np.array([[1, 0, 0, 0], [0.9, 0.1, 0, 0], [0, 0, 0.8, 0.6], [0.5, 0.5, 0.5, 0.5]])
    own = np.array([0, 1, 3, 2])
    assert recall_at(rows, candidates, own, 1).tolist() == [1, 0, 0, 0]
    assert recall_at(rows, candidates, own, 2).tolist() == [1, 1, 1, 0], "equal ones share the mean of their ranks"
    assert recall_at(rows, candidates, own, 3).tolist() == [1, 1, 1, 1]
    assert recall_at(rows, candidates, np.array([-1, 0, 0, 0]), 4).tolist() == [0, 1, 1, 1]
