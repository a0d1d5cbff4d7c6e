"""Several tests at once: what each p is worth then."""

from __future__ import annotations

import numpy as np


def holm(ps: np.ndarray) -> np.ndarray:
    """(m,) corrected ps: the k-th smallest of m becomes max over i ≤ k of min(1, (m − i + 1)·p₍ᵢ₎).

    The chance of one false alarm or more among all tests is then at most the level, whatever they have to do with each other.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(ps, kind="stable")
    steps = np.minimum(1.0, (len(ps) - np.arange(len(ps))) * ps[order])
    corrected = np.empty(len(ps))
    corrected[order] = np.maximum.accumulate(steps) if len(ps) else steps
    return corrected
