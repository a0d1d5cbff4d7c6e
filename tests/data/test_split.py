"""Splits are a pure function of the seed and of what must stay together."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.config import SplitConfig
from omnifuse.data.split import assign_splits, check_splits, read_splits

SHARES = {"validation": 0.1, "test": 0.2}
ROWS = [f"row{i}" for i in range(1000)]


def test_single_rows_are_divided_exactly():
    assert Counter(assign_splits(ROWS, SHARES, 0)) == {"train": 700, "validation": 100, "test": 200}  # pyright: ignore[reportArgumentType]


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=60),
    validation=st.floats(0, 0.4),
    test=st.floats(0, 0.4),
    seed=st.integers(0, 10**9),
)
def test_groups_stay_whole_and_shares_are_met_within_half_a_group(sizes: list[int], validation: float, test: float, seed: int):
    groups = [f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]
    sides = assign_splits(groups, {"validation": validation, "test": test}, seed)
    assert len({(group, side) for group, side in zip(groups, sides, strict=True)}) == len(sizes)
    counts = Counter(sides)
    for split, share in (("test", test), ("validation", validation)):
        assert abs(counts[split] - share * len(groups)) <= max(sizes) / 2 + 0.5 or counts["train"] == 0


def test_the_seed_decides():
    first = assign_splits(ROWS, SHARES, 0)  # pyright: ignore[reportArgumentType]
    assert first == assign_splits(ROWS, SHARES, 0)  # pyright: ignore[reportArgumentType]
    other = assign_splits(ROWS, SHARES, 1)  # pyright: ignore[reportArgumentType]
    both = sum(a == b == "test" for a, b in zip(first, other, strict=True))
    assert 20 <= both <= 65, "two seeds share about 200·0.2 test rows"


def test_the_order_of_rows_does_not_matter():
    groups = [f"g{i % 37}" for i in range(200)]
    forward = dict(zip(groups, assign_splits(groups, SHARES, 5), strict=True))  # pyright: ignore[reportArgumentType]
    backward = dict(zip(groups[::-1], assign_splits(groups[::-1], SHARES, 5), strict=True))  # pyright: ignore[reportArgumentType]
    assert forward == backward


def test_no_share_means_no_rows():
    assert set(assign_splits(ROWS, {}, 0)) == {"train"}
    assert set(assign_splits(ROWS, {"test": 0.5}, 0)) == {"train", "test"}
    assert assign_splits([], SHARES, 0) == []  # pyright: ignore[reportArgumentType]


def test_a_column_of_the_table_may_say_the_split():
    words = ["train", "Training", "val", "valid", "dev", "validation", "TEST"]
    assert read_splits(words, "fold") == ["train", "train", *["validation"] * 4, "test"]


def test_another_word_in_that_column_is_refused():
    with pytest.raises(OmnifuseError, match=r"data.split.column: fold holds holdout; it may hold train, validation and test"):
        read_splits(["train", "holdout"], "fold")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"train": 0, "validation": 3, "test": 3}, "the training split is empty"),
        ({"train": 5, "validation": 0, "test": 3}, "no row falls into validation"),
        ({"train": 5, "validation": 3, "test": 0}, "no row falls into test"),
    ],
)
def test_an_empty_split_is_refused(counts: dict, message: str):
    with pytest.raises(OmnifuseError, match=message):
        check_splits(counts, SplitConfig())


def test_a_split_that_nobody_asked_for_may_be_empty():
    check_splits({"train": 5, "validation": 0, "test": 0}, SplitConfig(validation=0, test=0))
    with pytest.raises(OmnifuseError, match="training split"):
        check_splits({"train": 0}, SplitConfig(validation=0, test=0))


def test_the_column_that_keeps_rows_together_is_named_when_it_empties_a_split():
    with pytest.raises(OmnifuseError, match='"patient" kept together'):
        check_splits({"train": 5, "validation": 0, "test": 1}, SplitConfig(by="patient"))
