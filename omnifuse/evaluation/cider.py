"""CIDEr-D: how much a text shares with the true one of what is rare among the true ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

LONGEST = 4  # words in a row
SIGMA = 6.0  # words by which lengths may differ
Grams = Counter[tuple[str, ...]]


def cider_d(predicted: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]) -> np.ndarray:
    """(N,) from 0 to 10, for one true text a row, both cut into words.

    CIDEr-D = 10/4 · Σ_{n=1}^{4} exp(−(l_p − l_t)²/2σ²) · min(g_n(p), g_n(t)) · g_n(t) / (‖g_n(p)‖ ‖g_n(t)‖), where g_n(x) holds for
    each n words in a row how often they stand in x times log(N / number of true texts that they stand in), and l is the number of words.

    Source: Vedantam et al. 2015, arXiv 1411.5726, with σ = 6; as in their code, words that stand in no true text weigh log N. Texts of
    fewer than four words cannot reach 10, and of a single row all weights are zero.
    """
    documents: Counter[tuple[str, ...]] = Counter()
    for words in truth:
        documents.update(set().union(*_grams(words)))
    weight = {gram: math.log(len(truth) / count) for gram, count in documents.items()}
    return np.array([_score(p, t, weight, math.log(max(1, len(truth)))) for p, t in zip(predicted, truth, strict=True)])


def _score(said: Sequence[str], true: Sequence[str], weight: dict[tuple[str, ...], float], unknown: float) -> float:
    near = math.exp(-((len(said) - len(true)) ** 2) / (2 * SIGMA**2))
    total = 0.0
    for said_grams, true_grams in zip(_grams(said), _grams(true), strict=True):
        p = {gram: count * weight.get(gram, unknown) for gram, count in said_grams.items()}
        t = {gram: count * weight[gram] for gram, count in true_grams.items()}
        length = math.hypot(*p.values()) * math.hypot(*t.values())
        total += sum(min(p[gram], t[gram]) * t[gram] for gram in p.keys() & t.keys()) / length if length else 0.0
    return 10 * near * total / LONGEST


def _grams(words: Sequence[str]) -> list[Grams]:
    """How often each 1, 2, 3 and 4 words in a row stand in a text."""
    return [Counter(zip(*(words[start:] for start in range(n)), strict=False)) for n in range(1, LONGEST + 1)]
