"""Quantiles of a number."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.kinds.number import Number
from omnifuse.evaluation.weighing import Measure, means


class Quantiles(Number):
    """Quantiles (N, Q) in the user's unit: the middle one judged as a number, all of them by the pinball loss, and how many
    of the truths lie between the outermost two.
    """

    names = (*Number.names, "pinball", "coverage")

    def __init__(self, levels: Sequence[float] = (0.05, 0.5, 0.95)) -> None:
        """Args: levels: of the quantiles, rising."""
        self.levels = tuple(levels)

    def measure(self, answers: Answers, leave_out: Collection[str] = ()) -> Measure:
        """Those of a number; pinball, mean over levels q of max(q·(y − ŷ_q), (q − 1)·(y − ŷ_q)); and coverage, the share of truths
        between the outermost quantiles, which should be the last level minus the first.

        Source of the pinball loss: Koenker & Bassett 1978.
        """
        truth, levels = np.asarray(answers.truth, dtype=np.float64)[:, None], np.array(self.levels)
        off = truth - answers.scores
        pinball = np.maximum(levels * off, (levels - 1) * off).mean(axis=1)
        inside = ((answers.scores[:, :1] <= truth) & (truth <= answers.scores[:, -1:]))[:, 0]
        of_a_number = super().measure(answers, leave_out)

        def measured(weights: np.ndarray) -> dict[str, np.ndarray]:
            found = {**of_a_number(weights), "pinball": means(weights, pinball)}
            return {**found, "coverage": means(weights, inside)} if len(levels) > 1 else found

        return measured
