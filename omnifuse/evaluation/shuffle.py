"""The shuffle test: does the model use each column, or ignore it?"""

from __future__ import annotations

import math
from typing import Any

from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.intervals import scale_of
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.metrics import LOWER_IS_BETTER
from omnifuse.evaluation.words import told

VISIBLE = 0.005
NEGLIGIBLE = 0.02


def shuffle_test(target: str, kind: Kind, answers: Answers) -> dict[str, Any]:
    """Compare the model's answers with its answers when one column is dealt out anew among the rows.

    d_i = score_i − score_i(shuffled), worsening = mean d ± 1.96·sd(d)/√n. The model *uses* a column when the interval
    lies above 0 and the worsening is at least 0.5 points of the main metric (0.5 % of the error of a number). It *ignores* it
    when the interval, and the 3/n that n rows without any change still allow, lie below 2 points (2 %). Else the
    verdict is *unclear*: too few rows to tell.

    Source: permutation importance (Breiman 2001; Fisher et al. 2019, arXiv 1801.01489), here over encoded tokens.

    Returns:
        `metric`, `intact`, `rows`, `columns` (by column `shuffled`, `worsening`, `interval`, `used`, `verdict`), `sentences`.
    """
    rows = min(map(len, answers.shuffled.values()), default=0)
    if rows == 0:
        return {}
    metric, sign = kind.main, -1 if kind.lower_is_better else 1
    intact = kind.row_scores(answers)[:rows]
    columns, sentences = {}, []
    for column, scores in answers.shuffled.items():
        mixed = scores[:rows]
        loss = sign * (intact - mixed)
        mean, half = float(loss.mean()), 1.96 * float(loss.std(ddof=1)) / math.sqrt(rows) if rows > 1 else math.inf
        scale = scale_of(float(intact.mean()), kind.unit_of_one)
        used = mean - half > 0 and mean >= VISIBLE * scale
        small = max(mean + half, 3 / rows * scale) < NEGLIGIBLE * scale
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


def _sentence(target: str, column: str, metric: str, intact: float, mixed: float, verdict: str) -> str:
    before, after = told(intact), told(mixed)
    when = f"when {column} is shuffled."
    if verdict == "uses":
        change = "rises" if metric in LOWER_IS_BETTER else "falls"
        return f"For {target}, the model uses {column}: {metric} {change} from {before} to {after} {when}"
    if verdict == "ignores":
        return f"For {target}, the model ignores {column}: {metric} stays at {after} (from {before}) {when}"
    return f"For {target}, too few rows to tell whether the model uses {column}: {metric} goes from {before} to {after} {when}"
