"""Damaged texts.

A word is what stands between spaces; of Chinese and Japanese each sign is one. Of W words ⌊level·W + u⌋ are damaged, u ~ U(0, 1) drawn
once a text, so that the share is right on average for texts of few words, too.

Source: Belinkov & Bisk 2018, arXiv 1711.02173 (swapped and wrong letters); letters that are dropped or doubled are ours.
"""

from __future__ import annotations

import re

import numpy as np

from omnifuse.evaluation.robustness.corruptions import Known

_SIGNS = "぀-ヿ㐀-䶿一-鿿"
WORD = re.compile(rf"[{_SIGNS}]|[^\s{_SIGNS}]+")


def typos(raw: str, level: float, draw: np.random.Generator, known: Known) -> str:
    """In each damaged word two neighbouring letters change places, or one is dropped, doubled, or replaced by another of the text."""
    words = list(WORD.finditer(raw))
    chosen = _chosen(len(words), level, draw)
    letters = sorted({letter for word in words for letter in word[0]})
    slips = draw.random((len(words), 3))
    parts, end = [], 0
    for place, word in enumerate(words):
        parts += [raw[end : word.start()], _misspelt(word[0], letters, *slips[place].tolist()) if place in chosen else word[0]]
        end = word.end()
    return "".join([*parts, raw[end:]])


def dropped_words(raw: str, level: float, draw: np.random.Generator, known: Known) -> str:
    """The damaged words are left out; one always stays, for a text without words would be absent."""
    words = list(WORD.finditer(raw))
    chosen = _chosen(len(words), level, draw, most=len(words) - 1)
    parts, end = [], 0
    for place, word in enumerate(words):
        if place not in chosen:
            parts.append(raw[end : word.end()])
        end = word.end()
    return "".join(parts).strip()


def _chosen(count: int, level: float, draw: np.random.Generator, most: int | None = None) -> set[int]:
    """Which words are damaged: at a higher level the same ones and more."""
    order, rounding = draw.permutation(count), draw.random()
    share = min(int(level * count + rounding), count if most is None else most)
    return set(order[:share].tolist())


def _misspelt(word: str, letters: list[str], kind: float, place: float, other: float) -> str:
    """The word with one slip, which always changes it; kind, place and other in [0, 1) say which."""
    at = int(place * len(word))
    wrong = [letter for letter in letters if letter != word[at]]
    slips = [word[:at] + word[at] + word[at:]]
    if len(word) > 1:
        before = min(at, len(word) - 2)
        slips += [word[:before] + word[before + 1] + word[before] + word[before + 2 :], word[:at] + word[at + 1 :]]
    if wrong:
        slips.append(word[:at] + wrong[int(other * len(wrong))] + word[at + 1 :])
    slips = [slip for slip in slips if slip != word]
    return slips[int(kind * len(slips))]
