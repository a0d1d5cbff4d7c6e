"""What is drawn rather than answered: pictures, sounds, series, points."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.weighing import Measure, means


class Sample(Kind):
    """The loss (N, 1) of a flow in each row: how far the velocity it tells is from the true one, x − ε, squared, mean over places.

    It says how well the flow fits and whether it uses its inputs, not how good its samples are; for that see `omnifuse quality`.
    """

    main = "flow_loss"
    names = ("flow_loss",)
    unit_of_one = False
    headings = ("Fitted worst", "Fitted best", "There is no answer to show; samples are drawn by Pipeline.generate.")

    def measure(self, answers: Answers, leave_out: Collection[str] = ()) -> Measure:
        """The mean of the losses."""
        losses = self.row_scores(answers)
        return lambda weights: {"flow_loss": means(weights, losses)}

    def row_scores(self, answers: Answers) -> np.ndarray:
        """The losses."""
        return answers.scores[:, 0].astype(np.float64)

    def floor(self, answers: Answers) -> dict[str, Any]:
        """A velocity that looks at nothing: the variance of the noise is 1 in every place, and that of the data, which the losses do
        not tell, is added to it.
        """
        return {"answer": "one velocity", "flow_loss": 1.0, "how": "one velocity for everything, at the very best,"}
