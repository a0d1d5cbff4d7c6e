"""Quantiles of a number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.kinds.number import Number


class Quantiles(Number):
    """Quantiles (N, Q) in the user's unit: the middle one judged as a number, all of them by the pinball loss, and how many
    of the truths lie between the outermost two.
    """

    names = (*Number.names, "pinball", "coverage")

    def __init__(self, levels: Sequence[float] = (0.05, 0.5, 0.95)) -> None:
        """Args: levels: of the quantiles, rising."""
        self.levels = tuple(levels)

    def metrics(self, answers: Answers) -> dict[str, float]:
        """Those of a number; pinball, averaged over levels; and coverage, which should be the last level minus the first."""
        truth, levels = np.asarray(answers.truth, dtype=np.float64)[:, None], np.array(self.levels)
        off = truth - answers.scores
        found = {**super().metrics(answers), "pinball": float(np.maximum(levels * off, (levels - 1) * off).mean())}
        if len(levels) > 1:
            found["coverage"] = float(((answers.scores[:, :1] <= truth) & (truth <= answers.scores[:, -1:])).mean())
        return found
