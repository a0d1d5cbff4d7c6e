"""Randomness as a pure function of what it belongs to, so that nothing has to be replayed."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

_GOLDEN, _MULTIPLY_1, _MULTIPLY_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def seed_of(*parts: object) -> int:
    """A 63-bit seed that depends on all `parts` (numbers and words) and on nothing else.

    >>> seed_of(0, "split", "row-17") == seed_of(0, "split", "row-17")
    True
    """
    digest = blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def scramble(numbers: np.ndarray, key: int) -> np.ndarray:
    """Hash 64-bit unsigned numbers with a key (the finalizer of SplitMix64; Steele et al. 2014), vectorised."""
    with np.errstate(over="ignore"):
        x = (numbers.astype(np.uint64) + np.uint64(key)) * np.uint64(_GOLDEN) + np.uint64(_GOLDEN)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(_MULTIPLY_1)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(_MULTIPLY_2)
        return x ^ (x >> np.uint64(31))


def permute(index: np.ndarray, length: int, seed: int, rounds: int = 6) -> np.ndarray:
    """Where a keyed permutation of `0 … length-1` sends each `index`, without making the permutation.

    A Feistel network over the next even power of two, walked until the result is in range
    (cycle walking; Black & Rogaway 2002). Constant memory, any index on its own.

    Args:
        index: integers in [0, length).
        length: size of the permuted range.
        seed: which permutation.
        rounds: Feistel rounds.

    >>> sorted(permute(np.arange(5), 5, seed=3).tolist())
    [0, 1, 2, 3, 4]
    """
    half = max(1, (max(length - 1, 1).bit_length() + 1) // 2)
    low = np.uint64((1 << half) - 1)
    keys = [seed_of(seed, turn) for turn in range(rounds)]

    def once(x: np.ndarray) -> np.ndarray:
        left, right = x >> np.uint64(half), x & low
        for key in keys:
            left, right = right, left ^ (scramble(right, key) & low)
        return (left << np.uint64(half)) | right

    result = once(np.asarray(index, dtype=np.uint64))
    outside = result >= length
    while outside.any():
        result[outside] = once(result[outside])
        outside = result >= length
    return result.astype(np.int64)
