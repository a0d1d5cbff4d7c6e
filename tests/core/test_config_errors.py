"""Faults in a recipe: one line that names the place and the nearest valid word."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from omnifuse.core.config import Config
from omnifuse.core.errors import OmnifuseError
from omnifuse.data.config import DataConfig


class Inner(Config):
    patience: int = 3
    mode: Literal["fast", "careful"] = "fast"


class Middle(Config):
    inner: Inner = Inner()
    maybe: Inner | None = None


class Outer(Config):
    name: str
    rate: Annotated[float, Field(gt=0)] = 0.1
    middle: Middle = Middle()


def _message(value: Any, where: str = "") -> str:
    with pytest.raises(OmnifuseError) as caught:
        Outer.parse(value, where)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_right_section_is_read():
    config = Outer.parse({"name": "x", "middle": {"inner": {"patience": 5}}})
    assert (config.rate, config.middle.inner.patience) == (0.1, 5)


def test_an_instance_passes_through():
    config = Outer(name="x")
    assert Outer.parse(config) is config


def test_a_misspelt_key_names_the_nearest():
    assert _message({"name": "x", "rat": 1}) == 'unknown option "rat"; did you mean "rate"?'


@pytest.mark.parametrize("section", ["inner", "maybe"])
def test_a_misspelt_key_in_a_nested_section_names_its_place_and_the_nearest(section: str):
    message = _message({"name": "x", "middle": {section: {"patiense": 1}}}, "train")
    assert message == f'train.middle.{section}: unknown option "patiense"; did you mean "patience"?'


def test_a_wrong_word_names_the_nearest_allowed_one():
    message = _message({"name": "x", "middle": {"inner": {"mode": "carefull"}}})
    assert message.startswith("middle.inner.mode: ")
    assert 'did you mean "careful"?' in message
    assert "carefull" in message


def test_a_wrong_word_that_resembles_nothing_lists_the_allowed_ones():
    message = _message({"name": "x", "middle": {"inner": {"mode": "zzz"}}})
    assert "fast" in message
    assert "careful" in message


def test_a_missing_option_is_named():
    assert _message({"rate": 1}, "model") == "model.name: this option is required"


def test_a_number_out_of_range_shows_what_was_given():
    message = _message({"name": "x", "rate": -2})
    assert message.startswith("rate: ")
    assert "greater than 0" in message
    assert "(got -2)" in message


def test_a_wrong_type_shows_what_was_given():
    message = _message({"name": "x", "middle": {"inner": {"patience": "soon"}}})
    assert message.startswith("middle.inner.patience: ")
    assert "'soon'" in message


@pytest.mark.parametrize("value", [3, "x", None, [1]])
def test_a_section_that_is_no_mapping_is_refused(value: object):
    with pytest.raises(OmnifuseError, match=r"^train: expected a mapping"):
        Inner.parse(value, "train")


def test_instances_do_not_change():
    with pytest.raises(ValidationError):
        Inner().patience = 4  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"split": {"validaton": 0.2}}, 'data.split: unknown option "validaton"; did you mean "validation"?'),
        ({"split": {"validation": 0.6, "test": 0.5}}, "data.split: validation 0.6 and test 0.5 leave no training rows"),
        ({"split": {"by": "a", "column": "b"}}, "data.split: give one of `by`, `time` and `column`, not by and column"),
        ({"bad_values": "quarantin"}, 'data.bad_values: did you mean "quarantine"?'),
    ],
)
def test_the_data_section_explains_itself(value: dict[str, Any], expected: str):
    from omnifuse.data.config import DataConfig

    with pytest.raises(OmnifuseError) as caught:
        DataConfig.parse({"source": "x.csv", **value}, "data")
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("value", "where"),
    [({"source": "a.csv", "join": {"source": "b.csv"}}, "data.join"), ({"source": "a.csv", "windows": {"by": "who"}}, "data.windows.by")],
)
def test_one_thing_where_a_list_is_meant_is_said_in_words_of_yaml(value: dict[str, Any], where: str):
    with pytest.raises(OmnifuseError, match=rf"{where}: expected a list, as \[one, two\]"):
        DataConfig.parse(value, "data")
