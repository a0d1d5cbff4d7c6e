"""Retrieval: which of the candidates belongs to a row, and which row to a candidate."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from omnifuse.evaluation.answers import Answers, Candidates
from omnifuse.evaluation.kinds.kind import Kind, found_within, ranks_of, reciprocal
from omnifuse.evaluation.weighing import Measure, means, sums_by

TOPS = (1, 5, 10)
BLOCK = 512
BACK = ("back_recall@1", "back_recall@5", "back_recall@10", "back_mrr")


class Embedding(Kind):
    """Embeddings (N, E) of rows, compared with those of candidates: the different values that the target has in these rows.

    Forth, each row looks for its own value among the candidates. Back, each candidate looks for a row that has it, among all
    rows; of several the nearest counts. Measures of the way back begin with `back_`.
    """

    main = "recall@10"
    headings = ("Found late", "Found soon", "The answer is the nearest candidate.")
    names = ("recall@10", "recall@1", "recall@5", "mrr", *BACK)
    slow = BACK

    def measure(self, answers: Answers, leave_out: Collection[str] = ()) -> Measure:
        """Shares found within the first 1, 5 and 10, and the mean of 1/rank, both ways. Whatever the weights, all rows are there to be
        found; a candidate weighs what its rows weigh on average.
        """
        forth = _retrieved(self.ranks(answers))
        back = {} if set(BACK) <= set(leave_out) else _retrieved(self._ranks_back(answers))
        places, count = _candidates(answers).places(answers.truth), len(_candidates(answers).values)
        rows_each = np.maximum(np.bincount(places[places >= 0], minlength=count), 1)

        def measured(weights: np.ndarray) -> dict[str, np.ndarray]:
            found = {name: means(weights, values) for name, values in forth.items()}
            if back:
                weight = sums_by(weights, places, count) / rows_each
                found |= {f"back_{name}": means(weight, values) for name, values in back.items()}
            return found

        return measured

    def row_scores(self, answers: Answers) -> np.ndarray:
        """1 where the row's own value is among the first ten candidates."""
        return found_within(self.ranks(answers), 10)

    def floor(self, answers: Answers) -> dict[str, Any]:
        """Candidates in any order."""
        count = len(_candidates(answers).values)
        return {"answer": "any", "recall@10": min(1.0, 10 / count), "how": f"guessing among {count:,} candidates"}

    def support(self, answers: Answers, said: Sequence[Any]) -> np.ndarray:
        """The similarity with the candidate that was answered."""
        candidates = _candidates(answers)
        return (answers.scores * candidates.vectors[candidates.places(list(said))]).sum(axis=1)

    def choices(self, answers: Answers) -> int:
        """How many candidates there are."""
        return len(_candidates(answers).values)

    def ranks(self, answers: Answers) -> np.ndarray:
        """(N,) the rank of each row's own value among the candidates."""
        candidates = _candidates(answers)
        places = candidates.places(answers.truth)
        blocks = range(0, len(places), BLOCK)
        ranks = [ranks_of(answers.scores[at : at + BLOCK] @ candidates.vectors.T, places[at : at + BLOCK]) for at in blocks]
        return np.concatenate(ranks)

    def _ranks_back(self, answers: Answers) -> np.ndarray:
        """(C,) the rank of the nearest of its own rows among the rows that are not its own."""
        candidates = _candidates(answers)
        places = candidates.places(answers.truth)
        ranks = []
        for at in range(0, len(candidates.values), BLOCK):
            near = candidates.vectors[at : at + BLOCK] @ answers.scores.T
            own = places == np.arange(at, at + len(near))[:, None]
            best = np.where(own, near, -np.inf).max(axis=1, keepdims=True)
            others = np.where(own, -np.inf, near)
            rank = 1.0 + (others > best).sum(1) + (others == best).sum(1) / 2
            ranks.append(np.where(np.isfinite(near).all(axis=1), rank, np.nan))
        return np.concatenate(ranks)


def _retrieved(ranks: np.ndarray) -> dict[str, np.ndarray]:
    return {**{f"recall@{top}": found_within(ranks, top) for top in TOPS}, "mrr": reciprocal(ranks)}


def _candidates(answers: Answers) -> Candidates:
    assert answers.candidates is not None, "a retrieval has candidates"
    return answers.candidates
