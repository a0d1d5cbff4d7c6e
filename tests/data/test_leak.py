"""Columns that give the target away."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omnifuse.core.schema import Schema
from omnifuse.data.infer import infer_columns
from omnifuse.data.leak import Leak, find_leaks


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
