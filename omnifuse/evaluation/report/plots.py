"""Figures of a run: learning curves, the shuffle test, answers beside the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.patches import Rectangle

from omnifuse.evaluation.metrics import LOWER_IS_BETTER
from omnifuse.page.figures import ACCENT, INK, PAPER, QUIET, SECOND, central, legend_above, name_rows, one_axes, styled, to_svg
from omnifuse.page.words import label

MOST_BARS, MOST_POINTS, NUMBERED = 24, 300, 20


@styled
def loss_curves(train: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]], *, key: str) -> str:
    """Loss over epochs: of the training batches (averaged over short stretches) and of the validation split."""
    figure, axes = one_axes(4.8, 3.0)
    values = []
    for lines, name, colour in [(train, "training", ACCENT), (validation, "validation", SECOND)]:
        epochs, losses = _series(lines, lambda line: line["loss"])
        if len(epochs):
            axes.plot(
                *_thin(epochs, losses), color=colour, label=name, marker="o" if len(epochs) < 3 else None, markersize=4, linewidth=1.6
            )
            values.append(losses)
    known = np.concatenate(values) if values else np.ones(1)
    if known.min() > 0 and known.max() / known.min() > 20:
        axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: "")
    axes.set(xlabel="epoch", ylabel="loss")
    _mark_best(axes, validation)
    axes.legend(fontsize=8)
    return to_svg(figure, key, "Loss over epochs")


@styled
def metric_curve(validation: Sequence[Mapping[str, Any]], target: str, metric: str, name: str, *, key: str) -> str:
    """A metric of the validation split over epochs; the epoch that was kept is marked."""
    figure, axes = one_axes(4.8, 3.0)
    epochs, values = _series(validation, lambda line: line["metrics"][target][metric])
    axes.plot(epochs, values, color=ACCENT, marker="o" if len(epochs) < 60 else None, markersize=3.5, linewidth=1.6, label="validation")
    axes.set(xlabel="epoch", ylabel=name)
    _mark_best(axes, validation)
    axes.legend(fontsize=8)
    return to_svg(figure, key, f"Validation {name} over epochs")


@styled
def shuffle_bars(test: Mapping[str, Any], floor: float, name: str, *, key: str) -> str:
    """The main metric as it is, and with each column shuffled, with the 95 % interval of the change; the constant answer beside them."""
    columns = test["columns"]
    places = np.arange(len(columns))
    sign = 1 if test["metric"] in LOWER_IS_BETTER else -1
    shuffled = np.array([column["shuffled"] for column in columns.values()])
    ends = test["intact"] + sign * np.array([column["interval"] for column in columns.values()])
    spread = np.abs(np.sort(ends, axis=1) - shuffled[:, None]).T
    figure, axes = one_axes(4.8, 1.25 + 0.5 * len(columns), grid="x")
    axes.barh(places - 0.19, test["intact"], 0.34, color=ACCENT, label="as it is")
    axes.barh(places + 0.19, shuffled, 0.34, color=SECOND, label="column shuffled")
    if np.isfinite(spread).all():
        axes.errorbar(shuffled, places + 0.19, xerr=spread, fmt="none", ecolor=INK, elinewidth=1.2, capsize=2.5)
    if floor < 3 * max(test["intact"], shuffled.max()):  # farther out it would squeeze the bars
        axes.axvline(floor, color=QUIET, linewidth=1, linestyle=(0, (3, 3)), label="constant answer")
    name_rows(axes, [label(column) for column in columns], margin=0.5)
    axes.set_xlim(0, None if test["metric"] in LOWER_IS_BETTER else 1.02)
    axes.set_xlabel(name)
    legend_above(axes, 3)
    return to_svg(figure, key, f"{name} as it is and with each column shuffled")


@styled
def confusion_matrix(labels: Sequence[str], counts: Sequence[Sequence[int]], rows: Sequence[int], *, key: str) -> str:
    """Heat map of the share of each true label (row) that got each answer (column).

    Args:
        labels: K labels.
        counts: (K, K), true by answered.
        rows: how many rows each true label has; answers that are not among the labels count here only.
        key: name of the plot on the page.
    """
    shares = np.array(counts, dtype=np.float64) / np.maximum(np.array(rows, dtype=np.float64), 1)[:, None]
    side = float(np.clip(2.0 + 0.36 * len(labels), 3.4, 8.2))
    figure, axes = one_axes(side + 0.5, side, grid=None)
    size = 8 if len(labels) <= NUMBERED else 5.5
    for (row, column), share in np.ndenumerate(shares):
        if share == 0:
            continue
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=to_rgba(ACCENT, 0.06 + 0.94 * share), edgecolor="none"))
        if len(labels) <= NUMBERED and share >= 0.005:
            shown = "1" if share > 0.995 else f"{share:.2f}"[1:]
            axes.text(column, row, shown, ha="center", va="center", fontsize=7.5, color=PAPER if share > 0.55 else INK)
    axes.set(xlim=(-0.5, len(labels) - 0.5), ylim=(len(labels) - 0.5, -0.5), aspect="equal", xlabel="answered", ylabel="true")
    axes.set_xticks(range(len(labels)), [label(name, 18) for name in labels], rotation=90 if len(labels) > 4 else 0, fontsize=size)
    axes.set_yticks(range(len(labels)), [label(name, 18) for name in labels], fontsize=size)
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(True)
    return to_svg(figure, key, "Confusion matrix: share of each true label by answer")


@styled
def class_bars(classes: Sequence[Mapping[str, Any]], *, key: str) -> str:
    """F1 of every label, weakest first; the weakest ones where there are many."""
    weakest = sorted(classes, key=lambda entry: (entry["f1"], entry["label"]))[:MOST_BARS]
    figure, axes = one_axes(4.8, 0.9 + 0.24 * len(weakest), grid="x")
    values = [entry["f1"] for entry in weakest]
    bars = axes.barh(range(len(weakest)), values, 0.62, color=ACCENT)
    axes.bar_label(bars, [f"{value:.2f}" for value in values], padding=3, fontsize=7.5, color=QUIET)
    name_rows(axes, [label(entry["label"]) for entry in weakest], size=8)
    axes.set(xlim=(0, 1.08), xlabel="F1", xticks=[0, 0.25, 0.5, 0.75, 1])
    return to_svg(figure, key, "F1 of each label")


@styled
def truth_scatter(truth: np.ndarray, predicted: np.ndarray, name: str, *, key: str) -> str:
    """Answers over true values; many rows as hexagons, darker where more rows fall."""
    figure, axes = one_axes(4.5, 4.1, grid="both")
    low, high = central(np.concatenate([truth, predicted]))
    if len(truth) > 500:
        cells = ListedColormap(np.array([to_rgba(ACCENT, share) for share in np.linspace(0.12, 1, 12)]))
        axes.hexbin(truth, predicted, gridsize=34, extent=(low, high, low, high), mincnt=1, bins="log", cmap=cells, linewidths=0)
    else:
        axes.plot(truth, predicted, "o", color=ACCENT, alpha=0.55, markersize=4, markeredgewidth=0)
    axes.plot([low, high], [low, high], color=QUIET, linewidth=1, linestyle=(0, (3, 3)), label="answer = truth")
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel=f"true {label(name)}", ylabel="answer")
    axes.legend(fontsize=8, loc="upper left")
    return to_svg(figure, key, "Answers over true values")


@styled
def found_curve(ranks: np.ndarray, choices: int, *, key: str) -> str:
    """The share of the ranks (0 for never) that are at most k, over k; and that of guessing among so many choices."""
    figure, axes = one_axes(4.8, 3.0, grid="both")
    most = np.unique(np.round(np.geomspace(1, max(choices, 2), 60)))
    axes.plot(most, [((ranks > 0) & (ranks <= k)).mean() for k in most], color=ACCENT, linewidth=1.6, label="found")
    axes.plot(most, np.minimum(1, most / choices), color=QUIET, linewidth=1, linestyle=(0, (3, 3)), label="guessing")
    axes.set(xscale="log", xlabel="first so many", ylabel="share of the rows", ylim=(0, 1.03))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend(fontsize=8)
    return to_svg(figure, key, "Share of the rows whose own is among the first so many")


@styled
def error_histogram(errors: np.ndarray, name: str, *, key: str) -> str:
    """How the errors (answer − truth) are spread."""
    figure, axes = one_axes(4.5, 4.1)
    low, high = central(np.append(errors, 0.0))
    axes.hist(errors, bins=min(41, max(7, int(len(errors) ** 0.5))), range=(low, high), color=to_rgba(ACCENT, 0.75), rwidth=0.92)
    axes.axvline(0, color=QUIET, linewidth=1, linestyle=(0, (3, 3)))
    axes.set(xlabel=f"answer − true {label(name)}", ylabel="rows")
    return to_svg(figure, key, "Errors")


def _series(lines: Sequence[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], Any]) -> tuple[np.ndarray, np.ndarray]:
    """Epochs and finite values of the lines that have them."""
    points = []
    for line in lines:
        try:
            points.append((float(line["epoch"]), float(value(line))))
        except (KeyError, TypeError, ValueError):  # a line of another version, or without this metric
            continue
    array = np.array([point for point in points if np.isfinite(point).all()]).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _thin(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `MOST_POINTS` points, each the mean of a stretch."""
    parts = np.array_split(np.arange(len(x)), min(len(x), MOST_POINTS))
    return np.array([x[part].mean() for part in parts]), np.array([y[part].mean() for part in parts])


def _mark_best(axes: Axes, validation: Sequence[Mapping[str, Any]]) -> None:
    best = [line["epoch"] for line in validation if line.get("best") and "epoch" in line]
    if best:
        axes.axvline(best[-1], color=QUIET, linewidth=1, linestyle=(0, (3, 3)), label="kept")
