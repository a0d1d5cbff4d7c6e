"""Several noisy labels become one; bad annotators are found and discounted."""

from __future__ import annotations

import json
from math import isnan

import numpy as np
import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.annotate.combine import METHODS, combine_votes
from omnifuse.data.annotate.votes import Vote, write_set

LABELS = ["cat", "dog", "fox"]


def planted(rows: int = 300, seed: int = 0) -> tuple[list[Vote], dict[str, str], dict[str, float]]:
    """Two able annotators, two who guess, and two who call nearly every cat a dog and every dog a cat."""
    random = np.random.default_rng(seed)
    truth = {f"r{i}": LABELS[random.integers(0, 3)] for i in range(rows)}
    swap = {"cat": "dog", "dog": "cat", "fox": "fox"}
    votes = []
    for row, label in truth.items():
        for who, able in {"ann": 0.92, "bob": 0.9}.items():
            votes.append(Vote(row, "animal", who, label if random.random() < able else LABELS[random.integers(0, 3)]))
        for who in ("guess1", "guess2"):
            votes.append(Vote(row, "animal", who, LABELS[random.integers(0, 3)]))
        for who in ("swap1", "swap2"):
            votes.append(Vote(row, "animal", who, swap[label] if random.random() < 0.85 else label))
    right = {who: float(np.mean([v.label == truth[v.row] for v in votes if v.annotator == who])) for who in {v.annotator for v in votes}}
    return votes, truth, right


def accuracy(votes: list[Vote], truth: dict[str, str], method: str) -> float:
    return float(np.mean([label.label == truth[label.row] for label in combine_votes(votes, method).labels]))


@pytest.fixture(scope="module")
def crowd() -> tuple[list[Vote], dict[str, str], dict[str, float]]:
    pytest.importorskip("crowdkit")
    return planted()


def test_dawid_skene_beats_majority_where_some_annotators_are_bad(crowd: tuple[list[Vote], dict[str, str], dict[str, float]]):
    votes, truth, _ = crowd
    majority, skilled = accuracy(votes, truth, "majority"), accuracy(votes, truth, "dawid-skene")
    assert majority < 0.8
    assert skilled > majority + 0.15
    assert skilled > 0.9


def test_skill_ranks_the_annotators_as_the_truth_does(crowd: tuple[list[Vote], dict[str, str], dict[str, float]]):
    votes, _, right = crowd
    skills = {each.annotator: each.skill for each in combine_votes(votes, "dawid-skene").skills}
    for who, share in right.items():
        assert skills[who] == pytest.approx(share, abs=0.08)


SLOW = {"mace"}


@pytest.mark.parametrize("method", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in METHODS])
def test_every_method_beats_a_single_annotator_among_able_ones(method: str):
    if method != "majority":
        pytest.importorskip("crowdkit")
    random = np.random.default_rng(1)
    truth = {f"r{i}": LABELS[i % 3] for i in range(60)}
    votes = [
        Vote(row, "animal", f"a{i}", label if random.random() < 0.75 else LABELS[random.integers(0, 3)])
        for row, label in truth.items()
        for i in range(5)
    ]
    combined = combine_votes(votes, method)
    single = np.mean([vote.label == truth[vote.row] for vote in votes])
    assert np.mean([label.label == truth[label.row] for label in combined.labels]) > single + 0.05
    assert len(combined.labels) == 60
    assert all(0 <= label.probability <= 1 and label.votes == 5 for label in combined.labels)


def test_majority_by_hand_and_its_ties():
    votes = [Vote("1", "c", w, label) for w, label in zip("abc", ["yes", "yes", "no"], strict=True)]
    votes += [Vote("2", "c", "a", "yes"), Vote("2", "c", "b", "no")]
    first, second = combine_votes(votes, "majority").labels
    assert (first.label, first.votes, first.agreeing) == ("yes", 3, 2)
    assert first.probability == pytest.approx(2 / 3)
    assert (second.label, second.probability) == ("no", 0.5), "equally probable labels: the first in the alphabet"


def test_what_is_known_to_be_right_is_not_outvoted():
    votes = [Vote("1", "c", w, "no") for w in "abc"] + [Vote("1", "c", "boss", "yes", ground_truth=True), Vote("2", "c", "a", "no")]
    for method in ("majority", "dawid-skene"):
        known = combine_votes(votes, method).labels[0]
        assert (known.label, known.probability, known.ground_truth) == ("yes", 1.0, True)


def test_one_label_everywhere_needs_no_estimate():
    votes = [Vote(str(i), "c", w, "yes") for i in range(3) for w in "ab"]
    assert {(label.label, label.probability) for label in combine_votes(votes, "glad").labels} == {("yes", 1.0)}


def test_sets_are_combined_label_by_label():
    said = [["a", "b"], ["a"], ["a", "b", "c"]]
    votes = [Vote("1", "tags", f"w{i}", write_set(each)) for i, each in enumerate(said)] + [Vote("2", "tags", "w0", write_set([]))]
    combined = combine_votes(votes, "majority", "set")
    assert json.loads(combined.labels[0].label) == ["a", "b"]
    assert combined.labels[0].probability == pytest.approx(2 / 3)
    assert json.loads(combined.labels[1].label) == []


def test_numbers_take_the_median_and_far_annotators_come_last():
    votes = [Vote(str(row), "size", w, str(row + off)) for row in range(5) for w, off in (("a", 0.0), ("b", 0.2), ("wild", 50.0))]
    combined = combine_votes(votes, kind="number")
    assert [float(label.label) for label in combined.labels] == pytest.approx([0.2, 1.2, 2.2, 3.2, 4.2])
    assert isnan(combined.labels[0].probability)
    assert combined.skills[-1].annotator == "wild"


def test_the_order_of_votes_does_not_matter():
    pytest.importorskip("crowdkit")
    votes, _, _ = planted(60)
    there = {label.row: (label.label, round(label.probability, 9)) for label in combine_votes(votes, "dawid-skene").labels}
    back = {label.row: (label.label, round(label.probability, 9)) for label in combine_votes(votes[::-1], "dawid-skene").labels}
    assert there == back


def test_a_misspelt_method_is_named():
    with pytest.raises(OmnifuseError, match='did you mean "dawid-skene"'):
        combine_votes([Vote("1", "c", "a", "x")], "david-skene")


def test_the_middle_of_numbers_keeps_their_digits():
    votes = [Vote("r", "price", who, "1234567.89123") for who in ("ann", "bob")]
    assert combine_votes(votes, kind="number").labels[0].label == "1234567.89123"
