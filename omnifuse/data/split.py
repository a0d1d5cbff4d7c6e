"""Splits: a pure function of the seed and of what must stay together."""

from __future__ import annotations

from collections.abc import Sequence

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.seeds import seed_of
from omnifuse.data.config import SPLITS, Split, SplitConfig


def assign_splits(groups: Sequence[str], shares: dict[Split, float], seed: int) -> list[Split]:
    """Divide rows, keeping equal groups on one side.

    Groups are ordered by a keyed hash of their name, and each split takes groups from the front until it has its
    share of rows. So the result depends on the seed and the groups alone, not on the order of rows.

    Args:
        groups: what must stay together, one for each row.
        shares: share of the rows for `validation` and `test`; the rest is `train`.
        seed: which division.
    """
    sizes: dict[str, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    order = sorted(sizes, key=lambda group: (seed_of(seed, "split", group), group))
    side: dict[str, Split] = {}
    position = 0
    for split in ("test", "validation"):
        wanted, taken = round(shares.get(split, 0.0) * len(groups)), 0
        while position < len(order) and wanted - taken >= sizes[order[position]] / 2 and taken < wanted:
            side[order[position]] = split
            taken += sizes[order[position]]
            position += 1
    return [side.get(group, "train") for group in groups]


def read_splits(values: Sequence[object], column: str) -> list[Split]:
    """Take splits from a column of the table; `val`, `valid` and `dev` mean validation."""
    names = {"train": "train", "training": "train", "test": "test"} | dict.fromkeys(("validation", "val", "valid", "dev"), "validation")
    unknown = {str(value) for value in values if str(value).lower() not in names}
    if unknown:
        shown = ", ".join(sorted(unknown)[:5])
        raise OmnifuseError(f"data.split.column: {column} holds {shown}; it may hold train, validation and test")
    return [names[str(value).lower()] for value in values]  # pyright: ignore[reportReturnType]


def check_splits(counts: dict[Split, int], config: SplitConfig) -> None:
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
