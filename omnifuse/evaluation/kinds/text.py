"""Texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from importlib.util import find_spec
from typing import Any

import numpy as np

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.cider import cider_d
from omnifuse.evaluation.edit_distance import edit_distances
from omnifuse.evaluation.kinds.kind import Kind, most_frequent
from omnifuse.evaluation.weighing import Measure, means

WORDS = re.compile(r"\w+")


class Text(Kind):
    """A text: whether it is the true one, without regard to case and spaces, and how much of it is."""

    main = "accuracy"
    names = ("accuracy", "cer", "cider", "chrf", "bleu")
    slow = ("chrf", "bleu")

    def measure(self, answers: Answers, leave_out: Collection[str] = ()) -> Measure:
        """All without regard to case and spaces:

        - accuracy: the share of exact matches.
        - cer, character error rate: edit distance of all texts together by the length of all true ones.
        - cider: mean CIDEr-D (Vedantam et al. 2015, arXiv 1411.5726) of the words, with one true text a row.
        - chrf, F2 of the character n-grams up to six of all texts (Popović 2015), and bleu, of the words up to four in a row (Papineni
          et al. 2002), by sacrebleu where it is installed; a row counts as often as its weight, rounded, says.
        """
        truth, said = ([_alike(text) for text in texts] for texts in (answers.truth, answers.predicted))
        words = [[WORDS.findall(text) for text in texts] for texts in (said, truth)]
        hits, changes, rare = self.row_scores(answers), edit_distances(said, truth), cider_d(*words)
        lengths = np.array([len(text) for text in truth], dtype=np.float64)
        judges = {} if find_spec("sacrebleu") is None else _corpus_judges()
        judges = {name: judge for name, judge in judges.items() if name not in leave_out}

        def measured(weights: np.ndarray) -> dict[str, np.ndarray]:
            length = weights @ lengths
            found = {
                "accuracy": means(weights, hits),
                "cer": (weights @ changes) / np.where(length > 0, length, 1.0),
                "cider": means(weights, rare),
            }
            for name, judge in judges.items():
                times = [np.repeat(np.arange(len(said)), np.rint(row).astype(np.int64)) for row in weights]
                scores = [judge([said[i] for i in rows], [[truth[i] for i in rows]]).score / 100 if len(rows) else np.nan for rows in times]
                found[name] = np.array(scores, dtype=np.float64)
            return found

        return measured

    def row_scores(self, answers: Answers) -> np.ndarray:
        """1 where the text is the true one."""
        return np.array([_alike(t) == _alike(p) for t, p in zip(answers.truth, answers.predicted, strict=True)], dtype=np.float64)

    def floor(self, answers: Answers) -> dict[str, Any]:
        """The most frequent text."""
        _, share = most_frequent([_alike(text) for text in answers.truth])
        return {"answer": most_frequent(answers.truth)[0], "accuracy": share}


def _corpus_judges() -> dict[str, Callable[..., Any]]:
    from sacrebleu.metrics.bleu import BLEU  # pyright: ignore[reportMissingImports]
    from sacrebleu.metrics.chrf import CHRF  # pyright: ignore[reportMissingImports]

    return {"chrf": CHRF().corpus_score, "bleu": BLEU().corpus_score}


def _alike(text: Any) -> str:
    return " ".join(str(text).split()).casefold()
