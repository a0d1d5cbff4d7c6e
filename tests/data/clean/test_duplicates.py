"""Duplicates are counted exactly and the rows are named, within and across splits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnifuse.data.clean.config import CleanConfig
from omnifuse.data.clean.duplicates import (
    DuplicateReport,
    find_duplicates,
    find_near_duplicates,
    near_labels,
    near_values,
    number_rows,
    number_values,
    repeated,
)
from omnifuse.data.clean.near import NearPairs

TRAIN, VALIDATION, TEST = 0, 1, 2


def _pairs(*pairs: tuple[int, int, float]) -> NearPairs:
    first, second, distance = zip(*pairs, strict=True)
    return NearPairs(np.array(first), np.array(second), np.array(distance, dtype=np.float32))


def test_equal_rows_are_counted_and_named():
    codes, values = number_values(["a", "b", "a", None, "c", "a", "c", None])
    assert values == ["a", "b", "c"]
    splits = np.array([0, 0, 2, 0, 0, 0, 0, 2])
    report = find_duplicates([f"r{i}" for i in range(8)], codes, splits, column="word")
    assert (report.groups, report.rows, report.across_groups, report.across_rows) == (2, 5, 1, 3)
    assert report.examples == (
        {"rows": ["r0", "r2", "r5"], "splits": ["train", "test", "train"], "size": 3},
        {"rows": ["r4", "r6"], "splits": ["train", "train"], "size": 2},
    )
    assert json.loads(json.dumps(report.dump()))["examples"][0]["rows"] == ["r0", "r2", "r5"]
    assert str(report) == "word: exact duplicates: 5 rows in 2 groups, 3 rows of 1 groups across splits"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 8), st.integers(0, 2)), max_size=60))
def test_counts_agree_with_counting_one_by_one(rows: list[tuple[int, int]]):
    codes, splits = (np.array([row[at] for row in rows], dtype=np.int64) for at in (0, 1))
    report = find_duplicates([str(i) for i in range(len(rows))], codes, splits)
    groups = [[side for code, side in rows if code == value] for value in range(9)]
    several = [sides for sides in groups if len(sides) > 1]
    across = [sides for sides in groups if len(set(sides)) > 1]
    assert (report.groups, report.rows) == (len(several), sum(map(len, several)))
    assert (report.across_groups, report.across_rows) == (len(across), sum(map(len, across)))
    assert sum(repeated(codes)) == sum(len(sides) - 1 for sides in several)


def test_a_hundred_groups_are_named_those_across_splits_first_and_counts_stay_exact():
    codes = np.repeat(np.arange(500), 40)
    splits = np.zeros(20_000, dtype=np.int8)
    splits[40 * 499 + 39] = TEST  # the last row of the last group
    report = find_duplicates([f"r{i:05}" for i in range(20_000)], codes, splits)
    assert (report.groups, report.rows, report.across_groups, report.across_rows) == (500, 20_000, 1, 40)
    assert len(report.examples) == 100 and report.examples[0]["size"] == 40
    assert len(report.examples[0]["rows"]) == 10 and report.examples[0]["rows"][-1] == "r19999", "the row of the other split is named"


def test_rows_of_one_value_are_not_near_duplicates_but_rows_of_linked_values_are():
    codes = np.array([0, 0, 1, 2, 3, -1, 3])
    splits = np.array([0, 0, 2, 0, 0, 2, 2])
    near = _pairs((1, 2, 3.0), (2, 0, 5.0))
    near = NearPairs(np.minimum(near.first, near.second), np.maximum(near.first, near.second), near.distance)
    report = find_near_duplicates(list("abcdefg"), codes, splits, near, column="photo")
    assert (report.groups, report.rows, report.across_groups, report.across_rows) == (1, 4, 1, 4)
    assert report.examples == ({"rows": ["a", "b", "c", "d"], "splits": ["train", "train", "test", "train"], "size": 4, "distance": 5.0},)
    assert near_labels(codes, near).tolist() == [0, 0, 0, 0, 3, -1, 3]


def test_values_without_rows_link_nothing():
    """Values that were dropped with their rows may still be among those that were compared."""
    near = _pairs((0, 1, 1.0), (1, 2, 1.0))
    report = find_near_duplicates(["a", "b"], np.array([0, 2]), np.array([0, 2]), near)
    assert (report.groups, report.rows) == (0, 0)


def test_rows_are_equal_when_all_their_columns_are():
    codes = number_rows(np.array([0, 0, 1, 0, -1, -1]), np.array([5, 5, 5, -1, -1, -1]))
    assert codes[0] == codes[1] and len(set(codes.tolist())) == 4
    assert codes[4] == codes[5] == -1, "rows without any value repeat nothing"


def test_empty_tables_give_an_empty_report():
    none = np.empty(0, dtype=np.int64)
    assert find_duplicates([], none, none) == DuplicateReport("", "exact")
    near = NearPairs(none, none, np.empty(0, dtype=np.float32))
    assert find_near_duplicates([], none, none, near).groups == 0
    assert find_near_duplicates(["a"], np.array([-1]), np.array([0]), near).groups == 0


@pytest.mark.parametrize("modality", ["number", "category", "points"])
def test_modalities_without_a_fingerprint_are_not_compared(modality: str):
    assert near_values(modality, ["a", "a"], CleanConfig()) is None


def test_texts_are_compared_as_the_section_says():
    texts = ["a red wooden chair for the kitchen", "a red wooden chair for a kitchen"]
    assert len(near_values("text", texts, CleanConfig(near_texts=0.95)) or []) == 0
    assert len(near_values("text", texts, CleanConfig(near_texts=0.6)) or []) == 1
