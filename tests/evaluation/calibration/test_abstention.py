"""What the surest rows lose, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from omnifuse.evaluation.calibration.abstention import area, risk_at, risk_curve


def test_risks_by_hand() -> None:
    risks = risk_curve(np.array([0.9, 0.6, 0.8, 0.7]), np.array([0.0, 1.0, 0.0, 1.0]))
    np.testing.assert_allclose(risks, [0, 0, 1 / 3, 1 / 2])
    assert area(risks) == pytest.approx((1 / 3 + 1 / 2) / 4)
    assert risk_at(risks, 0.5) == 0
    assert risk_at(risks, 0.51) == pytest.approx(1 / 3)
    assert risk_at(risks, 0.8) == pytest.approx(1 / 2)


def test_rows_that_are_equally_sure_share_their_loss_whatever_their_order() -> None:
    loss = np.array([1.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(risk_curve(np.zeros(4), loss), [0.5] * 4)
    surety = np.array([1.0, 1.0, 0.0, 1.0])
    np.testing.assert_allclose(risk_curve(surety, loss), risk_curve(surety[::-1], loss[::-1]))


def test_an_order_that_knows_the_losses_is_the_best_and_chance_is_the_mean() -> None:
    draw = np.random.default_rng(0)
    loss = (draw.random(20_000) < 0.3).astype(float)
    assert area(risk_curve(-loss, loss)) < 0.06
    assert area(risk_curve(draw.random(20_000), loss)) == pytest.approx(0.3, abs=0.02)
