"""Scores of draws and of quantiles, by brute force and in closed form."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.evaluation.generation.forecast import absolute_errors, by_step, crps_of_quantiles, crps_of_samples


def test_crps_of_draws_is_the_mean_over_pairs() -> None:
    draw = np.random.default_rng(0)
    samples, truth = draw.normal(size=(7, 4, 3)), draw.normal(size=(4, 3))
    pairs = np.mean([np.abs(samples[i] - samples[j]) for i, j in itertools.permutations(range(7), 2)], axis=0)
    assert crps_of_samples(samples, truth) == pytest.approx(np.abs(samples - truth).mean(0) - pairs / 2, abs=1e-12)


def test_crps_of_a_normal_is_the_closed_form_and_fair_to_few_draws() -> None:
    """Of N(0, 1) at y: y·(2Φ(y) − 1) + 2φ(y) − 1/√π (Gneiting & Raftery 2007)."""
    y = 0.7
    expected = y * math.erf(y / math.sqrt(2)) + 2 * math.exp(-(y**2) / 2) / math.sqrt(2 * math.pi) - 1 / math.sqrt(math.pi)
    for draws in (2, 5, 50):
        samples = np.random.default_rng(draws).normal(size=(draws, 100_000))
        assert crps_of_samples(samples, np.full(100_000, y)).mean() == pytest.approx(expected, abs=0.01)


def test_crps_of_a_certain_answer_is_the_absolute_error() -> None:
    assert crps_of_samples(np.full((5, 2), 3.0), np.array([1.0, 4.0])).tolist() == [2.0, 1.0]
    assert crps_of_quantiles(np.array([[3.0]]), [0.5], np.array([1.0])).tolist() == [2.0]


def test_crps_of_many_quantiles_is_that_of_the_distribution() -> None:
    levels = (np.arange(400) + 0.5) / 400
    quantiles = np.broadcast_to(levels, (3, 400))  # those of the uniform distribution on [0, 1]
    truth = np.array([0.0, 0.3, 1.5])
    inside = np.clip(truth, 0, 1)
    expected = inside**3 / 3 + (1 - inside) ** 3 / 3 + np.abs(truth - inside)
    assert crps_of_quantiles(quantiles, levels.tolist(), truth) == pytest.approx(expected, abs=1e-5)


def test_what_is_missing_is_left_out_of_the_steps() -> None:
    truth = np.array([[[1.0, np.nan], [2.0, 2.0]], [[3.0, np.nan], [np.nan, 4.0]]])
    samples = np.stack([np.nan_to_num(truth) + shift for shift in (0.0, 1.0, 2.0)])
    errors = absolute_errors(samples, truth)
    assert by_step(errors) == pytest.approx([1.0, 1.0])
    assert np.isnan(crps_of_samples(samples, truth)).tolist() == np.isnan(truth).tolist()
    assert np.isnan(by_step(np.full((2, 1, 3), np.nan))).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(OmnifuseError, match="takes two"):
        crps_of_samples(np.zeros((1, 3)), np.zeros(3))
    with pytest.raises(OmnifuseError, match=r"expected \(draws, 3\)"):
        crps_of_samples(np.zeros((5, 4)), np.zeros(3))
    with pytest.raises(OmnifuseError, match="do not rise"):
        crps_of_quantiles(np.zeros((1, 2)), [0.9, 0.1], np.zeros(1))
    with pytest.raises(OmnifuseError, match="expected"):
        crps_of_quantiles(np.zeros((1, 3)), [0.1, 0.9], np.zeros(1))
