"""Categories: labels as words, mended, numbered and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.category import CategoryProcessor
from omnifuse.data.modalities.config import CategoryConfig


def test_labels_come_back():
    processor = CategoryProcessor(CategoryConfig())
    processor.fit(["b", "a", "是", "b"])
    values = processor.encode(["是", "a", "b"])
    assert processor.decode(values.data) == ["是", "a", "b"]
    assert processor.spec.size == 3


def test_one_written_as_number_or_word_is_one_label():
    assert {CategoryProcessor(CategoryConfig()).canonical(value) for value in (1, 1.0, "1", np.float32(1), np.int8(1), " 1 ")} == {"1"}
    assert CategoryProcessor(CategoryConfig()).canonical(1.5) == "1.5"
    assert CategoryProcessor(CategoryConfig()).canonical(-0.0) == "0"


def test_labels_that_are_numbers_stand_by_size():
    processor = CategoryProcessor(CategoryConfig())
    processor.fit(["10", "9", "x", "-1", "b"])
    assert processor.labels_ == ["-1", "9", "10", "b", "x"]


def test_an_unknown_label_has_an_id_of_its_own_and_no_name():
    processor = CategoryProcessor(CategoryConfig())
    processor.fit(["a", "b"])
    values = processor.encode(["a", "new", "b", None])
    assert values.data.tolist() == [0, 2, 1, 0]
    assert values.present.tolist() == [True, True, True, False]
    assert processor.decode(values.data[:3]) == ["a", None, "b"]
    assert processor.is_known("a")
    assert not processor.is_known("new")
    assert not processor.is_known(None)


def test_of_too_many_labels_the_most_frequent_are_kept():
    processor = CategoryProcessor(CategoryConfig(max_classes=2))
    processor.fit(["c", "a", "c", "b", "a", "c"])
    assert processor.labels_ == ["a", "c"]


def test_misspelt_labels_are_mended():
    processor = CategoryProcessor(CategoryConfig(replace={"gren": "green", "N/Y": "New York", "?": ""}))
    assert [processor.canonical(value) for value in ("gren", "green", " N/Y ", "?", "Gren")] == ["green", "green", "New York", None, "Gren"]


def test_folding_the_case_makes_labels_alike_and_replacements_find_any_case():
    processor = CategoryProcessor(CategoryConfig(lowercase=True, replace={"Grn": "green"}))
    assert {processor.canonical(value) for value in ("Green", "GREEN", "grn", "GRN", " green")} == {"green"}


def test_replacements_may_be_numbers_as_yaml_reads_them():
    config = CategoryConfig.parse({"replace": {1: "one", "two": 2, "old": None}}, "columns.x")
    assert config.replace == {"1": "one", "two": "2", "old": ""}
    processor = CategoryProcessor(config)
    assert [processor.canonical(value) for value in (1.0, "1", "two", "old")] == ["one", "one", "2", None]
    assert CategoryConfig.model_validate(config.model_dump(mode="json")) == config


def test_rare_labels_count_as_unknown():
    processor = CategoryProcessor(CategoryConfig(min_count=2))
    processor.fit(["a", "b", "a", "c", "b"])
    assert processor.labels_ == ["a", "b"]
    assert not processor.is_known("c")
    assert processor.encode(["c"]).data.tolist() == [2]


def test_too_high_a_count_is_told_and_never_leaves_no_label():
    with pytest.raises(OmnifuseError, match=r"min_count: no label has 5 training rows .*the most frequent has 2"):
        CategoryProcessor(CategoryConfig(min_count=5)).fit(["a", "b", "a"])


@pytest.mark.parametrize("value", [b"\x89PNG", ["a"], {"a": 1}, ("a", "b"), {"a"}, np.zeros(3)], ids=repr)
def test_what_is_not_one_label_is_refused(value: Any):
    with pytest.raises(BadValue, match="is not one label"):
        CategoryProcessor(CategoryConfig()).canonical(value)


def test_only_how_labels_are_read_prepares_the_data_anew():
    assert set(CategoryConfig.reads) == {"replace", "lowercase"}


def test_labels_may_be_given_an_order() -> None:
    processor = CategoryProcessor(CategoryConfig.parse({"order": ["poor", "Fair", "good", "excellent"], "lowercase": True}))
    processor.fit(["good", "poor", "fair", "good"])
    assert processor.labels_ == ["poor", "fair", "good"], "those that training holds"
    assert processor.spec.ordered
    assert processor.encode(["fair"]).data.tolist() == [1]
    other = CategoryProcessor(processor.config)
    other.load_state(processor.state())
    assert other.spec == processor.spec


def test_a_label_without_a_place_in_the_order_is_named() -> None:
    processor = CategoryProcessor(CategoryConfig.parse({"order": ["poor", "good"]}))
    with pytest.raises(OmnifuseError, match='order: the label "goood" has no place in it; did you mean "good"'):
        processor.fit(["poor", "goood"])
    with pytest.raises(OmnifuseError, match="order: name at least two labels"):
        CategoryConfig.parse({"order": ["a", "b", "a"]})


def test_numbers_are_in_order_by_themselves_and_words_are_not() -> None:
    for labels, ordered in ((["1", "10", "2.5"], True), (["1", "2", "many"], False), (["a", "b"], False)):
        processor = CategoryProcessor(CategoryConfig())
        processor.fit(labels)
        assert processor.spec.ordered is ordered
    assert CategoryConfig.parse({"order": [1, 2]}).order == ("1", "2")
