"""Whether what was made lies where what it was made from lies."""

from __future__ import annotations

import numpy as np

from omnifuse.evaluation.kinds.kind import found_within, ranks_of

BLOCK = 512


def recall_at(rows: np.ndarray, candidates: np.ndarray, places: np.ndarray, k: int) -> np.ndarray:
    """(N,) 1 where a row's own candidate is among the k most similar ones.

    Args:
        rows: (N, E) samples in the space of an alignment encoder, each of length 1.
        candidates: (C, E) different values of the other column in the same space.
        places: (N,) which candidate each sample was made from; −1 for none of them.
        k: how many count as found. Equal similarities share the mean of their ranks.
    """
    blocks = range(0, len(rows), BLOCK)
    ranks = [ranks_of(rows[at : at + BLOCK] @ candidates.T, np.asarray(places[at : at + BLOCK])) for at in blocks]
    return found_within(np.concatenate(ranks), k) if ranks else np.empty(0)
