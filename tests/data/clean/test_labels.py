"""Misspelt labels are found, and labels that only look alike are left alone."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.clean.labels import find_odd_labels, replace_option


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("dresses", "Dresses"),
        ("DRESSES", "Dresses"),
        ("cafe", "café"),
        ("x ray", "x-ray"),
        ("covid19", "COVID-19"),
        ("Ｄresses", "Dresses"),
        ("Jakcets", "Jackets"),
        ("Jacket", "Jackets"),
        ("pneumnoia", "pneumonia"),
        ("pneumomiaa viral", "pneumonia viral"),
        ("neutarl", "neutral"),
        ("Москвва", "Москва"),
    ],
)
def test_a_rare_misspelling_is_told_with_what_is_meant(wrong: str, right: str):
    report = find_odd_labels({right: 300, wrong: 2, "something else": 50})
    assert report.replace == {wrong: right}


@pytest.mark.parametrize(
    ("rare", "frequent"),
    [
        ("v2", "v1"),
        ("version 11", "version 1"),
        ("size 12", "size 10"),
        ("1.5", "15"),
        ("2021-03-01", "2021-03-02"),
        ("type II", "type I"),
        ("grade B", "grade A"),
        ("A-", "A"),
        ("A+", "A-"),
        ("C++", "C"),
        ("cat", "cut"),
        ("male", "female"),
        ("atypical", "typical"),
        ("hypotension", "hypertension"),
        ("a12b", "a13b"),
        ("第二人民医院", "第一人民医院"),
        ("かき", "がき"),
        ("no", "not"),
        ("m²", "m2"),
    ],
)
def test_labels_that_only_look_alike_are_left_alone(rare: str, frequent: str):
    assert find_odd_labels({frequent: 5000, rare: 2}).misspelt == ()


def test_a_frequent_label_is_no_misspelling_of_letters():
    assert find_odd_labels({"Jackets": 300, "Packets": 200, "Jacket": 100}).misspelt == ()


def test_rare_labels_are_counted():
    report = find_odd_labels({"often": 100, "seldom": 4, "once": 1}, 5, column="tag")
    assert (report.labels, report.rare, report.rare_count) == (3, {"once": 1, "seldom": 4}, 2)
    assert find_odd_labels({"once": 1}, 0).rare_count == 0
    many = find_odd_labels({f"label number {i}": 1 for i in range(1000)})
    assert (len(many.rare), many.rare_count) == (100, 1000)


def test_the_option_that_mends_them_can_be_pasted_into_a_recipe():
    report = find_odd_labels({"Dresses": 100, "dresses ": 1, "Jackets": 90, "Jakcets": 2}, column="dept")
    assert yaml.safe_load(replace_option(report)) == {"columns": {"dept": {"replace": {"Jakcets": "Jackets", "dresses ": "Dresses"}}}}
    assert str(report.misspelt[0]) == '"Jakcets" (2 rows) looks like "Jackets" (90 rows)'
    assert report.dump()["replace"] == report.replace
    with pytest.raises(OmnifuseError, match="no label looks misspelt"):
        replace_option(find_odd_labels({"a": 1}, column="dept"))


def test_real_departments_give_no_alarm(shared_data: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = shared_data / "reviews" / "reviews.parquet.brotli"
    if not path.is_file():
        pytest.skip(f"no reviews at {path}")
    table = parquet.read_table(path)
    for name in table.column_names:
        if name.endswith("Name"):
            report = find_odd_labels(Counter(label for label in table[name].to_pylist() if label))
            assert report.misspelt == (), name


def test_thousands_of_labels_take_seconds():
    labels = {f"{first}{second} {third}": 20 for first in "bcdfg" for second in map("{:04}".format, range(40)) for third in range(20)}
    began = time.perf_counter()
    assert find_odd_labels(labels | {"watchmaker": 300, "watchmakre": 1}).replace == {"watchmakre": "watchmaker"}
    assert time.perf_counter() - began < 10
    crowd = {f"customer number {i}": 1 for i in range(50_000)} | {"Watchmaker": 90, "watchmaker": 1}
    assert find_odd_labels(crowd).replace == {"watchmaker": "Watchmaker"}
