"""YAML as every file of omnifuse is read: recipes, settings, rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Plain YAML without aliases: a few lines of them can stand for billions of values.

    As in YAML 1.2, only `true` and `false` are switches; `on`, `off`, `yes` and `no` are words, for they are keys and labels.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(None, None, "aliases (*name) are not read", self.peek_event().start_mark)
        return super().compose_node(parent, index)


def _without_word_switches(resolvers: Mapping[str, Any]) -> dict[str, Any]:
    switch = "tag:yaml.org,2002:bool"
    kept = {letter: [(tag, pattern) for tag, pattern in known if tag != switch] for letter, known in resolvers.items()}
    for letter in "tTfF":
        kept[letter] = [*kept.get(letter, []), (switch, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"))]
    return kept


_Loader.yaml_implicit_resolvers = _without_word_switches(yaml.SafeLoader.yaml_implicit_resolvers)


def read_yaml(text: str) -> Any:
    """The one value that a text holds.

    Raises:
        yaml.YAMLError: it is no YAML, or has an alias.
        ValueError: a value that cannot be, such as the date 2024-13-45.

    >>> read_yaml("{on: yes, off: true}")
    {'on': 'yes', 'off': True}
    """
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()
