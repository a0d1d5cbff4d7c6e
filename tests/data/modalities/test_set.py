"""Sets: several labels at once, or none of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import SetConfig
from omnifuse.data.modalities.set import SetProcessor


def _read(value: Any, **options: Any) -> tuple[str, ...] | None:
    return SetProcessor(SetConfig(**options)).canonical(value)


@pytest.mark.parametrize(
    "value",
    [
        ["b", "a"],
        ("a", "b", "b"),
        {"a", "b"},
        frozenset("ab"),
        np.array(["b", "a"]),
        "a|b",
        " b | a ||",
        '["b", "a"]',
        "['b', 'a']",
        "('a', 'b',)",
        "{'a', 'b'}",
        "['a', None, \"b\"]",
        ["a", None, "b", float("nan"), " "],
    ],
    ids=lambda value: f"{type(value).__name__} of 2" if isinstance(value, set | frozenset) else repr(value),  # sets have no order
)
def test_the_forms_of_a_set_are_one(value: Any):
    assert _read(value) == ("a", "b")


def test_an_empty_set_is_there_and_an_empty_word_is_not():
    assert _read([]) == _read("[]") == _read("|") == _read([None]) == ()
    assert _read("") is _read(" ") is _read(None) is _read(float("nan")) is None


def test_labels_are_the_words_of_the_table():
    assert _read([1, 1.0, "1", np.int64(1)]) == ("1",)
    assert _read("1|1.0|2") == ("1", "2")
    assert _read("[1, 2.5]") == ("1", "2.5")
    assert _read(7) == ("7",)
    assert _read("['it\\'s', \"l'eau\"]") == ("it's", "l'eau")
    assert _read("[draft]|final") == ("[draft]", "final")
    assert _read("[draft]") == ("[draft]",)


def test_the_separator_and_the_mending_of_labels():
    assert _read("a;b|c", separator=";") == ("a", "b|c")
    assert _read("a, b,c", separator=",") == ("a", "b", "c")
    assert _read("Red|blu|?", lowercase=True, replace={"BLU": "blue", "?": None}) == ("blue", "red")
    assert set(SetConfig.reads) == {"separator", "lowercase", "replace"}


@pytest.mark.parametrize("value", [b"a|b", {"a": 1}, [["a"]], np.zeros((2, 2)), "[[1]]", [b"x"]], ids=repr)
def test_what_is_no_list_of_labels_is_refused(value: Any):
    with pytest.raises(BadValue, match="is not"):
        _read(value)


def test_a_word_of_many_brackets_is_harmless():
    assert len(_read("[" * 100_000 + "]" * 100_000) or ()) == 1


def test_sets_become_ones_and_zeros_and_come_back():
    processor = SetProcessor(SetConfig())
    raws = [("a", "c"), (), ("b",), ("a", "b", "c")]
    processor.fit(raws)
    values = processor.encode([*raws, None])
    assert values.data.dtype == torch.float32
    assert values.data.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 0]]
    assert values.present.tolist() == [True, True, True, True, False], "an empty set is present"
    assert processor.decode(values.data[:4]) == raws
    assert processor.spec.shape == (3,)
    assert processor.decode(torch.tensor([[0.9, 0.2, 0.51]])) == [("a", "c")], "probabilities too"


def test_unknown_and_rare_labels_are_left_out():
    processor = SetProcessor(SetConfig(min_count=2))
    processor.fit([("a", "rare"), ("a", "b"), ("b",)])
    assert processor.labels_ == ["a", "b"]
    assert processor.encode([("a", "new"), ("new",)]).data.tolist() == [[1, 0], [0, 0]]
    assert processor.is_known(("a", "new"))
    assert processor.is_known(())
    assert not processor.is_known(("new",)), "a target of new labels alone cannot be learned as the empty set"
    assert not processor.is_known(None)
    most = SetProcessor(SetConfig(max_classes=1))
    most.fit([("a", "b"), ("b",)])
    assert most.labels_ == ["b"]


def test_a_column_without_any_label_is_refused():
    with pytest.raises(OmnifuseError, match="every set is empty"):
        SetProcessor(SetConfig()).fit([(), ()])
    with pytest.raises(OmnifuseError, match="no label has 3 training rows"):
        SetProcessor(SetConfig(min_count=3)).fit([("a",), ("b",)])


def test_the_labels_survive_json():
    first, second = SetProcessor(SetConfig()), SetProcessor(SetConfig())
    first.fit([("10", "9"), ("b",)])
    assert first.labels_ == ["9", "10", "b"], "numbers by size"
    second.load_state(json.loads(json.dumps(first.state())))
    assert torch.equal(first.encode([("9", "b")]).data, second.encode([("9", "b")]).data)
