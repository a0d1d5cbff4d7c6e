"""Splits are a pure function of the seed and of what must stay together."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.config import SPLITS, Split, SplitConfig
from omnifuse.data.groups import group_keys, merge_groups
from omnifuse.data.split import TEST, TRAIN, VALIDATION, check_splits, divide_rows, read_splits, split_by_time

SHARES: dict[Split, float] = {"validation": 0.1, "test": 0.2}
ROWS = [f"row{i}" for i in range(1000)]


def assign_splits(groups: list[str], shares: dict[Split, float], seed: int) -> list[Split]:
    """The division in words."""
    return [SPLITS[code] for code in divide_rows(groups, shares, seed)]


def test_single_rows_are_divided_exactly():
    assert Counter(assign_splits(ROWS, SHARES, 0)) == {"train": 700, "validation": 100, "test": 200}


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
    for split, share in zip(("test", "validation"), (test, validation), strict=True):
        assert abs(counts[split] - share * len(groups)) <= max(sizes) / 2 + 0.5 or counts["train"] == 0


def test_the_seed_decides():
    first = assign_splits(ROWS, SHARES, 0)
    assert first == assign_splits(ROWS, SHARES, 0)
    other = assign_splits(ROWS, SHARES, 1)
    both = sum(a == b == "test" for a, b in zip(first, other, strict=True))
    assert 20 <= both <= 65, "two seeds share about 200·0.2 test rows"


def test_the_order_of_rows_does_not_matter():
    groups = [f"g{i % 37}" for i in range(200)]
    forward = dict(zip(groups, assign_splits(groups, SHARES, 5), strict=True))
    backward = dict(zip(groups[::-1], assign_splits(groups[::-1], SHARES, 5), strict=True))
    assert forward == backward


def test_no_share_means_no_rows():
    assert set(assign_splits(ROWS, {}, 0)) == {"train"}
    assert set(assign_splits(ROWS, {"test": 0.5}, 0)) == {"train", "test"}
    assert assign_splits([], SHARES, 0) == []


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


def _table(codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(labels, 3) rows of each label in each split."""
    return np.array([np.bincount(codes[labels == label], minlength=3) for label in np.unique(labels)])


def test_words_numbers_and_arrow_arrays_give_the_same_division():
    codes = divide_rows(ROWS, SHARES, 3)
    assert codes.dtype == np.int8
    assert (codes == divide_rows(pa.array(ROWS), SHARES, 3)).all()
    assert (codes == divide_rows(pa.chunked_array([ROWS[:400], ROWS[400:]]), SHARES, 3)).all()
    assert (codes[10:] == divide_rows(group_keys(pa.array(ROWS).slice(10)), SHARES, 3)).mean() > 0.9


def test_keys_are_the_same_whatever_stands_beside_them():
    words = ["a", "", None, "ab", "ba", "a" * 7, "a" * 8, "a" * 9, "é", "患者", "a\0", "0" * 5000]
    keys = group_keys(words)
    assert len(set(keys.tolist())) == len(words)
    assert [group_keys([word])[0] for word in words] == keys.tolist()
    assert group_keys(pa.array(words).slice(3)).tolist() == keys[3:].tolist()


def test_each_label_is_divided_by_itself_and_the_totals_are_right():
    labels = np.repeat(["common", "usual", "seldom", "rare"], [700, 250, 43, 7])
    codes = divide_rows(ROWS, SHARES, 0, labels)
    assert np.bincount(codes).tolist() == [700, 100, 200]
    shares = _table(codes, labels) / np.bincount(np.unique(labels, return_inverse=True)[1])[:, None]
    assert abs(shares - [0.7, 0.1, 0.2]).max() <= 1 / 7
    counts = np.array([700, 7, 43, 250])[:, None] * [0.7, 0.1, 0.2]
    assert abs(_table(codes, labels) - counts).max() <= 2


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=12),
    validation=st.floats(0, 0.3),
    test=st.floats(0, 0.3),
    seed=st.integers(0, 99),
)
def test_no_label_is_without_training_rows_or_far_from_its_share(sizes: list[int], validation: float, test: float, seed: int):
    labels = np.repeat([f"label{i:02}" for i in range(len(sizes))], sizes)
    codes = divide_rows([f"row{i}" for i in range(len(labels))], {"validation": validation, "test": test}, seed, labels)
    table = _table(codes, labels)
    assert (table[:, TRAIN] > 0).all()
    for code, share in ((VALIDATION, validation), (TEST, test)):
        assert (abs(table[:, code] - share * np.array(sizes)) <= 1 + 1e-6).all()
        assert table[:, code].sum() <= round(share * len(labels))


def test_of_two_rows_at_most_one_is_held_out_and_a_single_one_is_learned():
    labels = np.array(["pair", "pair", "single", *["many"] * 97])
    for seed in range(30):
        codes = divide_rows(ROWS[:100], {"test": 0.5, "validation": 0.2}, seed, labels)
        assert codes[2] == TRAIN and (codes[:2] == TRAIN).sum() >= 1


def test_groups_of_several_labels_stay_whole_while_labels_keep_their_shares():
    random = np.random.default_rng(0)
    patients = np.repeat([f"p{i}" for i in range(300)], random.integers(1, 9, 300))
    labels = random.choice(["healthy", "ill", "unclear"], len(patients), p=[0.7, 0.25, 0.05])
    codes = divide_rows(patients, SHARES, 0, labels)
    assert len(set(zip(patients.tolist(), codes.tolist(), strict=True))) == 300
    assert np.bincount(codes) / len(codes) == pytest.approx([0.7, 0.1, 0.2], abs=0.01)
    table = _table(codes, labels)
    by_label = table / table.sum(1, keepdims=True)
    assert abs(by_label - [0.7, 0.1, 0.2]).max() < 0.04
    plain = _table(divide_rows(patients, SHARES, 0), labels)
    assert abs(by_label - [0.7, 0.1, 0.2]).max() < abs(plain / plain.sum(1, keepdims=True) - [0.7, 0.1, 0.2]).max()


@pytest.mark.parametrize("several", [False, True])
def test_a_stratified_division_does_not_depend_on_the_order_of_rows_but_on_the_seed(several: bool):
    random = np.random.default_rng(1)
    groups = random.integers(0, 150, 600) if several else np.arange(600)
    words = np.array([f"g{group}" for group in groups])
    labels = random.choice(list("abc"), 600)
    order = random.permutation(600)
    codes = divide_rows(words, SHARES, 5, labels)
    assert (codes[order] == divide_rows(words[order], SHARES, 5, labels[order])).all()
    assert (codes != divide_rows(words, SHARES, 6, labels)).mean() > 0.2


def test_one_giant_group_of_many_labels_stays_in_training():
    groups = ["giant"] * 80 + [f"g{i}" for i in range(20)]
    labels = ["a", "b"] * 50
    codes = divide_rows(groups, {"test": 0.1}, 0, labels)
    assert set(codes[:80].tolist()) == {TRAIN} and np.bincount(codes)[TEST] == 10


def test_the_latest_rows_are_tested():
    times = np.random.default_rng(0).permutation(100).astype(float)
    split = split_by_time(times, {"validation": 0.1, "test": 0.2})
    assert set(times[split.codes == TEST]) == set(range(80, 100))
    assert set(times[split.codes == VALIDATION]) == set(range(70, 80))
    assert split.starts == {"test": 80.0, "validation": 70.0} and split.absent == 0


def test_rows_of_one_time_stay_on_one_side_and_rows_without_time_are_learned():
    times = np.array([1, 2, 3, 3, 3, 3, 4, 4, np.nan, np.nan])
    split = split_by_time(times, {"test": 0.3, "validation": 0.3})
    assert split.codes.tolist() == [TRAIN, TRAIN, VALIDATION, VALIDATION, VALIDATION, VALIDATION, TEST, TEST, TRAIN, TRAIN]
    assert split.absent == 2


@settings(max_examples=60, deadline=None)
@given(times=st.lists(st.integers(0, 15), max_size=60), validation=st.floats(0, 0.4), test=st.floats(0, 0.4))
def test_time_never_runs_backwards_over_splits(times: list[int], validation: float, test: float):
    moments = np.array(times, dtype=float)
    codes = split_by_time(moments, {"validation": validation, "test": test}).codes
    for earlier, later in ((TRAIN, VALIDATION), (VALIDATION, TEST), (TRAIN, TEST)):
        if (codes == earlier).any() and (codes == later).any():
            assert moments[codes == earlier].max() < moments[codes == later].min()
    largest = max((times.count(time) for time in times), default=0)
    assert abs((codes == TEST).sum() - test * len(times)) <= largest / 2 + 1


def test_all_rows_at_one_time_are_not_divided():
    assert set(split_by_time(np.full(9, 5.0), {"test": 0.2, "validation": 0.2}).codes.tolist()) == {TRAIN}
    assert split_by_time(np.full(3, np.nan), {"test": 0.5}).absent == 3
    assert len(split_by_time(np.empty(0), {"test": 0.5}).codes) == 0


def test_groups_that_near_duplicates_link_become_one_and_chains_are_followed():
    groups = ["ann", "ann", "bob", "cid", "dan", "eve"]
    pictures, texts = np.array([-1, 7, 7, -1, -1, 3]), np.array([-1, -1, 2, 2, -1, -1])
    merged = merge_groups(groups, pictures, texts)
    assert len(set(merged[:4].tolist())) == 1 and len(set(merged.tolist())) == 3
    assert merged[4:].tolist() == group_keys(["dan", "eve"]).tolist()
    order = np.array([3, 5, 0, 2, 4, 1])
    again = merge_groups([groups[at] for at in order], pictures[order], texts[order])
    assert again.tolist() == merged[order].tolist(), "whatever the order of rows"
    assert merge_groups(groups).tolist() == group_keys(groups).tolist()


def test_merged_groups_are_divided_whole():
    rows = [f"row{i}" for i in range(2000)]
    copies = np.arange(2000) // 4
    codes = divide_rows(merge_groups(rows, copies), SHARES, 0)
    assert all(len(set(codes[at : at + 4].tolist())) == 1 for at in range(0, 2000, 4))
    assert np.bincount(codes).tolist() == [1400, 200, 400]


def test_many_rows_are_divided_at_once():
    ids = pa.array(np.char.mod("%024x", np.arange(300_000)))
    labels = np.random.default_rng(0).integers(0, 100, 300_000).astype(np.uint64)
    assert np.bincount(divide_rows(ids, SHARES, 0, labels)).tolist() == [210_000, 30_000, 60_000]


def test_a_large_group_at_the_front_does_not_leave_a_split_empty():
    for seed in range(50):
        groups = ["large"] * 400 + [f"g{i}" for i in range(600)]
        codes = divide_rows(groups, {"validation": 0.1, "test": 0.1}, seed)
        assert np.bincount(codes, minlength=3).tolist() == [800, 100, 100]
        assert len(set(codes[:400].tolist())) == 1
