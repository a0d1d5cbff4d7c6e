"""How many characters have to change until one text is the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PAIRS = 256  # at a time


def edit_distances(first: Sequence[str], second: Sequence[str]) -> np.ndarray:
    """(N,) int64: the fewest characters put in, left out or exchanged that make one text of each pair the other.

    d[i, j] = min(d[i−1, j] + 1, d[i, j−1] + 1, d[i−1, j−1] + [a_i ≠ b_j]), for many pairs at a time and a whole row of d at once: the
    middle term unrolled is j + min_{k ≤ j} (t_k − k), with t the smaller of the two others. Source: Levenshtein 1966; Wagner and
    Fischer 1974, doi 10.1145/321796.321811.
    """
    distances = np.zeros(len(first), dtype=np.int64)
    unequal = [n for n in range(len(first)) if first[n] != second[n]]
    unequal.sort(key=lambda n: (len(first[n]), len(second[n])))  # pairs of one batch are about as long
    for start in range(0, len(unequal), PAIRS):
        part = unequal[start : start + PAIRS]
        distances[part] = _distances([first[n] for n in part], [second[n] for n in part])
    return distances


def _distances(first: list[str], second: list[str]) -> np.ndarray:
    a_NI, b_NJ = _codes(first, -1), _codes(second, -2)
    lengths, ends = np.array([len(text) for text in first]), np.array([len(text) for text in second])
    place_J = np.arange(b_NJ.shape[1] + 1)
    row_NJ = np.tile(place_J, (len(first), 1))
    found = row_NJ[np.arange(len(first)), ends]  # where the first text is empty
    for i in range(a_NI.shape[1]):
        others_NJ = np.minimum(row_NJ[:, 1:] + 1, row_NJ[:, :-1] + (a_NI[:, i : i + 1] != b_NJ))
        smallest_NJ = np.concatenate([row_NJ[:, :1] + 1, others_NJ], axis=1) - place_J
        row_NJ = np.minimum.accumulate(smallest_NJ, axis=1) + place_J
        found = np.where(lengths == i + 1, row_NJ[np.arange(len(first)), ends], found)
    return found


def _codes(texts: list[str], nothing: int) -> np.ndarray:
    """(N, longest) the characters as numbers, `nothing` behind the end."""
    codes = np.full((len(texts), max(map(len, texts))), nothing, dtype=np.int64)
    for n, text in enumerate(texts):
        codes[n, : len(text)] = [ord(character) for character in text]
    return codes
