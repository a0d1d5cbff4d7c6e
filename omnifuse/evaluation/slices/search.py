"""All conditions and all pairs of them are tried at once: N rows, C conditions, K slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from omnifuse.evaluation.statistics import holm

LEVEL = 0.05
BETWEEN = 10  # rows of a part that are not in the pair, at least
MOST_CANDIDATES = 2000
SHARE = 0.8  # of the excess loss of the worst, for a slice that says more exactly where it is


class Difference(NamedTuple):
    """How much worse one set of rows is than another: difference of means, standard error, two-sided p; (K,) each."""

    worse: np.ndarray
    error: np.ndarray
    p: np.ndarray


class Sums(NamedTuple):
    """Rows, sum of losses and of their squares of some sets of rows, (K,) each."""

    rows: np.ndarray
    losses: np.ndarray
    squares: np.ndarray

    def minus(self, part: Sums) -> Sums:
        """Of the rows that are not in a part."""
        return Sums(self.rows - part.rows, self.losses - part.losses, self.squares - part.squares)

    def at(self, index: np.ndarray) -> Sums:
        """Of some of the sets."""
        return Sums(*(each[index] for each in self))


@dataclass(frozen=True)
class Slice:
    """Rows in which the loss is higher than in the others.

    Attributes:
        conditions: one or two, by their numbers.
        rows: how many rows.
        loss, elsewhere: mean loss of these rows and of all others.
        error: standard error of the difference.
        p: corrected for all that was tried.
    """

    conditions: tuple[int, ...]
    rows: int
    loss: float
    elsewhere: float
    error: float
    p: float

    @property
    def excess(self) -> float:
        """Loss that would not be there if these rows were like the others."""
        return (self.loss - self.elsewhere) * self.rows


class Search:
    """Looks for slices.

    Of every condition and every pair of them with enough rows, the mean loss is compared with that of all other rows by Welch's t;
    where rows belong to clusters the standard error is that of the sums over clusters, and the degrees of freedom are theirs. The
    variance of a set of rows counts as at least that of all rows: thirty rows that are all wrong would else seem certain. p is
    corrected by Holm, with half of the level for the conditions and half for the pairs.

    Args:
        holds: (N, C) bool, which conditions a row fulfils.
        losses: (N,), large is bad.
        clusters: (N,) int, rows of one number belong together.
        least: rows of a slice, at least; and of its others.
        effect: how much worse it is, at least.
    """

    def __init__(self, holds: np.ndarray, losses: np.ndarray, clusters: np.ndarray, least: int, effect: float) -> None:
        """Nothing is computed yet."""
        self.holds, self.losses, self.least, self.effect = holds, losses - losses.mean(), least, effect
        self.mean = float(losses.mean())
        different, self.clusters = np.unique(clusters, return_inverse=True)
        self.is_grouped = len(different) < len(losses)
        self.variance = float(self.losses.var(ddof=1)) if len(losses) > 1 else 0.0
        per_cluster = np.bincount(self.clusters, self.losses) ** 2
        self.design = max(1.0, float(per_cluster.sum()) / max((self.losses**2).sum(), 1e-300)) if self.is_grouped else 1.0
        self.tried = 0

    def run(self, most: int) -> list[Slice]:
        """The worst slices, at most so many, by excess loss; each has rows that are worse and in none before it."""
        ones, losses = self.holds.astype(np.float32), self.losses[:, None].astype(np.float32)
        sums = Sums(*((ones.T @ weighted).astype(np.float64) for weighted in (ones, ones * losses, ones * losses**2)))
        singles = Sums(*(np.diagonal(each).copy() for each in sums))
        found = self._tested([(c,) for c in range(len(singles.rows))], singles)
        first, second = np.triu_indices(len(singles.rows), 1)
        pairs = Sums(*(each[first, second] for each in sums))
        inside = pairs.rows <= np.minimum(singles.rows[first], singles.rows[second]) - BETWEEN
        first, second, pairs = first[inside], second[inside], pairs.at(np.flatnonzero(inside))
        both = self._tested(list(zip(first.tolist(), second.tolist(), strict=True)), pairs)
        return self._chosen([*found, *self._worse_than_parts(both)], most)

    def mask(self, conditions: tuple[int, ...]) -> np.ndarray:
        """(N,) bool, the rows that fulfil all of them."""
        return np.logical_and.reduce(self.holds[:, list(conditions)], axis=1)

    def _tested(self, names: list[tuple[int, ...]], sums: Sums) -> list[Slice]:
        """Those that are significantly and visibly worse than the other rows."""
        large = np.flatnonzero((sums.rows >= self.least) & (sums.rows <= len(self.losses) - self.least))
        self.tried += len(large)
        sums = sums.at(large)
        others = self._all().minus(sums)
        found = self._welch(sums, others)
        looked_at = np.flatnonzero((found.worse >= self.effect) & (found.p <= LEVEL))
        looked_at = looked_at[np.argsort(found.p[looked_at], kind="stable")][:MOST_CANDIDATES]
        ps, errors = np.ones(len(large)), found.error.copy()
        if self.is_grouped and len(looked_at):
            masks = np.stack([self.mask(names[large[k]]) for k in looked_at], axis=1)
            clustered = self._clustered(masks, ~masks)
            ps[looked_at], errors[looked_at] = clustered.p, clustered.error
        else:
            ps[looked_at] = found.p[looked_at]
        ps = np.minimum(1.0, 2 * holm(ps))
        return [
            Slice(
                names[large[k]],
                int(sums.rows[k]),
                self.mean + float(sums.losses[k] / sums.rows[k]),
                self.mean + float(others.losses[k] / others.rows[k]),
                float(errors[k]),
                float(ps[k]),
            )
            for k in looked_at
            if ps[k] <= LEVEL
        ]

    def _worse_than_parts(self, pairs: list[Slice]) -> list[Slice]:
        """The pairs that are clearly worse than the rest of either part, corrected for how many there are (Bonferroni)."""
        if not pairs:
            return []
        clear = np.ones(len(pairs), dtype=bool)
        inside = np.stack([self.mask(pair.conditions) for pair in pairs], axis=1)
        for place in (0, 1):
            part = self.holds[:, [pair.conditions[place] for pair in pairs]] & ~inside
            found = self._compared(inside, part)
            clear &= (found.worse >= self.effect) & (found.p * len(pairs) <= LEVEL)
        return [pair for pair, is_clear in zip(pairs, clear, strict=True) if is_clear]

    def _chosen(self, found: list[Slice], most: int) -> list[Slice]:
        """The one of most excess loss among the rows that are left, or one that holds nearly all of it in worse rows; again and again."""
        found = sorted(found, key=lambda each: -each.excess)[:MOST_CANDIDATES]
        if not found:
            return []
        masks = np.stack([self.mask(each.conditions) for each in found], axis=1)
        free, chosen = np.ones(len(self.losses), dtype=bool), []
        while len(chosen) < most:
            left, rest = masks & free[:, None], ~masks & free[:, None]
            rows = left.sum(axis=0)
            possible = np.flatnonzero((rows >= self.least) & (rest.sum(axis=0) >= self.least))
            if not len(possible):
                break
            compared = self._compared(left[:, possible], rest[:, possible])
            still = (compared.worse >= self.effect) & (compared.p <= LEVEL)
            possible, worse = possible[still], compared.worse[still]
            if not len(possible):
                break
            excess = worse * rows[possible]
            top = int(excess.argmax())
            shared = (left[:, possible] & left[:, [possible[top]]]).sum(axis=0)
            near = (excess >= SHARE * excess[top]) & (shared >= rows[possible] * SHARE)
            best = int(possible[np.flatnonzero(near)[worse[near].argmax()]])
            chosen.append(found[best])
            free &= ~masks[:, best]
        return chosen

    def _all(self) -> Sums:
        return Sums(np.array(len(self.losses), dtype=np.float64), self.losses.sum(), (self.losses**2).sum())

    def _compared(self, one: np.ndarray, other: np.ndarray) -> Difference:
        """Sets of rows (N, K) and (N, K), disjoint."""
        if self.is_grouped:
            return self._clustered(one, other)
        return self._welch(*(Sums(each.sum(axis=0).astype(np.float64), self.losses @ each, self.losses**2 @ each) for each in (one, other)))

    def _welch(self, one: Sums, other: Sums) -> Difference:
        """The statistic is t = (m₁ − m₂) / √(s₁²/n₁ + s₂²/n₂), with the degrees of freedom of Welch 1947."""
        parts, means = [], []
        for sums in (one, other):
            rows = np.maximum(sums.rows, 1)
            mean = sums.losses / rows
            variance = (sums.squares - rows * mean**2) / np.maximum(rows - 1, 1)
            parts.append(np.maximum(variance, self.variance) / rows)
            means.append(mean)
        total = parts[0] + parts[1]
        freedom = total**2 / np.maximum(sum(p**2 / np.maximum(s.rows - 1, 1) for p, s in zip(parts, (one, other), strict=True)), 1e-300)
        return _difference(means[0] - means[1], np.sqrt(total), freedom)

    def _clustered(self, one: np.ndarray, other: np.ndarray) -> Difference:
        """The variance of m₁ − m₂ is G/(G − 1) Σ_g (Σ_{i∈g} d_i)², d_i = ±(l_i − m)/n, over the G clusters with rows in either set.

        It counts as at least s²·f·(1/n₁ + 1/n₂), where f is by how much clusters widen the interval of the mean of all rows.
        Degrees of freedom: one less than the clusters of the set that has fewer.
        """
        from scipy.sparse import csr_matrix

        n = len(self.losses)
        gather = csr_matrix((np.ones(n), (self.clusters, np.arange(n))), shape=(int(self.clusters.max()) + 1, n))
        worse, error, fewest = [], [], []
        for at in range(0, one.shape[1], 64):
            sets = [each[:, at : at + 64].astype(np.float64) for each in (one, other)]
            rows = [np.maximum(each.sum(axis=0), 1) for each in sets]
            means = [self.losses @ each / count for each, count in zip(sets, rows, strict=True)]
            shares = [each * (self.losses[:, None] - m) / count for each, m, count in zip(sets, means, rows, strict=True)]
            touched = [np.asarray(gather @ each) > 0 for each in sets]
            clusters = np.maximum((touched[0] | touched[1]).sum(axis=0), 2)
            variance = clusters / (clusters - 1) * (np.asarray(gather @ (shares[0] - shares[1])) ** 2).sum(axis=0)
            worse.append(means[0] - means[1])
            error.append(np.sqrt(np.maximum(variance, self.variance * self.design * (1 / rows[0] + 1 / rows[1]))))
            fewest.append(np.minimum(*(each.sum(axis=0) for each in touched)) - 1)
        return _difference(np.concatenate(worse), np.concatenate(error), np.maximum(np.concatenate(fewest), 1))


def _difference(worse: np.ndarray, error: np.ndarray, freedom: np.ndarray) -> Difference:
    from scipy.special import stdtr

    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(error > 0, worse / error, np.where(worse == 0, 0.0, np.inf))
    return Difference(worse, error, 2 * stdtr(freedom, -np.abs(t)))
