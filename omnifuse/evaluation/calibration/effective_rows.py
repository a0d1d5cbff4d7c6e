"""Rows that share a picture, a clip or a group do not count in full."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from omnifuse.data.dataset import GROUP, Dataset
from omnifuse.data.loader import RawRows

MOST_GROUPINGS = 4


def effective_rows(values: np.ndarray, groups: Sequence[np.ndarray] = ()) -> float:
    """How many independent rows would tell the mean of these values as well: n / (V / V₀), between 1 and n.

    V₀ = s²/n is the variance of the mean of independent rows. V is that of rows in groups, what a bootstrap of whole groups comes to with
    many draws: G/(G − 1) · Σ over groups of (Σ in the group of (x − x̄))² / n² (Liang & Zeger 1986). With groups of m rows, V/V₀ is the
    design effect 1 + (m − 1)·ICC (Kish 1965); groups of any sizes are allowed. Where rows are grouped in several ways that cross, such
    as by picture and by clip, V is V_A + V_B − V_AB, the last of groups that share both (Cameron, Gelbach & Miller 2011), and never
    less than any of them alone. Values that are all the same tell nothing of it; then each group counts as one row.

    Args:
        values: (n,) such as 1 where a set holds the truth.
        groups: for each way of grouping, (n,) a code for the group of each row. Of more than four, the four of fewest groups are used.
    """
    n = len(values)
    ways = sorted((np.unique(each, return_inverse=True)[1] for each in groups), key=lambda code: int(code.max(initial=0)))[:MOST_GROUPINGS]
    if n < 2 or not ways:
        return float(n)
    off = values.astype(np.float64) - values.mean()
    alone = float((off**2).sum() / (n - 1) / n)
    if alone == 0:
        return float(min(code.max() + 1 for code in ways))
    variances = {size: [_variance(off, each) for each in combinations(ways, size)] for size in range(1, len(ways) + 1)}
    together = sum((-1) ** (size + 1) * sum(each) for size, each in variances.items())
    return float(np.clip(n * alone / max(together, alone, *variances[1]), 1.0, n))


def shared_by(data: RawRows, rows: Sequence[int] | np.ndarray, media: Sequence[str]) -> list[np.ndarray]:
    """Ways in which these rows are grouped: by each of these media columns that repeats values, and by the group that splits kept together.

    A value that is absent is shared with nobody. Reads keys, no file.
    """
    index = np.asarray(rows, dtype=np.int64)
    names = [*media, *([GROUP] if isinstance(data, Dataset) else [])]
    values = data.take(index, names) if names else {}
    codes = []
    for name in names:
        known: dict[object, int] = {}
        code = np.array(
            [known.setdefault((value,) if value is not None else place, len(known)) for place, value in enumerate(values[name])]
        )
        if len(known) < len(index):
            codes.append(code)
    return codes


def _variance(off: np.ndarray, ways: Sequence[np.ndarray]) -> float:
    """Of the mean, where rows that share all of these groups go together."""
    code = ways[0] if len(ways) == 1 else np.unique(np.stack(ways), axis=1, return_inverse=True)[1].reshape(-1)
    sums = np.bincount(code, weights=off)
    count = len(sums)
    return float((sums**2).sum() / len(off) ** 2 * count / max(1, count - 1))
