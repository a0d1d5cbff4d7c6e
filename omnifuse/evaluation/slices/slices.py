"""Worst slices: rows with something in common in which a model is worse than in all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from omnifuse.data.dataset import Dataset
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.intervals import clusters_of
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.slices.conditions import Condition, conditions_of, truth_conditions
from omnifuse.evaluation.slices.search import Search, Slice
from omnifuse.page.words import counted, figure

LEAST_ROWS, LEAST_SHARE = 30, 0.01
POINTS, SHARE_OF_ERROR = 0.02, 0.05


def find_slices(
    target: str, data: Dataset, answers: Answers, kind: Kind, *, groups: Sequence[str | None] | None = None, most: int = 10
) -> dict[str, Any]:
    """Look for conditions, and pairs of them, under which the answers to one target are worse than in all other rows.

    Conditions are made of the inputs, of the columns kept beside the rows, and of the truth itself: values, labels, words, quarters of
    numbers and lengths, absence. A slice has at least 30 rows and 1 % of them, is worse by at least 2 points (5 % of the error of a
    number), and significantly so (see `Search`); a pair is clearly worse than both its parts. They are ranked by excess loss = (worse
    by) × rows, and a slice whose rows are bad because of one before it is left out.

    Source: Slice Finder (Chung et al. 2019, arXiv 1807.06068), SliceLine (Sagadeeva & Boehm 2021); here with pairs at most, sums over
    all pairs as products of matrices, and corrected for everything that was tried.

    Args:
        target: its name.
        data: the rows that were judged.
        answers: to this target.
        kind: of the target.
        groups: (N,) of the rows of the answers; rows of one group are counted as one observation.
        most: slices that are told.

    Returns:
        `metric`, `value` of all rows, `rows`, `tried` (conditions and pairs), `slices` (each with `text`, `columns`, `rows`, `share`,
        `value`, `elsewhere`, `worse` with `interval`, `p`, `excess`), `left_out` (what was not looked at) and `sentences`.
    """
    scores = kind.row_scores(answers)
    known = np.flatnonzero(np.isfinite(scores))
    least = max(LEAST_ROWS, int(np.ceil(LEAST_SHARE * len(known))))
    columns = [name for name in (*data.schema.inputs, *data.schema.meta) if name != target]
    conditions, left_out = conditions_of(data, [answers.rows[i] for i in known], columns, least)
    if target in data.schema:
        conditions += truth_conditions(data.schema[target], [answers.truth[i] for i in known], least)
    scores, clusters = scores[known], clusters_of(groups, len(answers.truth))[known]
    found = {"metric": kind.main, "value": float(scores.mean()) if len(scores) else None, "rows": len(known)}
    if not conditions:
        said = f"For {target}, there are too few rows, or too little is known of them, to look for slices."
        return {**found, "tried": 0, "slices": [], "left_out": left_out, "sentences": [said]}
    effect = POINTS if kind.unit_of_one else SHARE_OF_ERROR * float(scores.mean())
    sign = 1.0 if kind.lower_is_better else -1.0
    search = Search(np.stack([each.rows for each in conditions], axis=1), sign * scores, clusters, least, effect)
    slices = [_told(each, conditions, scores, search.mask(each.conditions)) for each in search.run(most)]
    return {
        **found,
        "tried": search.tried,
        "slices": slices,
        "left_out": left_out,
        "sentences": _sentences(target, kind, slices, search.tried),
    }


def _told(found: Slice, conditions: Sequence[Condition], scores: np.ndarray, inside: np.ndarray) -> dict[str, Any]:
    parts, value, elsewhere = [conditions[c] for c in found.conditions], float(scores[inside].mean()), float(scores[~inside].mean())
    worse = abs(value - elsewhere)
    return {
        "text": " and ".join(part.words for part in parts),
        "columns": list(dict.fromkeys(part.column for part in parts)),
        "rows": found.rows,
        "share": found.rows / len(scores),
        "value": value,
        "elsewhere": elsewhere,
        "worse": worse,
        "interval": [worse - 1.96 * found.error, worse + 1.96 * found.error],
        "p": found.p,
        "excess": worse * found.rows,
    }


def _sentences(target: str, kind: Kind, slices: Sequence[dict[str, Any]], tried: int) -> list[str]:
    if not slices:
        return [f"For {target}, no slice is clearly worse than the other rows, of {tried:,} that were tried."]
    said = []
    for each in slices:
        fails = kind.unit_of_one and not kind.lower_is_better and each["value"] < each["elsewhere"] / 2
        said.append(
            f"For {target}, it {'fails' if fails else 'is worse'} where {each['text']}: {kind.main} {figure(each['value'])} in"
            f" {counted(each['rows'], 'row')}, {figure(each['elsewhere'])} elsewhere."
        )
    return said
