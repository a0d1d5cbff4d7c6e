"""Rankings of items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from omnifuse.evaluation.answers import Answers, places_of
from omnifuse.evaluation.kinds.kind import Kind, found_within, ranks_of, reciprocal
from omnifuse.evaluation.weighing import Measure, means

TOP = 10


class Ranking(Kind):
    """The rank (N,) of the true item among all items that the model knows; one that it does not know is never found."""

    main = "ndcg@10"
    headings = ("Found late or never", "Found first", "")
    names = ("ndcg@10", "recall@10", "mrr")

    def keep(self, scores: np.ndarray, truth: Sequence[Any], labels: Sequence[str]) -> np.ndarray:
        """The rank alone, for scores of all items would fill the memory."""
        return ranks_of(scores, places_of(truth, labels))

    def measure(self, answers: Answers, leave_out: Collection[str] = ()) -> Measure:
        """Means over rows: 1/log₂(1 + rank) within the first ten (the only right item makes an ideal gain of 1), the share
        found within the first ten, and 1/rank.
        """
        by_row = {
            "ndcg@10": self.row_scores(answers),
            "recall@10": found_within(answers.scores, TOP),
            "mrr": reciprocal(answers.scores),
        }
        return lambda weights: {name: means(weights, values) for name, values in by_row.items()}

    def row_scores(self, answers: Answers) -> np.ndarray:
        """The gain of each row, discounted by rank (Järvelin & Kekäläinen 2002)."""
        return found_within(answers.scores, TOP) / np.log2(1 + np.maximum(answers.scores, 1))

    def ranks(self, answers: Answers) -> np.ndarray:
        """Of the true items."""
        return answers.scores

    def floor(self, answers: Answers) -> dict[str, Any]:
        """The items in the order of how often they are chosen, for every row."""
        counts = Counter(str(value) for value in answers.truth)
        known = sorted(answers.labels, key=lambda label: (-counts[label], label))
        rank = {label: place + 1.0 for place, label in enumerate(known)}
        constant = Answers(scores=np.array([rank.get(str(value), 0.0) for value in answers.truth]))
        how = "always ranking the items by how popular they are"
        return {"answer": ", ".join(known[:3]), "ndcg@10": float(self.row_scores(constant).mean()), "how": how}
