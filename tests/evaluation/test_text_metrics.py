"""Texts are judged by measures worked out by hand: character error rate, CIDEr-D, BLEU."""

from __future__ import annotations

import math

import numpy as np
import pytest

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.cider import cider_d
from omnifuse.evaluation.edit_distance import edit_distances
from omnifuse.evaluation.kinds.text import Text

EXACT = {"rel": 0, "abs": 1e-9}


def by_the_book(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]


def test_edit_distances_are_those_of_the_textbook() -> None:
    assert edit_distances(["kitten", "", "same", "颜色", "ab"], ["sitting", "abc", "same", "颜", ""]).tolist() == [3, 3, 0, 1, 2]
    random = np.random.default_rng(0)
    first, second = (["".join(random.choice(list("abc"), random.integers(0, 30))) for _ in range(600)] for _ in range(2))
    expected = [by_the_book(a, b) for a, b in zip(first, second, strict=True)]
    assert edit_distances(first, second).tolist() == expected
    assert edit_distances([], []).tolist() == []


def test_the_error_rate_is_of_all_characters_together() -> None:
    given = Answers(truth=["A red  circle", "blue"], predicted=["a red circle", "blau"])
    assert Text().metrics(given)["cer"] == pytest.approx(2 / (12 + 4), **EXACT)
    assert Text().metrics(Answers(truth=["ab"], predicted=["a long answer"]))["cer"] > 1, "more may be wrong than there is"


def test_cider_by_hand() -> None:
    truth = [["a", "red", "cat"], ["a", "dog"], ["a", "blue", "bird"]]
    said = [["a", "red", "dog"], ["a", "dog"], ["x"]]
    two, three = math.log(3 / 1), math.log(3)  # all but "a" stand in one true text of three; "a" in all, so it weighs nothing
    red_cat = math.hypot(two, two)  # both texts of the first row have two words that weigh
    ones = two * two / red_cat**2  # "red" of "red", "dog" and "red", "cat"
    twos = 1 / 2  # "a red" of "a red", "red dog" and "a red", "red cat"
    assert three == two
    expected = [10 / 4 * (ones + twos + 0), 10 / 4 * 2, 0]
    assert cider_d(said, truth) == pytest.approx(expected, **EXACT)


def test_cider_does_not_reward_repetition_or_length() -> None:
    truth = [["one", "two", "three", "four", "five"], ["six", "seven", "eight", "nine", "ten"]]
    right, other = cider_d(truth, truth)
    assert right == pytest.approx(10, **EXACT)
    assert other == pytest.approx(10, **EXACT)
    longer = cider_d([truth[0] + ["one"] * 6, truth[1]], truth)[0]
    weights = [[7, 1, 1, 1, 1], [1, 1, 1, 1, 1, 5], [1, 1, 1, 1, 1, 4], [1, 1, 1, 1, 1, 3]]  # of n words in a row: the end repeats "one"
    shared = [5, 4, 3, 2]
    similar = [common / math.hypot(*had) / math.sqrt(common) for common, had in zip(shared, weights, strict=True)]
    assert longer == pytest.approx(10 / 4 * math.exp(-(6**2) / 72) * sum(similar), **EXACT)


def test_texts_without_case_and_spaces_are_compared_by_sacrebleu() -> None:
    bleu = pytest.importorskip("sacrebleu.metrics.bleu")
    truth, said = ["A red circle on a  table", "blue"], ["a red circle on the table", "Blue"]
    found = Text().metrics(Answers(truth=truth, predicted=said))
    expected = bleu.BLEU(lowercase=True).corpus_score(said, [truth]).score / 100
    assert found["bleu"] == pytest.approx(expected, **EXACT)
    perfect = Text().metrics(Answers(truth=truth, predicted=truth))
    assert [perfect[name] for name in ("accuracy", "cer", "chrf", "bleu")] == pytest.approx([1, 0, 1, 1], **EXACT)
