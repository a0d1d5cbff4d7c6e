"""One model against another on the same rows, and the same model trained with several seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.intervals import drawn_metrics, interval_of, scale_of
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.statistics import Rows, over_rows, over_seeds, sign_flip
from omnifuse.evaluation.words import told

SURE = 0.05


def on_common_rows(answers: Sequence[Answers], ids: Sequence[Sequence[str]], target: str) -> tuple[list[Answers], list[int]]:
    """The answers of several models to the rows that all of them were asked about, in one order, and the places of these rows in the
    first.

    Args:
        answers: of each model.
        ids: of each model, the ids of all rows that it was judged on; `Answers.rows` are places among them.
        target: its name, for messages.

    Raises:
        OmnifuseError: there is no such row, or a row has another truth for another model.
    """
    places = [{every[row]: place for place, row in enumerate(given.rows)} for given, every in zip(answers, ids, strict=True)]
    common = [name for name in places[0] if all(name in other for other in places[1:])]
    if not common:
        raise OmnifuseError(f"against: for {target}, the runs have no test row in common; give both the same --data TABLE")
    chosen = [given.at([place[name] for name in common]) for given, place in zip(answers, places, strict=True)]
    if any(each.truth != chosen[0].truth for each in chosen[1:]):
        raise OmnifuseError(f"against: {target} has other values in the same rows of another run; were they made from other data?")
    return chosen, [places[0][name] for name in common]


def compare_answers(
    target: str, kind: Kind, ours: Sequence[Answers], theirs: Sequence[Answers], clusters: np.ndarray, names: tuple[str, str], seed: int = 0
) -> dict[str, Any]:
    """Two models, each trained with one seed or several, on the same N rows in the same order.

    Of every metric the difference of the means over seeds, ours − theirs, with a 95 % bootstrap interval over clusters of rows, the same
    draws for all. Of the main metric also a p-value: how often is the difference as large when models are exchanged in clusters drawn by
    lot (`sign_flip`). With several seeds on both sides `over_seeds` is Welch's 95 % interval of the difference between their means.

    Args:
        target: its name.
        kind: how it is judged.
        ours, theirs: answers of each seed.
        clusters: (N,) of rows that belong together.
        names: of both models, for the sentence.
        seed: of the draws.

    Returns:
        `metric`, `rows`, `runs`, `metrics` (by name `ours`, `theirs`, `difference`, `interval`), `p`, `verdict` (`better`, `worse` or
        `unclear`), `over_seeds` where there are several, and `sentences`.
    """
    drawn = [[drawn_metrics(kind, each, clusters, seed) for each in side] for side in (ours, theirs)]
    plain = [[kind.metrics(each) for each in side] for side in (ours, theirs)]
    metrics = {}
    for name in kind.names:
        if all(name in figures for side in plain for figures in side):
            one, other = (float(np.mean([figures[name] for figures in side])) for side in plain)
            told_of: dict[str, Any] = {"ours": one, "theirs": other, "difference": one - other}
            if all(name in draws for side in drawn for draws in side):
                most = min(len(draws[name]) for side in drawn for draws in side)  # slow metrics of more labels have fewer draws
                ends = [np.mean([draws[name][:most] for draws in side], axis=0) for side in drawn]
                if np.isfinite(ends).all(axis=0).any():
                    told_of["interval"] = interval_of(ends[0] - ends[1])
            metrics[name] = told_of
    by_row = [np.mean([kind.row_scores(each) for each in side], axis=0) for side in (ours, theirs)]
    difference = Rows(by_row[0] - by_row[1], clusters)
    scale = scale_of(float(by_row[1].mean()), kind.unit_of_one)
    interval, p = over_rows([difference], seed, scale), sign_flip([difference], seed)
    metrics[kind.main]["interval"] = [interval.low, interval.high] if math.isfinite(interval.low) else None
    sign = -1 if kind.lower_is_better else 1
    sure = p < SURE and (interval.low > 0 or interval.high < 0)
    verdict = "unclear" if not sure else "better" if sign * interval.mean > 0 else "worse"
    found: dict[str, Any] = {
        "metric": kind.main,
        "rows": len(clusters),
        "runs": [len(ours), len(theirs)],
        "metrics": metrics,
        "p": p,
        "verdict": verdict,
    }
    if min(found["runs"]) > 1:
        found["over_seeds"] = welch(*([figures[kind.main] for figures in side] for side in plain))
    return {**found, "sentences": [_sentence(target, kind, found, names)]}


def welch(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    """Difference of the means over seeds with its 95 % interval and the two-sided p of no difference (Welch 1947).

    t = (x̄ − ȳ) / √(s²_x/n + s²_y/m), with ν = (s²_x/n + s²_y/m)² / ((s²_x/n)²/(n − 1) + (s²_y/m)²/(m − 1)) degrees of freedom.
    """
    from scipy.stats import t

    parts = [np.var(side, ddof=1) / len(side) for side in (ours, theirs)]
    mean, error = float(np.mean(ours) - np.mean(theirs)), math.sqrt(sum(parts))
    if error == 0:
        return {"difference": mean, "interval": [mean, mean], "p": float(mean == 0)}
    freedom = sum(parts) ** 2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, (ours, theirs), strict=True))
    half = float(t.ppf(0.975, freedom)) * error
    return {"difference": mean, "interval": [mean - half, mean + half], "p": float(2 * t.sf(abs(mean) / error, freedom))}


def seed_figures(metrics: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """By metric, the `values` of several seeds, their `mean` and its 95 % interval (Student's t; none of a single seed)."""
    names = [name for name in metrics[0] if all(name in each for each in metrics)]
    found = {}
    for name in names:
        values = [each[name] for each in metrics]
        spread = over_seeds(values) if len(values) > 1 else None
        found[name] = {"values": values, "mean": float(np.mean(values)), "interval": [spread.low, spread.high] if spread else None}
    return found


def _sentence(target: str, kind: Kind, found: Mapping[str, Any], names: tuple[str, str]) -> str:
    figures = found["metrics"][kind.main]
    ends = " to ".join(f"{end:+.4f}" for end in figures["interval"] or []) or "one group of rows has no interval"
    one, other = told(figures["ours"]), told(figures["theirs"])
    words = f"{kind.main} {one} and {other}, difference {figures['difference']:+.4f} ({ends})"
    sure = "p < 0.001" if found["p"] < 0.001 else f"p = {found['p']:.3f}"
    ours, theirs = names
    if found["verdict"] == "unclear":
        return f"For {target}, {ours} and {theirs} cannot be told apart on {found['rows']:,} rows: {words}, {sure}."
    return f"For {target}, {ours} is {found['verdict']} than {theirs}: {words}, {sure}."
