"""Texts."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import numpy as np

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.cider import cider_d
from omnifuse.evaluation.edit_distance import edit_distances
from omnifuse.evaluation.kinds.kind import Kind, most_frequent

WORDS = re.compile(r"\w+")


class Text(Kind):
    """A text: whether it is the true one, without regard to case and spaces, and how much of it is."""

    main = "accuracy"
    names = ("accuracy", "cer", "cider", "chrf", "bleu")

    def metrics(self, answers: Answers) -> dict[str, float]:
        """All without regard to case and spaces:

        - accuracy: the share of exact matches.
        - cer, character error rate: edit distance of all texts together by the length of all true ones.
        - cider: mean CIDEr-D (Vedantam et al. 2015, arXiv 1411.5726) of the words, with one true text a row.
        - chrf, F2 of the character n-grams up to six of all texts (Popović 2015), and bleu, of the words up to four in a row (Papineni
          et al. 2002), by sacrebleu where it is installed.
        """
        truth, said = ([_alike(text) for text in texts] for texts in (answers.truth, answers.predicted))
        words = [[WORDS.findall(text) for text in texts] for texts in (said, truth)]
        found = {
            "accuracy": float(self.row_scores(answers).mean()),
            "cer": float(edit_distances(said, truth).sum() / max(1, sum(map(len, truth)))),
            "cider": float(cider_d(*words).mean()),
        }
        if find_spec("sacrebleu") is not None:
            from sacrebleu.metrics.bleu import BLEU  # pyright: ignore[reportMissingImports]
            from sacrebleu.metrics.chrf import CHRF  # pyright: ignore[reportMissingImports]

            found |= {"chrf": CHRF().corpus_score(said, [truth]).score / 100, "bleu": BLEU().corpus_score(said, [truth]).score / 100}
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
