"""YAML is read in one way wherever omnifuse reads it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from omnifuse.core.yaml_text import read_yaml


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "Yes", "NO", "y", "n"])
def test_only_true_and_false_are_switches(word: str):
    assert read_yaml(f"{word}: [{word}, true, False]") == {word: [word, True, False]}


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), ("1.5", 1.5), ("~", None), ("tried", "tried"), ("Fox", "Fox"), ('"true"', "true"), ("", None)]
)
def test_other_words_are_what_they_are_in_yaml(text: str, value: Any):
    assert read_yaml(text) == value


def test_aliases_and_dates_that_cannot_be_are_refused():
    with pytest.raises(yaml.YAMLError, match=r"aliases \(\*name\) are not read"):
        read_yaml("{a: &b [1], c: *b}")
    with pytest.raises(ValueError, match="month"):
        read_yaml("2024-13-45")
    with pytest.raises(yaml.YAMLError):
        read_yaml("!!python/object/apply:os.getcwd []")
