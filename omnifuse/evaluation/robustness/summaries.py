"""What curves of quality say: how sure each point is, how much of the gain is left, what one model loses more than another, in words.

Shapes: N rows, L levels, B draws of a bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.evaluation.intervals import bootstrap_weights, interval_of, scale_of
from omnifuse.evaluation.robustness.corruptions import ABSENT, Corruption
from omnifuse.evaluation.shuffle import NEGLIGIBLE, VISIBLE
from omnifuse.evaluation.weighing import ratio
from omnifuse.page.words import figure, quantity


@dataclass(frozen=True)
class Intact:
    """A target of the rows as they are.

    Attributes:
        scores: (N,) of the rows, whose mean is the main metric.
        clusters: (N,) number of the cluster of each row; rows of one cluster are drawn together.
        floor: the main metric of the constant answer.
        lower_is_better: whether a small score is good.
        unit_of_one: whether scores lie between 0 and 1.
        seed: of the draws.
    """

    scores: np.ndarray
    clusters: np.ndarray
    floor: float
    lower_is_better: bool
    unit_of_one: bool
    seed: int

    @property
    def scale(self) -> float:
        """What counts as 1 when a change is called small."""
        return scale_of(float(self.scores.mean()), self.unit_of_one)

    def draw(self, scores: np.ndarray) -> np.ndarray:
        """(B, V) means of V scores (V, N) of these rows in draws of clusters with replacement (Efron 1979); all V in the same draws."""
        parts = [ratio(weights @ scores.T, weights.sum(axis=1, keepdims=True)) for weights in bootstrap_weights(self.clusters, self.seed)]
        return np.concatenate(parts)


def curve_of(corruption: Corruption, intact: Intact, scores: np.ndarray) -> dict[str, Any]:
    """One curve with its summaries; all intervals are 95 % bootstrap intervals over clusters of rows.

    - relative robustness: mean over levels of r_l = (m_l − f) / (m_0 − f), cut to [0, 1]: the share of what the model gains over the
      floor f that is left. Below the floor counts as nothing, above the intact value as everything. Of an error both differences turn
      their sign, and the formula stays. `None` where the intact model is not better than the floor.
    - change: mean over levels of m_l − m_0, with its standard error; `effective` compares it between models.
    - verdict, of the strongest level, as of the shuffle test: `suffers` where the interval of the worsening lies above 0 and the worsening
      is at least 0.5 points (0.5 % of an error); `holds` where the interval, and the 3/n that n clusters without a change still allow, lie
      below 2 points (2 %); else `unclear`.

    Source: relative and effective robustness, Taori et al. 2020, arXiv 2007.00644, and Liang et al. 2021, arXiv 2107.07502. Theirs compare
    with a baseline model; the floor is ours.

    Args:
        corruption: whose levels these are.
        intact: the rows as they are.
        scores: (L, N) at each level.
    """
    drawn = intact.draw(np.concatenate([intact.scores[None], scores]))
    before, after = drawn[:, :1], drawn[:, 1:]
    values, start = scores.mean(axis=1), float(intact.scores.mean())
    left = share_left(np.array(start), values, intact.floor, intact.lower_is_better)
    lefts = share_left(before, after, intact.floor, intact.lower_is_better)
    return {
        "unit": corruption.unit,
        "levels": [float(level) for level in corruption.levels],
        "values": values.tolist(),
        "intervals": [interval_of(level) for level in after.T],
        "relative": None if left is None else float(left.mean()),
        "relative_interval": None if left is None or lefts is None else interval_of(lefts.mean(axis=1)),
        "change": float(values.mean() - start),
        "change_error": float((after.mean(axis=1) - before[:, 0]).std(ddof=1)),
        "verdict": _verdict(intact, start - float(values[-1]), before[:, 0] - after[:, -1]),
    }


def share_left(intact: np.ndarray, values: np.ndarray, floor: float, lower_is_better: bool) -> np.ndarray | None:
    """(values − floor) / (intact − floor), cut to [0, 1]; `None` where the intact value, or the median of those drawn, is not better."""
    sign = -1 if lower_is_better else 1
    gain = sign * (intact - floor)
    if not np.median(gain) > 0:
        return None
    return np.clip(sign * (values - floor) / np.where(gain > 0, gain, np.inf), 0.0, 1.0)


def effective(curves: Mapping[str, Any], baseline: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """How much less a model loses to damage than another: mean over levels of (m_l − m_0) − (b_l − b_0), positive where it holds better.

    The interval adds both errors as if the runs had been measured on different rows, so on the same rows it is rather too wide. Of an
    error the sign is turned. Curves that only one of them has, or at other levels, are left out.

    Source: effective robustness, Taori et al. 2020, arXiv 2007.00644, with the other run in the place of their line through many models.

    Args:
        curves, baseline: what `robustness` says of one target, of the model and of the other.

    Returns:
        By column and damage `effective` and its 95 % `interval`.

    Raises:
        OmnifuseError: their main metrics differ.
    """
    if curves["metric"] != baseline["metric"]:
        raise OmnifuseError(f"robustness: one run is measured by {curves['metric']}, the other by {baseline['metric']}")
    sign = -1.0 if curves["lower_is_better"] else 1.0
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for column, each in curves["columns"].items():
        for name, curve in each["curves"].items():
            other = baseline["columns"].get(column, {"curves": {}})["curves"].get(name)
            if other is None or other["levels"] != curve["levels"] or other["unit"] != curve["unit"]:
                continue
            value = sign * (curve["change"] - other["change"])
            half = 1.96 * math.hypot(curve["change_error"], other["change_error"])
            found.setdefault(column, {})[name] = {"effective": value, "interval": [value - half, value + half]}
    return found


def sentences(target: str, found: Mapping[str, Any]) -> list[str]:
    """What the curves of a target say, one sentence a column."""
    return [_sentence(target, found, column, each["curves"]) for column, each in found["columns"].items()]


def effective_sentences(target: str, metric: str, found: Mapping[str, Mapping[str, Mapping[str, Any]]], other: str) -> list[str]:
    """Where one model clearly holds better or worse than another, in words; `other` names that one."""
    said = []
    for column, curves in found.items():
        for name, curve in curves.items():
            if curve["interval"][0] * curve["interval"][1] > 0:
                way = "less" if curve["effective"] > 0 else "more"
                loss = f"{figure(abs(curve['effective']))} {way} {metric} than {other}"
                said.append(f"For {target}, this model loses {loss} {_whereby(name, column)}, on average over the levels.")
    return said


def _verdict(intact: Intact, loss: float, losses: np.ndarray) -> str:
    """Of the fall of the main metric, and that in each draw (B,)."""
    sign, clusters = -1 if intact.lower_is_better else 1, len(np.unique(intact.clusters))
    low, high = interval_of(sign * losses)
    if clusters > 1 and low > 0 and sign * loss >= VISIBLE * intact.scale:
        return "suffers"
    return "holds" if max(high, 3 / clusters * intact.scale) < NEGLIGIBLE * intact.scale else "unclear"


def _sentence(target: str, found: Mapping[str, Any], column: str, curves: Mapping[str, Mapping[str, Any]]) -> str:
    metric, lower, intact = found["metric"], found["lower_is_better"], figure(found["intact"])
    worst = max if lower else min
    damaged = {name: curve for name, curve in curves.items() if name != ABSENT}
    hurt = {name: curve for name, curve in damaged.items() if curve["verdict"] == "suffers"}
    gone = f"; without {column} it is {figure(curves[ABSENT]['values'][-1])}" if ABSENT in curves else ""
    if hurt:
        name = worst(hurt, key=lambda each: hurt[each]["values"][-1])
        change, end = "rises" if lower else "falls", figure(hurt[name]["values"][-1])
        level = f"{quantity(hurt[name]['levels'][-1])}: {hurt[name]['unit']}"
        if ABSENT in curves and _misleads(hurt[name], curves[ABSENT], lower):
            gone += ", better than with one so damaged"
        return f"For {target}, {metric} {change} from {intact} to {end} at the strongest {damage_name(name)} of {column} ({level}){gone}."
    if not damaged:
        lost = curves[ABSENT]
        if lost["verdict"] == "holds":
            return f"For {target}, {metric} hardly changes when {column} is absent: {figure(lost['values'][-1])} (from {intact})."
        return f"For {target}, {metric} goes from {intact} to {figure(lost['values'][-1])} when {column} is absent."
    end = figure(worst(curve["values"][-1] for curve in damaged.values()))
    ways = ", ".join(damage_name(name) for name in damaged)
    if all(curve["verdict"] == "holds" for curve in damaged.values()):
        return f"For {target}, {metric} hardly changes when {column} is damaged ({ways}): at worst it is {end} (from {intact}){gone}."
    return f"For {target}, too few rows to tell whether damage to {column} matters ({ways}): {metric} goes from {intact} to {end}{gone}."


def _misleads(damaged: Mapping[str, Any], absent: Mapping[str, Any], lower_is_better: bool) -> bool:
    """Whether absence is surely better than the strongest damage: their intervals do not meet."""
    (low, high), (least, most) = damaged["intervals"][-1], absent["intervals"][-1]
    return most < low if lower_is_better else least > high


def damage_name(name: str) -> str:
    """A damage in words."""
    return name.replace("_", " ")


def _whereby(name: str, column: str) -> str:
    return f"where {column} is absent" if name == ABSENT else f"to {damage_name(name)} of {column}"


def every_curve(found: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Column, damage and curve, one after another."""
    for column, each in found["columns"].items():
        for name, curve in each["curves"].items():
            yield column, name, curve
