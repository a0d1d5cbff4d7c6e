"""Several noisy labels of a row become one, with its probability, and every annotator is judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Literal

import numpy as np

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.data.annotate.votes import Vote, read_set, write_set

Kind = Literal["category", "set", "number"]

METHODS: dict[str, str] = {
    "majority": "the most frequent label; the probability is its share of the votes",
    "wawa": "majority, weighted by each annotator's agreement with it (worker agreement with aggregate, Appen)",
    "dawid-skene": "a confusion matrix for each annotator, by EM (Dawid & Skene 1979)",
    "one-coin": "the same with one error rate for each annotator (Zhang et al. 2016, 1406.3824)",
    "mace": "annotators who guess are found and discounted (Hovy et al. 2013)",
    "glad": "difficulty of rows beside the ability of annotators (Whitehill et al. 2009)",
}
_CROWD_KIT = {"dawid-skene": "DawidSkene", "one-coin": "OneCoinDawidSkene", "mace": "MACE", "glad": "GLAD"}


@dataclass(frozen=True)
class Label:
    """What the votes of one row come to.

    Attributes:
        row: its id.
        label: one label; a set as `write_set` writes it.
        probability: of the label; of the least sure member or absence in a set; NaN for a number.
        votes: how many; `agreeing` of them said the label.
        ground_truth: whether it was known and not estimated.
    """

    row: str
    label: str
    probability: float
    votes: int
    agreeing: int
    ground_truth: bool = False


@dataclass(frozen=True)
class Skill:
    """How far one annotator is to be trusted: the mean probability of what they said (numbers: mean distance to the median)."""

    annotator: str
    votes: int
    skill: float


@dataclass(frozen=True)
class Combined:
    """One label for each row, in the order in which rows first appear, and the annotators, best first."""

    method: str
    labels: list[Label]
    skills: list[Skill]


def combine_votes(votes: Sequence[Vote], method: str = "dawid-skene", kind: Kind = "category") -> Combined:
    """Estimate one label a row.

    Args:
        votes: about one column; a later vote of one annotator on one row takes the place of an earlier one.
        method: one of `METHODS`; numbers always take the median.
        kind: what a label is. Sets are combined label by label, is it in or not.

    Raises:
        OmnifuseError: unknown method, or crowd-kit is not installed (`majority` needs nothing).
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    votes = list({(vote.row, vote.annotator): vote for vote in votes}.values())
    if kind == "number":
        return _medians(votes)
    if kind == "set":
        return _sets(votes, method)
    truth = {vote.row: vote.label for vote in votes if vote.ground_truth}
    beliefs = _beliefs(votes, method, truth)
    labels = [_label(row, of_row, beliefs[row], truth.get(row)) for row, of_row in _by_row(votes).items()]
    return Combined(method, labels, _skills(votes, lambda vote: beliefs[vote.row].get(vote.label, 0.0)))


def _label(row: str, votes: list[Vote], belief: Mapping[str, float], truth: str | None) -> Label:
    """The most probable label; of equally probable ones the first in alphabetical order."""
    label = truth if truth is not None else min(belief, key=lambda name: (-round(belief[name], 12), name))
    probability = 1.0 if truth is not None else belief[label]
    return Label(row, label, float(probability), len(votes), sum(vote.label == label for vote in votes), truth is not None)


def _beliefs(votes: Sequence[Vote], method: str, truth: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """By row, the probability of each label."""
    if method in ("majority", "wawa"):
        beliefs = _weighted(votes, {})
        if method == "wawa":
            winners = {row: _label(row, [], belief, truth.get(row)).label for row, belief in beliefs.items()}
            beliefs = _weighted(votes, {each.annotator: each.skill for each in _skills(votes, lambda v: float(v.label == winners[v.row]))})
    else:
        beliefs = _crowd_kit(votes, method, truth)
    return {row: ({truth[row]: 1.0} if row in truth else belief) for row, belief in beliefs.items()}


def _weighted(votes: Sequence[Vote], weights: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """By row, the share of the votes that each label has; every annotator weighs 1 where no weights are given."""
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for vote in votes:
        sums[vote.row][vote.label] += max(weights.get(vote.annotator, 1.0), 1e-9)
    return {row: {label: weight / sum(each.values()) for label, weight in each.items()} for row, each in sums.items()}


def _crowd_kit(votes: Sequence[Vote], method: str, truth: Mapping[str, str]) -> dict[str, dict[str, float]]:
    try:
        import pandas as pd
        from crowdkit.aggregation import classification
    except ImportError:
        raise OmnifuseError(f"--method {method}: needs crowd-kit; pip install 'omnifuse[annotate]', or choose majority") from None
    names = sorted({vote.label for vote in votes})
    if len(names) == 1:  # nothing to tell apart, and some of the methods divide by zero there
        return {vote.row: {names[0]: 1.0} for vote in votes}
    table = pd.DataFrame([(v.row, v.annotator, v.label) for v in votes], columns=pd.Index(["task", "worker", "label"]))
    aggregator: Any = getattr(classification, _CROWD_KIT[method])()
    if method == "dawid-skene" and truth:
        probabilities = aggregator.fit_predict_proba(table, true_labels=pd.Series(dict(truth)))
    else:
        probabilities = aggregator.fit_predict_proba(table)
    probabilities = probabilities.fillna(0.0)
    columns = [str(name) for name in probabilities.columns]
    lines = zip(probabilities.index, probabilities.to_numpy().tolist(), strict=True)
    return {str(row): dict(zip(columns, line, strict=True)) for row, line in lines}


def _sets(votes: Sequence[Vote], method: str) -> Combined:
    """Each label of the sets is a question of its own: in or not?"""
    names = sorted({name for vote in votes for name in read_set(vote.label)})
    asked = {
        name: [Vote(v.row, name, v.annotator, "in" if name in read_set(v.label) else "out", v.ground_truth) for v in votes]
        for name in names
    }
    inside: dict[str, dict[str, float]] = defaultdict(dict)
    for name, of_name in asked.items():
        truth = {vote.row: vote.label for vote in of_name if vote.ground_truth}
        for row, belief in _beliefs(of_name, method, truth).items():
            inside[row][name] = belief.get("in", 0.0)
    labels = []
    for row, of_row in _by_row(votes).items():
        chosen = write_set(name for name, probability in inside[row].items() if probability > 0.5)
        surest = min((max(p, 1 - p) for p in inside[row].values()), default=1.0)
        said = sum(write_set(read_set(vote.label)) == chosen for vote in of_row)
        labels.append(Label(row, chosen, surest, len(of_row), said, any(vote.ground_truth for vote in of_row)))

    def trust(vote: Vote) -> float:
        said = read_set(vote.label)
        return float(np.mean([p if name in said else 1 - p for name, p in inside[vote.row].items()] or [1.0]))

    return Combined(method, labels, _skills(votes, trust))


def _medians(votes: Sequence[Vote]) -> Combined:
    """Numbers: the median of the votes, or the true one."""
    numbers: dict[tuple[str, str], float] = {}
    for vote in votes:
        try:
            numbers[vote.row, vote.annotator] = float(vote.label)
        except ValueError:
            raise OmnifuseError(f'row {vote.row}: {vote.annotator} said "{vote.label[:40]}", which is not a number') from None
    labels, middle = [], {}
    for row, of_row in _by_row(votes).items():
        values = [numbers[row, vote.annotator] for vote in of_row]
        known = [numbers[row, vote.annotator] for vote in of_row if vote.ground_truth]
        middle[row] = known[0] if known else float(np.median(values))
        labels.append(Label(row, f"{middle[row]:.12g}", nan, len(values), values.count(middle[row]), bool(known)))
    skills = _skills(votes, lambda vote: abs(numbers[vote.row, vote.annotator] - middle[vote.row]))
    return Combined("median", labels, skills[::-1])  # the nearest first


def _skills(votes: Sequence[Vote], trust: Any) -> list[Skill]:
    by_annotator: dict[str, list[float]] = defaultdict(list)
    for vote in votes:
        by_annotator[vote.annotator].append(trust(vote))
    skills = [Skill(name, len(values), float(np.mean(values))) for name, values in by_annotator.items()]
    return sorted(skills, key=lambda each: (-each.skill, each.annotator))


def _by_row(votes: Sequence[Vote]) -> dict[str, list[Vote]]:
    rows: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        rows[vote.row].append(vote)
    return dict(rows)
