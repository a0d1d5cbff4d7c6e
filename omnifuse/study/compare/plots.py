"""Figures of a comparison: the contenders with their intervals, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from omnifuse.page.figures import ACCENT, INK, QUIET, SECOND, name_rows, one_axes, styled, to_svg
from omnifuse.page.words import label
from omnifuse.study.compare.judging import Measure
from omnifuse.study.compare.standing import Outcome
from omnifuse.study.compare.words import size_words, time_words

MOST_SHOWN = 40


class Cost(NamedTuple):
    """One kind of cost: a title for its axis, its amount by contender, and whether it is a time."""

    name: str
    amounts: dict[str, float]
    is_time: bool = False


@styled
def means_plot(outcome: Outcome, *, key: str) -> str:
    """Mean and interval of every contender, the best at the top; each seed a small dot, the best single column a line."""
    shown = outcome.standings[:MOST_SHOWN]
    scale = 100.0 if outcome.measure.in_points else 1.0
    figure, axes = one_axes(8.2, 0.9 + 0.27 * len(shown), grid="x")
    for kind, colour, name in (("fusion", ACCENT, "fusion"), ("single", SECOND, "one column alone")):
        places = [place for place, standing in enumerate(shown) if standing.contender.kind == kind]
        if not places:
            continue
        means = scale * np.array([shown[place].test.interval.mean for place in places])
        ends = scale * np.array([shown[place].test.interval[1:] for place in places])
        spread = np.abs(np.where(np.isfinite(ends), ends, means[:, None]) - means[:, None]).T
        axes.errorbar(means, places, xerr=spread, fmt="none", ecolor=colour, elinewidth=1.4, capsize=2.5)
        axes.plot(means, places, "o", color=colour, markersize=5.5, label=name)
    for place, standing in enumerate(shown):
        if len(standing.test.seeds) > 1:
            axes.plot(
                scale * np.array(standing.test.seeds), [place] * len(standing.test.seeds), "|", color=INK, markersize=6, markeredgewidth=0.9
            )
    if outcome.single is not None:
        axes.axvline(scale * outcome.of(outcome.single).test.interval.mean, color=QUIET, linewidth=1, linestyle=(0, (3, 3)))
    names = [f"{label(standing.contender.name, 44)}  {place}" for place, standing in enumerate(shown, start=1)]
    name_rows(axes, names, margin=0.5, size=8.5)
    axes.set_xlim(*_view(outcome, scale, shown))
    axes.set_xlabel(_axis_name(outcome.measure))
    axes.legend(fontsize=8, ncols=2, loc="lower right", bbox_to_anchor=(1.0, 1.0), handlelength=1.2)
    return to_svg(figure, key, f"{outcome.measure.metric} of each contender with its interval")


@styled
def cost_plot(outcome: Outcome, cost: Cost, *, key: str) -> str:
    """The metric over a cost, on a logarithmic axis; the number beside a dot is the rank."""
    scale = 100.0 if outcome.measure.in_points else 1.0
    figure, axes = one_axes(4.8, 3.3, grid="both")
    points = [
        (
            max(cost.amounts[standing.contender.key], 1e-12),
            scale * standing.test.interval.mean,
            standing.contender.kind == "fusion",
            str(rank),
        )
        for rank, standing in enumerate(outcome.standings[:MOST_SHOWN], start=1)
    ]
    for x, y, is_fusion, _ in points:
        axes.plot(x, y, "o", color=ACCENT if is_fusion else SECOND, markersize=5)
    axes.set_xscale("log")
    _log_ticks(axes, [x for x, *_ in points], cost.is_time)
    for x, y, ranks in _near_ones([(x, y, rank) for x, y, _, rank in points]):
        axes.annotate(ranks, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7.5, color=INK)
    axes.set_xlabel(cost.name)
    axes.set_ylabel(_axis_name(outcome.measure))
    axes.margins(0.09, 0.1)
    return to_svg(figure, key, f"{outcome.measure.metric} over {cost.name}")


def _near_ones(points: Sequence[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Points whose ranks would be written over each other, as one: at the last of them, with all their ranks."""
    places = np.array([(np.log10(x), y) for x, y, _ in points])
    places = (places - places.min(0)) / np.maximum(np.ptp(places, axis=0), 1e-9)
    together: list[list[int]] = []
    for place in np.argsort(places[:, 0], kind="stable").tolist():
        near = [group for group in together if (np.abs(places[group[-1]] - places[place]) < (0.06, 0.05)).all()]
        if near:
            near[0].append(place)
        else:
            together.append([place])
    return [(*points[group[-1]][:2], ", ".join(points[place][2] for place in sorted(group))) for group in together]


def _axis_name(measure: Measure) -> str:
    if measure.in_points:
        return f"{measure.metric}, %"
    return f"{measure.metric}{f', {measure.unit}' if measure.unit else ''} (less is better)"


def _view(outcome: Outcome, scale: float, shown: Sequence[object]) -> tuple[float, float]:
    """All means and seeds with room around them; intervals far wider than that are cut."""
    standings = outcome.standings[: len(shown)]
    seen = scale * np.array([value for standing in standings for value in (standing.test.interval.mean, *standing.test.seeds)])
    ends = scale * np.array([standing.test.interval[1:] for standing in standings])
    span = max(float(np.ptp(seen)), 0.02 * float(np.abs(seen).max()), 1e-9)
    low = max(float(ends.min()), float(seen.min()) - span)
    high = min(float(ends.max()), float(seen.max()) + span)
    margin = 0.04 * (high - low) or 0.05 * span
    return low - margin, high + margin


def _log_ticks(axes: Axes, values: Sequence[float], is_time: bool) -> None:
    """A few round amounts: 1, 2 and 5 times powers of ten, as many as have room."""
    low, high = min(values), max(values)
    if high / low < 1.5:
        low, high = low / 1.6, high * 1.6
    axes.set_xlim(low / 1.25, high * 1.25)
    powers = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in powers for step in steps if low / 1.25 <= step * 10.0**power <= high * 1.25]
        if len(ticks) <= 6:
            break
    ticks = ticks[:: max(1, -(-len(ticks) // 6))]
    axes.set_xticks(ticks, [_short(tick, is_time) for tick in ticks])
    axes.set_xticks([], minor=True)


def _short(amount: float, is_time: bool) -> str:
    """A round amount without what says nothing.

    >>> _short(5000, False), _short(5, True), _short(600, True), _short(7200, True)
    ('5 k', '5 s', '10 min', '2 h')
    """
    words = time_words(amount) if is_time else size_words(amount)
    return words.replace(".0 ", " ").replace(" 0 s", "").replace(" 0 min", "")
