"""Splits: a pure function of the seed and of what must stay together, whatever the order of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.seeds import scramble, seed_of
from omnifuse.data.config import SPLITS, Split, SplitConfig
from omnifuse.data.groups import group_keys

MOST_PASSED_OVER = 1000  # times that a group too large for what is missing is passed over
TRAIN, VALIDATION, TEST = (SPLITS.index(name) for name in ("train", "validation", "test"))


def divide_rows(groups: Any, shares: Mapping[Split, float], seed: int, strata: Any = None) -> np.ndarray:
    """Divide rows, keeping equal groups on one side.

    Groups are ordered by a keyed hash of their name, and each split takes groups from the front until it has its
    share of rows. So the result depends on the seed, the groups and the strata alone, not on the order of rows.

    With `strata`, each label is divided by itself. Its share of rows is rounded down, and the rows that are missing to the
    share of all rows are given to the labels that lost most by that (largest remainders), one each. A label always keeps
    a group in training. So of two rows with one label at most one is held out, and a label with one row is only learned.
    Groups with several labels are placed first, in random order, larger ones earlier: each in the split that, of
    those with room for it, has least of the group's labels yet, relative to its share.

    Args:
        groups: what must stay together, one for each row: words, or keys by `group_keys` or `merge_groups`.
        shares: share of the rows for `validation` and `test`; the rest is `train`.
        seed: which division.
        strata: labels that get the same shares in every split, one for each row; an absent one is a label too.

    Returns:
        (N,) int8, places in `SPLITS`.
    """
    keys = group_keys(groups)
    wanted = {code: shares.get(SPLITS[code], 0.0) for code in (TEST, VALIDATION)}
    if not len(keys):
        return np.empty(0, dtype=np.int8)
    known, members, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    order = np.argsort(scramble(known, seed_of(seed, "split")), kind="stable")
    side = np.full(len(known), TRAIN, dtype=np.int8)
    if strata is None:
        _take(side, order, sizes, {code: round(share * len(keys)) for code, share in wanted.items()})
    else:
        _stratify(side, order, sizes, members, group_keys(strata), wanted)
    return side[members]


@dataclass(frozen=True)
class TimeSplit:
    """Rows divided by time.

    Attributes:
        codes: (N,) int8, places in `SPLITS`.
        starts: the earliest time in the validation and the test split, where they have rows.
        absent: rows without a time, which are in the training split.
    """

    codes: np.ndarray
    starts: dict[Split, float]
    absent: int


def split_by_time(times: np.ndarray, shares: Mapping[Split, float]) -> TimeSplit:
    """The latest rows are the test split, those before them the validation split.

    Rows of one time stay on one side: a boundary that would part them moves to their nearer end. Rows without a time
    cannot be placed and go to training; there they cannot make the figures of a test look better than they are, unless
    they are later than it: the number is told.

    Args:
        times: (N,) float, NaN for absent.
        shares: of the rows that have a time.
    """
    times = np.asarray(times, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(times))
    codes = np.full(len(times), TRAIN, dtype=np.int8)
    order = known[np.argsort(times[known], kind="stable")]
    ordered, end = times[order], len(order)
    starts: dict[Split, float] = {}
    held = 0.0
    for code in (TEST, VALIDATION):
        held += shares.get(SPLITS[code], 0.0)
        begin = min(_between_times(ordered, len(order) - round(held * len(order))), end)
        codes[order[begin:end]] = code
        if begin < end:
            starts[SPLITS[code]] = float(ordered[begin])
        end = begin
    return TimeSplit(codes, starts, len(times) - len(known))


def read_splits(values: Sequence[object], column: str) -> list[Split]:
    """Take splits from a column of the table; `val`, `valid` and `dev` mean validation."""
    names = {"train": "train", "training": "train", "test": "test"} | dict.fromkeys(("validation", "val", "valid", "dev"), "validation")
    unknown = {str(value) for value in values if str(value).lower() not in names}
    if unknown:
        shown = ", ".join(sorted(unknown)[:5])
        raise OmnifuseError(f"data.split.column: {column} holds {shown}; it may hold train, validation and test")
    return [names[str(value).lower()] for value in values]  # pyright: ignore[reportReturnType]


def check_splits(counts: Mapping[Split, int], config: SplitConfig) -> None:
    """Raise when a split that was asked for holds no row."""
    for split in SPLITS:
        if counts.get(split, 0):
            continue
        if split == "train":
            raise OmnifuseError("data.split: the training split is empty; give more rows, or smaller shares to validation and test")
        if split == "validation" and config.validation > 0:
            by = f' with equal "{config.by}" kept together' if config.by else ""
            raise OmnifuseError(
                f"data.split.validation: no row falls into validation{by}; it chooses the best epoch, give it a larger share or more rows"
            )
        if split == "test" and config.test > 0:
            raise OmnifuseError("data.split.test: no row falls into test; give it a larger share, more rows, or 0")


def _take(side: np.ndarray, order: np.ndarray, sizes: np.ndarray, wanted: Mapping[int, int]) -> None:
    """Give each split groups from the front of the order that bring it nearer to the rows that are wanted; pass over larger ones."""
    for code, rows in wanted.items():
        free = order[side[order] == TRAIN]
        for _ in range(MOST_PASSED_OVER):
            free = free[sizes[free] <= 2 * rows]
            if rows <= 0 or not len(free):
                break
            size = sizes[free]
            missing = rows - (np.cumsum(size) - size)
            stops = np.flatnonzero((missing < size / 2) | (missing <= 0))
            end = int(stops[0]) if len(stops) else len(free)
            side[free[:end]] = code
            rows -= int(size[:end].sum())
            free = free[end:]


def _stratify(
    side: np.ndarray, order: np.ndarray, sizes: np.ndarray, members: np.ndarray, labels: np.ndarray, wanted: Mapping[int, float]
) -> None:
    _, label = np.unique(labels, return_inverse=True)
    lowest, highest = np.full(len(sizes), len(labels)), np.full(len(sizes), -1)
    np.minimum.at(lowest, members, label)
    np.maximum.at(highest, members, label)
    mixed = lowest != highest
    rows = np.bincount(label)
    room = _apportion(rows, wanted, len(labels))
    learned = np.zeros(len(rows), dtype=bool)
    if mixed.any():
        learned = _place_mixed(side, order[mixed[order]], _counts(members, label, mixed), room, rows)
    pure = order[~mixed[order]]
    pure = pure[np.argsort(lowest[pure], kind="stable")]  # by label, within it in random order
    ends = np.cumsum(np.bincount(lowest[pure], minlength=len(rows)))
    begins = np.concatenate([[0], ends[:-1]])
    for at in np.flatnonzero(ends > begins).tolist():
        own = pure[begins[at] : ends[at]]
        free = own if learned[at] else own[:-1]  # a label keeps a group in training
        _take(side, free, sizes, {code: int(max(0, space[at])) for code, space in room.items()})


def _apportion(rows: np.ndarray, wanted: Mapping[int, float], total: int) -> dict[int, np.ndarray]:
    """How many rows of each label each split gets: rounded down, then one more by the largest remainders (Hamilton's method)."""
    left = rows - 1
    room = {}
    for code, share in wanted.items():
        quota = share * rows
        given = np.minimum(np.floor(quota + 1e-9).astype(np.int64), left)
        missing = round(share * total) - int(given.sum())
        remainder = np.where(given < left, quota - given, -1.0)
        more = np.argsort(-remainder, kind="stable")[: max(0, missing)]
        given[more[remainder[more] > 0]] += 1
        left = left - given
        room[code] = given
    return room


def _counts(members: np.ndarray, label: np.ndarray, mixed: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Labels and their rows in every group that has several."""
    inside = np.flatnonzero(mixed[members])
    width = int(label.max()) + 1
    pairs, counts = np.unique(members[inside] * width + label[inside], return_counts=True)
    owners = pairs // width
    cuts = np.flatnonzero(np.diff(owners)) + 1
    parts = zip(np.split(owners, cuts), np.split(pairs % width, cuts), np.split(counts, cuts), strict=True)
    return {int(owner[0]): (labels, rows) for owner, labels, rows in parts}


def _place_mixed(
    side: np.ndarray,
    order: np.ndarray,
    counts: Mapping[int, tuple[np.ndarray, np.ndarray]],
    room: dict[int, np.ndarray],
    rows: np.ndarray,
) -> np.ndarray:
    """Place groups of several labels one by one; what they take is taken from `room`. Which labels training has."""
    sizes = np.array([counts[group][1].sum() for group in order.tolist()])
    share = {code: np.maximum(space, 1e-9) for code, space in room.items()} | {TRAIN: np.maximum(rows - sum(room.values()), 1e-9)}
    filled = {code: np.zeros(len(rows)) for code in share}
    free = {code: float(space.sum()) for code, space in room.items()}
    for group in order[np.argsort(-np.floor(np.log2(sizes)), kind="stable")].tolist():
        labels, number = counts[group]
        size = float(number.sum())
        fitting = [TRAIN, *(code for code in room if free[code] >= size / 2 and free[code] > 0)]
        chosen = min(fitting, key=lambda code: float((number * (filled[code][labels] + number) / share[code][labels]).sum()))
        side[group] = chosen
        filled[chosen][labels] += number
        if chosen != TRAIN:
            free[chosen] -= size
            room[chosen][labels] -= number
    return filled[TRAIN] > 0


def _between_times(ordered: np.ndarray, at: int) -> int:
    """The place nearest to `at` that parts no equal times."""
    if at <= 0 or at >= len(ordered):
        return max(0, min(at, len(ordered)))
    first, last = (int(np.searchsorted(ordered, ordered[at], side)) for side in ("left", "right"))
    return first if at - first <= last - at else last
