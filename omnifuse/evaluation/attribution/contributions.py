"""What each column adds to the support of one answer: Shapley values, row by row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

EXACT, ORDERS = 8, 32

Worth = Callable[[np.ndarray], np.ndarray]


def contributions(columns: int, worth: Worth, seed: int) -> np.ndarray:
    """(columns, N) Shapley values: of up to eight columns exact, of more a mean over orders; either way they add up to
    worth(all) − worth(none).

    φ_c = Σ_{S without c} |S|!·(n − |S| − 1)!/n! · (v(S ∪ c) − v(S)), which is the mean of what c adds over all orders in which columns may
    come. Of many columns 32 orders are drawn, each taken forwards and backwards, so that errors of both partly cancel.

    Source: Shapley 1953; sampled orders: Castro et al. 2009; backwards as well: Mitchell et al. 2022, arXiv 2104.12199.

    Args:
        columns: how many, n.
        worth: (subsets, n) bool, which columns are there → (subsets, N) support of the N answers.
        seed: of the orders.
    """
    if columns <= EXACT:
        subsets = (np.arange(2**columns)[:, None] >> np.arange(columns)) & 1 == 1
        return shapley_values(worth(subsets))
    draw = np.random.default_rng(seed)
    orders = [draw.permutation(columns) for _ in range(ORDERS)]
    orders += [order[::-1] for order in orders]
    subsets = np.concatenate([_grown(order) for order in orders])
    steps = np.diff(worth(subsets).reshape(len(orders), columns + 1, -1), axis=1)
    total = np.zeros((columns, steps.shape[2]))
    for order, added in zip(orders, steps, strict=True):
        total[order] += added
    return total / len(orders)


def asked(columns: int) -> int:
    """How many subsets of so many columns are asked about."""
    return 2**columns if columns <= EXACT else 2 * ORDERS * (columns + 1)


def shapley_values(worth: np.ndarray) -> np.ndarray:
    """(n, N) exact Shapley values of (2ⁿ, N) worths, where bit c of the place of a subset says whether c is in it."""
    columns = len(worth).bit_length() - 1
    places, sizes = np.arange(len(worth)), np.array([place.bit_count() for place in range(len(worth))])
    weights = np.array([math.factorial(s) * math.factorial(columns - s - 1) / math.factorial(columns) for s in range(columns)])
    values = []
    for column in range(columns):
        without = places[(places >> column) & 1 == 0]
        values.append(weights[sizes[without]] @ (worth[without | (1 << column)] - worth[without]))
    return np.stack(values) if values else np.zeros((0, worth.shape[1]))


def _grown(order: Sequence[int] | np.ndarray) -> np.ndarray:
    """(n + 1, n) bool: nothing, then one column more each time."""
    subsets = np.zeros((len(order) + 1, len(order)), dtype=bool)
    for step, column in enumerate(order):
        subsets[step + 1 :, column] = True
    return subsets
