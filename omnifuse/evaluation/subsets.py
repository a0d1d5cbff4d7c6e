"""What each column contributes: all subsets of the input columns, and Shapley's fair shares of what they reach together."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from omnifuse.core.seeds import seed_of
from omnifuse.evaluation.answers import Answers, Told
from omnifuse.evaluation.collect import Subsets
from omnifuse.evaluation.intervals import bootstrap_weights, interval_of
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.metrics import LOWER_IS_BETTER
from omnifuse.evaluation.weighing import means
from omnifuse.evaluation.words import told
from omnifuse.page.words import listed
from omnifuse.pipeline.pipeline import Pipeline

EXACT = 5  # columns of which all subsets are asked
ORDERS = 8  # of the columns that are drawn where they are more; each is followed forth and back
DRAWS = 500
ALONE, LEAK = 0.98, 0.99  # what part of the whole gain one column has alone, and how near to perfect that is, until it looks like a leak


@dataclass(frozen=True)
class Coalitions:
    """Which subsets of M columns are asked.

    Attributes:
        columns: the players.
        orders: in which the columns join one after another; empty where all 2^M subsets are asked.
        known: the subsets.
    """

    columns: tuple[str, ...]
    orders: tuple[tuple[str, ...], ...]
    known: tuple[frozenset[str], ...]


def coalitions(columns: Sequence[str], seed: int = 0) -> Coalitions:
    """All subsets of up to five columns. Of more: those on the way along eight orders of the columns that are drawn, each followed forth
    and back (antithetic sampling), with every column alone and every column left out.
    """
    names = tuple(columns)
    if len(names) <= EXACT:
        every = [frozenset(some) for size in range(len(names) + 1) for some in combinations(names, size)]
        return Coalitions(names, (), tuple(every))
    generator = np.random.default_rng(seed_of(seed, "orders"))
    orders = [tuple(names[i] for i in generator.permutation(len(names))) for _ in range(ORDERS)]
    orders = [way for order in orders for way in (order, order[::-1])]
    ways = [frozenset(order[:size]) for order in orders for size in range(len(names) + 1)]
    ends = [frozenset([name]) for name in names] + [frozenset(names) - {name} for name in names]
    return Coalitions(names, tuple(orders), tuple(dict.fromkeys([*ways, *ends])))


def shapley(values: Mapping[frozenset[str], np.ndarray], asked: Coalitions) -> dict[str, np.ndarray]:
    """By column i, φ_i = Σ_{S ∌ i} |S|! (M − |S| − 1)! / M! · (v(S ∪ i) − v(S)), of the shape of the values.

    Where not all subsets were asked, the mean over the orders of v(those before i, and i) − v(those before i). Either way they add up to
    v(all) − v(none). Source: Shapley 1953; the sampling Castro et al. 2009.

    >>> asked = coalitions(["a", "b"])
    >>> worth = {frozenset(): 0.0, frozenset("a"): 1.0, frozenset("b"): 0.0, frozenset("ab"): 3.0}
    >>> {name: float(value) for name, value in shapley({k: np.array(v) for k, v in worth.items()}, asked).items()}
    {'a': 2.0, 'b': 1.0}
    """
    total = len(asked.columns)
    shares = {}
    for column in asked.columns:
        if asked.orders:
            before = [frozenset(order[: order.index(column)]) for order in asked.orders]
            weighted = [(1 / len(before), known) for known in before]
        else:
            others = [known for known in asked.known if column not in known]
            weighted = [(1 / (total * math.comb(total - 1, len(known))), known) for known in others]
        shares[column] = sum((weight * (values[known | {column}] - values[known]) for weight, known in weighted), np.zeros(()))
    return shares


def subsets_for(pipeline: Pipeline, rows: int, absent: Collection[str], seed: int) -> tuple[Coalitions, Subsets]:
    """Which subsets of the input columns to ask of this model, and how to hide the others.

    A column that was absent in some training rows, or dropped by modality dropout, is taken away: the model has learned what to do
    without it. Any other has its values dealt out anew among the rows (Covert et al. 2020, arXiv 2004.00668).
    """
    columns = [name for name in pipeline.schema.inputs if name not in absent]
    asked = coalitions(columns, seed)
    return asked, Subsets(asked.known, rows, [name for name in columns if not pipeline.model.may_lack[name]])


def subset_test(
    target: str, kind: Kind, answers: Answers, asked: Coalitions, dealt: Collection[str], clusters: np.ndarray
) -> dict[str, Any]:
    """What the model answers when only some columns are known, on the first rows.

    The worth of a subset is the main metric; the contribution of a column is its Shapley share of what all columns reach beyond none of
    them, positive where it helps. Intervals are bootstrapped over clusters of rows.

    Returns:
        `metric`, `rows`, `exact`, `dealt` (columns hidden by dealing them out), `subsets` (each `known`, `value`, `interval`),
        `contributions` (by column `value`, `interval`, `share`), `pairs` (see `pair_information`) and `sentences`.
    """
    asked = _without(asked, target)
    said = {known - {target}: told for known, told in answers.subsets.items()}
    if not asked.columns or any(known not in said for known in asked.known):
        return {}
    rows = len(said[asked.known[0]].scores)
    sign = -1.0 if kind.lower_is_better else 1.0
    scores = {known: said[known].scores for known in asked.known}
    shares = {column: sign * share for column, share in shapley(scores, asked).items()}
    figures = _figures(
        {**{("known", known): s for known, s in scores.items()}, **{("share", c): s for c, s in shares.items()}}, clusters[:rows]
    )
    subsets = [{"known": [c for c in asked.columns if c in known], **figures["known", known]} for known in asked.known]
    gain = sum(figures["share", column]["value"] for column in asked.columns)
    contributions = {
        column: {**figures["share", column], "share": figures["share", column]["value"] / gain if gain > 0 else None}
        for column in asked.columns
    }
    found = {
        "metric": kind.main,
        "rows": rows,
        "exact": not asked.orders,
        "dealt": [column for column in asked.columns if column in dealt],
        "subsets": subsets,
        "contributions": contributions,
        "pairs": _pairs(said, asked.columns, dealt, answers.truth[:rows]),
    }
    return {**found, "sentences": [*_sentences(target, kind, found), *_leaks(target, kind, found)]}


def pair_information(truth: Sequence[str], none: np.ndarray, first: np.ndarray, second: np.ndarray, both: np.ndarray) -> dict[str, float]:
    """What two columns say about a label, in bits, told apart by what the model says from each: exploratory.

    I_S = mean(surprise without columns − surprise with S) / log 2, at least 0, is what the model can use of the columns S (Xu et al. 2020,
    arXiv 2002.10689). Then redundancy = min(I_1, I_2) (Barrett 2015, arXiv 1411.2832), unique_i = I_i − redundancy, and
    synergy = I_12 − I_1 − I_2 + redundancy, which is negative where the model does worse with both. `none` is the surprise (N,) of
    the frequency of the labels where the model is worse than that.
    """
    frequency = {
        label: math.log(len(truth) / count) for label, count in zip(*np.unique(np.array(truth, dtype=str), return_counts=True), strict=True)
    }
    floor = min(float(none.mean()), float(np.mean([frequency[str(label)] for label in truth])))
    one, other, together = (max(0.0, (floor - float(part.mean())) / math.log(2)) for part in (first, second, both))
    redundancy = min(one, other)
    return {
        "redundancy": redundancy,
        "unique_first": one - redundancy,
        "unique_second": other - redundancy,
        "synergy": together - one - other + redundancy,
    }


def _without(asked: Coalitions, target: str) -> Coalitions:
    """The subsets that do not hold the target itself, for it is hidden when it is asked for."""
    if target not in asked.columns:
        return asked
    columns = tuple(name for name in asked.columns if name != target)
    orders = tuple(tuple(name for name in order if name != target) for order in asked.orders)
    known = dict.fromkeys(some - {target} for some in asked.known)
    return Coalitions(columns, orders, tuple(known))


def _figures(parts: Mapping[Any, np.ndarray], clusters: np.ndarray) -> dict[Any, dict[str, Any]]:
    """Mean and 95 % interval of each part (N,), all on the same draws."""
    drawn: dict[Any, list[np.ndarray]] = {key: [] for key in parts}
    for weights in bootstrap_weights(np.unique(clusters, return_inverse=True)[1], 0, DRAWS):
        for key, values in parts.items():
            drawn[key].append(means(weights, values))
    return {key: {"value": float(values.mean()), "interval": interval_of(np.concatenate(drawn[key]))} for key, values in parts.items()}


def _pairs(
    said: Mapping[frozenset[str], Told], columns: Sequence[str], dealt: Collection[str], truth: Sequence[Any]
) -> list[dict[str, Any]]:
    """`pair_information` of every pair of columns that the model can do without."""
    found = []
    for pair in combinations([name for name in columns if name not in dealt], 2):
        parts = [frozenset(), frozenset(pair[:1]), frozenset(pair[1:]), frozenset(pair)]
        if all(part in said and len(said[part].surprise) for part in parts):
            found.append({"columns": list(pair), **pair_information(list(truth), *(said[part].surprise for part in parts))})
    return found


def _sentences(target: str, kind: Kind, found: Mapping[str, Any]) -> list[str]:
    """The share of each column in words, the largest first."""
    value = {frozenset(subset["known"]): subset["value"] for subset in found["subsets"]}
    none, every = value[frozenset()], value[frozenset(found["contributions"])]
    order = sorted(found["contributions"].items(), key=lambda item: -item[1]["value"])
    if order[0][1]["interval"][0] <= 0:
        return [f"For {target}, no column surely contributes: {kind.main} is {told(every)} with all, and {told(none)} with none."]
    whole = sum(max(0.0, share["value"]) for _, share in order)
    sure = [f"{column} {share['value'] / whole:.0%}" for column, share in order if share["interval"][0] > 0]
    unsure = [column for column, share in order if share["interval"][0] <= 0]
    shares = ", ".join(sure) + (f"; nothing sure of {listed(unsure, 3)}" if unsure else "")
    way = "from" if kind.main not in LOWER_IS_BETTER else "down from"
    return [f"For {target}, of what the columns bring ({kind.main} {way} {told(none)} to {told(every)}): {shares}."]


def _leaks(target: str, kind: Kind, found: Mapping[str, Any]) -> list[str]:
    """Columns that reach nearly all alone and are nearly always right: they may hold the answer."""
    if not kind.unit_of_one or len(found["contributions"]) < 2:
        return []
    value = {frozenset(subset["known"]): subset["value"] for subset in found["subsets"]}
    none, every = value[frozenset()], value[frozenset(found["contributions"])]
    return [
        f"Does {column} give {target} away? Alone it reaches {kind.main} {told(value[frozenset([column])])}; see whether it is known when"
        " an answer is needed."
        for column in found["contributions"]
        if value[frozenset([column])] >= max(LEAK, none + ALONE * (every - none)) and every - none > 1 - LEAK
    ]
