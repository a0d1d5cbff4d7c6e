"""Tokens of a text merged back to words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")


@dataclass(frozen=True)
class Word:
    """A piece of a text.

    Attributes:
        text: the piece, with the blanks that stand before it.
        tokens: places of its tokens.
    """

    text: str
    tokens: tuple[int, ...]


def words_of(text: str, offsets: Sequence[tuple[int, int]], special: Sequence[int]) -> list[Word]:
    """Merge tokens to words; joined, their texts are what was read of the text.

    Tokens belong together where they share a character, or where a letter or digit of a script that writes blanks stands on both sides of
    their border. Signs stand alone. In scripts without blanks, such as Chinese, tokens are words.

    Args:
        text: as it was tokenized.
        offsets: where each token begins and ends.
        special: 1 for marks that the tokenizer adds, which belong to no word.
    """
    spans: list[tuple[int, int, list[int]]] = []
    blanks: list[int] = []  # they belong to the word behind them
    for token, ((start, end), is_mark) in enumerate(zip(offsets, special, strict=True)):
        said = text[start:end].lstrip()
        start = end - len(said)
        if is_mark:
            continue
        if not said:
            blanks.append(token)
        elif spans and not blanks and (start < spans[-1][1] or _is_inside(text, spans[-1][1], start)):
            first, last, tokens = spans[-1]
            spans[-1] = (first, max(last, end), [*tokens, token])
        else:
            spans.append((start, end, [*blanks, token]))
            blanks = []
    if spans:
        spans[-1][2].extend(blanks)
    ends = [0, *(end for _, end, _ in spans)]
    return [Word(text[before:end], tuple(tokens)) for before, (_, end, tokens) in zip(ends, spans, strict=False)]


def _is_inside(text: str, end: int, start: int) -> bool:
    """Whether the border between two tokens lies inside a word."""
    if end != start:
        return False
    return all(letter.isalnum() and not UNSPACED.match(letter) for letter in (text[end - 1 : end], text[start : start + 1]))
