"""Several values written as one word: `["a", "b"]` as JSON or as Python writes it, `a|b`, `1, 2, 3`."""

from __future__ import annotations

import json
import re
from typing import Any

ITEM = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(None|True|False|nan|[-+]?[\d.][\w.+-]*))\s*(?:,|$)""", re.DOTALL)
BRACKETS = {"[": "]", "(": ")", "{": "}"}
NOTHING = ("None", "nan")


def read_list(word: str) -> list[Any] | None:
    """The values of a word that is a flat list in brackets, or `None` where it is something else.

    >>> read_list('["a", 2]'), read_list("['a', None]"), read_list("[draft]"), read_list("a, b")
    (['a', 2], ['a', None], None, None)
    """
    if len(word) < 2 or BRACKETS.get(word[0]) != word[-1]:
        return None
    if word[0] == "[":
        try:
            values = json.loads(word)
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, list):
            return values
    return _read_python(word[1:-1])


def _read_python(inside: str) -> list[Any] | None:
    """As `repr` writes a list; read item by item, for evaluating a stranger's words is not safe."""
    values: list[Any] = []
    inside, at = inside.strip(), 0
    while at < len(inside):
        item = ITEM.match(inside, at)
        if item is None:
            return None
        double, single, bare = item.groups()
        quoted = double if double is not None else single
        values.append(re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else None if bare in NOTHING else bare)
        at = item.end()
    return values
