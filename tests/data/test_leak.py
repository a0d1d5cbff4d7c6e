"""Columns that give the target away."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omnifuse.core.schema import Schema
from omnifuse.data.clean.near import near_texts
from omnifuse.data.infer import infer_columns
from omnifuse.data.leak import Leak, check_splits_leak, find_leaks
from omnifuse.data.split import split_by_time


def _leaks(rows: list[dict[str, Any]], **columns: Any) -> list[Leak]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return find_leaks(rows, Schema.parse(columns))


def _target(modality: str) -> dict[str, str]:
    return {"modality": modality, "role": "target"}


def test_the_rating_gives_the_recommendation_away_and_age_does_not(shared_data: Path):
    path = shared_data / "reviews" / "reviews.parquet.brotli"
    if not path.is_file():
        pytest.skip(f"no reviews at {path}")
    schema = Schema(item.column for item in infer_columns(path, ["Recommended IND"]).values())
    leaks = find_leaks(path, schema)
    assert [(leak.column, leak.target, leak.measure) for leak in leaks] == [("Rating", "Recommended IND", "AUC")]
    assert 0.96 < leaks[0].score < 0.99
    assert "Rating alone nearly determines Recommended IND (AUC 0.97" in str(leaks[0])


def test_a_copy_of_a_number_is_found_and_noise_is_not():
    random = np.random.default_rng(0)
    price = random.normal(10, 3, 300)
    rows = [
        {"cents": 100 * p + random.normal(), "noise": random.normal(), "half": p + random.normal(0, 3), "shop": "ab"[i % 2], "price": p}
        for i, p in enumerate(price)
    ]
    leaks = _leaks(rows, cents="number", noise="number", half="number", shop="category", price=_target("number"))
    assert [(leak.column, leak.measure) for leak in leaks] == [("cents", "R²")]


def test_a_label_that_renames_the_target_is_found():
    rows = [{"code": f"k{i % 5}", "other": f"k{i % 7}", "answer": "abcde"[i % 5]} for i in range(300)]
    leaks = _leaks(rows, code="category", other="category", answer=_target("category"))
    assert [(leak.column, leak.score) for leak in leaks] == [("code", pytest.approx(1.0))]


def test_a_value_whose_absence_says_all_is_found():
    random = np.random.default_rng(0)
    rows = [{"paid": random.normal() if i % 2 else None, "answer": "yes" if i % 2 else "no"} for i in range(200)]
    assert [leak.column for leak in _leaks(rows, paid="number", answer=_target("category"))] == ["paid"]


def test_each_target_is_looked_at_and_the_worst_comes_first():
    random = np.random.default_rng(0)
    rows = []
    for i in range(400):
        value = float(random.normal())
        sign = value > 0 if i % 40 else value <= 0
        rows.append({"value": value, "sign": "plus" if sign else "minus", "double": 2 * value})
    leaks = _leaks(rows, value="number", sign=_target("category"), double=_target("number"))
    assert {(leak.column, leak.target) for leak in leaks} == {("value", "sign"), ("value", "double")}
    assert leaks[0].score >= leaks[1].score


def test_ignored_columns_and_texts_are_not_accused():
    rows = [{"copy": i % 2, "note": f"it is {i % 2}", "answer": i % 2} for i in range(100)]
    assert _leaks(rows, copy={"modality": "category", "role": "ignore"}, note="text", answer=_target("category")) == []


@pytest.mark.parametrize("count", [1, 2, 10, 40])
@pytest.mark.parametrize("modality", ["category", "number"])
def test_tiny_tables_give_no_alarm_and_no_error(count: int, modality: str):
    rows = [{"x": float(i * 7919 % 13), "y": "c", "answer": i % 2} for i in range(count)]
    assert _leaks(rows, x="number", y="category", answer=_target(modality)) == []


@pytest.mark.parametrize("modality", ["category", "number"])
@pytest.mark.parametrize("constant", [1, None])
def test_constant_and_empty_columns_give_no_alarm_and_no_error(modality: str, constant: int | None):
    rows = [{"x": float(i % 17), "same": constant, "answer": i * 31 % 5} for i in range(120)]
    assert all(leak.column != "same" for leak in _leaks(rows, x="number", same="category", answer=_target(modality)))
    flat = [{"x": float(i), "answer": constant} for i in range(120)]
    assert _leaks(flat, x="number", answer=_target(modality)) == []


def test_every_row_its_own_label_gives_no_error():
    rows = [{"x": i, "name": f"n{i}", "answer": f"label {i}"} for i in range(120)]
    assert _leaks(rows, x="number", name="category", answer=_target("category")) == []


def test_values_that_cannot_be_read_do_not_hide_a_leak():
    rows = [{"x": "n/a" if i % 20 == 0 else i % 2, "answer": i % 2} for i in range(400)]
    assert [leak.column for leak in _leaks(rows, x="number", answer=_target("category"))] == ["x"]


def test_a_column_under_another_name_is_read_from_its_source():
    rows = [{"code": f"k{i % 5}", "answer": "abcde"[i % 5]} for i in range(300)]
    leaks = _leaks(rows, tag={"modality": "category", "source": "code"}, answer=_target("category"))
    assert [leak.column for leak in leaks] == ["tag"]


def test_an_id_and_a_moment_that_give_the_target_away_are_found():
    rows = [{"user": f"u{i % 4}", "seen": f"2026-01-{i % 28 + 1:02}T10:00:00", "late": i % 28 > 13, "who": i % 4} for i in range(400)]
    leaks = _leaks(rows, user="id", seen="datetime", late=_target("category"), who=_target("category"))
    assert {(leak.column, leak.target) for leak in leaks} >= {("user", "who"), ("seen", "late")}


IDS = [f"r{i}" for i in range(6)]
SPLITS = np.array([0, 0, 0, 1, 2, 2])


def test_a_clean_division_gives_no_leak():
    codes = np.arange(6)
    near = near_texts([f"text number {i} of its own kind" * (i + 1) for i in range(6)])
    times = ("day", np.array([1.0, 2, 3, 4, 5, 6]))
    leaks = check_splits_leak(IDS, SPLITS, groups=("user", codes), rows=codes, values={"text": codes}, near={"text": near}, times=times)
    assert leaks == []


def test_every_kind_of_leak_is_told_with_its_rows():
    patients = np.array([0, 0, 1, -1, 1, -1])
    rows = np.array([0, 1, 2, 2, 3, 4])
    photos = np.array([0, 1, 2, 3, 4, 0])
    texts = [
        "the patient came in with a cough and a light fever",
        "b",
        "c",
        "d",
        "The patient came in with a cough, and a light fever",
        "e",
    ]
    times = np.array([1.0, 2, 9, 4, 5, np.nan])
    leaks = check_splits_leak(
        IDS,
        SPLITS,
        groups=("patient", patients),
        rows=rows,
        values={"photo": photos, "text": np.arange(6)},
        near={"text": near_texts(texts, 0.7)},
        times=("day", times),
    )
    told = {(leak.kind, leak.column): leak for leak in leaks}
    assert set(told) == {("group", "patient"), ("exact", ""), ("value", "photo"), ("near", "text"), ("time", "day")}
    assert told["group", "patient"].examples[0]["rows"] == ["r2", "r4"]
    assert told["exact", ""].examples == ({"rows": ["r2", "r3"], "splits": ["train", "validation"], "size": 2},)
    assert told["value", "photo"].examples[0]["rows"] == ["r0", "r5"]
    assert told["near", "text"].examples[0]["rows"] == ["r0", "r4"]
    assert [example["rows"] for example in told["time", "day"].examples] == [["r3"], ["r4"]], "both are before r2, which is learned"
    assert str(told["group", "patient"]) == "1 values of patient are in more than one split, in 2 rows (such as row r2)"
    assert all(json.loads(json.dumps(leak.dump()))["says"] for leak in leaks)


def test_repeats_within_one_split_are_no_leak():
    assert check_splits_leak(IDS, SPLITS, rows=np.array([0, 0, 0, 1, 2, 2]), values={"photo": np.array([5, 5, 5, 6, 7, 7])}) == []


def test_counts_are_exact_when_only_the_first_hundred_are_named():
    ids, splits = [f"r{i:04}" for i in range(1000)], np.arange(1000) % 2 * 2
    (leak,) = check_splits_leak(ids, splits, rows=np.arange(1000) // 2)
    assert (leak.groups, leak.rows, len(leak.examples)) == (500, 1000, 100)


def test_rows_divided_by_time_do_not_overlap():
    times = np.random.default_rng(0).integers(0, 30, 400).astype(float)
    codes = split_by_time(times, {"test": 0.2, "validation": 0.1}).codes
    assert check_splits_leak([str(i) for i in range(400)], codes, times=("day", times)) == []
