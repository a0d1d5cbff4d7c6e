"""The shuffle test: does the model use each column, or ignore it?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.intervals import scale_of
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.metrics import LOWER_IS_BETTER
from omnifuse.evaluation.words import told

VISIBLE = 0.005
NEGLIGIBLE = 0.02


def shuffle_test(target: str, kind: Kind, answers: Answers, clusters: np.ndarray | None = None) -> dict[str, Any]:
    """Compare the model's answers with its answers when one column is dealt out anew among the rows.

    d_i = score_i − score_i(shuffled), worsening = mean d ± t₀.₉₇₅(C − 1)·√(C/(C − 1)·Σ over clusters of (Σ in it of (d − mean))²)/n, which
    of C = n rows that stand alone is t·sd(d)/√n. The model *uses* a column when the interval lies above 0 and the worsening is at
    least 0.5 points of the main metric (0.5 % of the error of a number). It *ignores* it when the interval, and the 3/C that C
    clusters without any change still allow, lie below 2 points (2 %). Else the verdict is *unclear*: too few rows to tell.

    Source: permutation importance (Breiman 2001; Fisher et al. 2019, arXiv 1801.01489), here over encoded tokens; clusters Liang & Zeger
    1986.

    Args:
        target: its name.
        kind: how it is judged.
        answers: to all rows, and of the first of them with each column shuffled.
        clusters: (N,) of rows that belong together; each alone by default.

    Returns:
        `metric`, `intact`, `rows`, `columns` (by column `shuffled`, `worsening`, `interval`, `used`, `verdict`), `sentences`; nothing
        for fewer than two clusters.
    """
    rows = min(map(len, answers.shuffled.values()), default=0)
    alike = np.arange(rows) if clusters is None else np.unique(clusters[:rows], return_inverse=True)[1]
    if rows == 0 or alike.max() == 0:
        return {}
    metric, sign = kind.main, -1 if kind.lower_is_better else 1
    intact = kind.row_scores(answers)[:rows]
    columns, sentences = {}, []
    for column, scores in answers.shuffled.items():
        mixed = scores[:rows]
        loss = sign * (intact - mixed)
        mean, half = float(loss.mean()), _half(loss, alike)
        scale = scale_of(float(intact.mean()), kind.unit_of_one)
        used = mean - half > 0 and mean >= VISIBLE * scale
        small = max(mean + half, 3 / (alike.max() + 1) * scale) < NEGLIGIBLE * scale
        verdict = "uses" if used else "ignores" if small else "unclear"
        columns[column] = {
            "shuffled": float(mixed.mean()),
            "worsening": mean,
            "interval": [mean - half, mean + half],
            "used": used,
            "verdict": verdict,
        }
        sentences.append(_sentence(target, column, metric, float(intact.mean()), float(mixed.mean()), verdict))
    return {"metric": metric, "intact": float(intact.mean()), "rows": rows, "columns": columns, "sentences": sentences}


def _half(loss: np.ndarray, clusters: np.ndarray) -> float:
    """Half of the interval of the mean; where all rows lose the same, the rule of three."""
    from scipy.stats import t

    sums = np.bincount(clusters, weights=loss - loss.mean())
    count = len(sums)
    if np.ptp(loss) == 0:
        return abs(float(loss[0])) * 3 / count
    return float(t.ppf(0.975, count - 1)) * math.sqrt(count / (count - 1) * float((sums**2).sum())) / len(loss)


def _sentence(target: str, column: str, metric: str, intact: float, mixed: float, verdict: str) -> str:
    before, after = told(intact), told(mixed)
    when = f"when {column} is shuffled."
    if verdict == "uses":
        change = "rises" if metric in LOWER_IS_BETTER else "falls"
        return f"For {target}, the model uses {column}: {metric} {change} from {before} to {after} {when}"
    if verdict == "ignores":
        return f"For {target}, the model ignores {column}: {metric} stays at {after} (from {before}) {when}"
    return f"For {target}, too few rows to tell whether the model uses {column}: {metric} goes from {before} to {after} {when}"
