"""Texts."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.kinds.kind import Kind, most_frequent


class Text(Kind):
    """A text: whether it is the true one, without regard to case and spaces, and how much of it is."""

    main = "accuracy"
    names = ("accuracy", "chrf")

    def metrics(self, answers: Answers) -> dict[str, float]:
        """Share of exact matches; and chrF, F2 of the character n-grams up to six of all texts (Popović 2015), by sacrebleu where
        it is installed.
        """
        found = {"accuracy": float(self.row_scores(answers).mean())}
        if find_spec("sacrebleu") is not None:
            from sacrebleu.metrics.chrf import CHRF  # pyright: ignore[reportMissingImports]

            found["chrf"] = CHRF().corpus_score([str(p) for p in answers.predicted], [[str(t) for t in answers.truth]]).score / 100
        return found

    def row_scores(self, answers: Answers) -> np.ndarray:
        """1 where the text is the true one."""
        return np.array([_alike(t) == _alike(p) for t, p in zip(answers.truth, answers.predicted, strict=True)], dtype=np.float64)

    def floor(self, answers: Answers) -> dict[str, Any]:
        """The most frequent text."""
        _, share = most_frequent([_alike(text) for text in answers.truth])
        return {"answer": most_frequent(answers.truth)[0], "accuracy": share}


def _alike(text: Any) -> str:
    return " ".join(str(text).split()).casefold()
