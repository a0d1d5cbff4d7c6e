"""Figures of a dataset: spreads, times, tails, maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from omnifuse.page.figures import ACCENT, FAINT, INK, PAPER, QUIET, SECOND, THIRD, central, framed_axes, one_axes, styled, to_svg
from omnifuse.page.words import label

COLOURS = {"train": ACCENT, "validation": THIRD, "test": SECOND}
LONGEST_CURVE = 300


@styled
def histogram(by_split: Mapping[str, np.ndarray], name: str, *, key: str, whole: bool = False) -> str:
    """How values are spread, each split on its own scale of shares; the first one filled, the others as outlines.

    Args:
        by_split: finite values of each split.
        name: what the axis says.
        key: name of the figure on the page.
        whole: values are counts, and an axis begins at nothing.
    """
    figure, axes = framed_axes(4.8, 2.7)
    values = np.concatenate(list(by_split.values()))
    low, high = central(values)
    if whole:
        low = max(0.0, low)
    edges = _edges(values[(values >= low) & (values <= high)], low, high)
    for place, (split, part) in enumerate(by_split.items()):
        counts, _ = np.histogram(part, edges)
        shares, colour = 100 * counts / max(1, len(part)), COLOURS.get(split, ACCENT)
        axes.stairs(shares, edges, fill=place == 0, color=to_rgba(colour, 0.35) if place == 0 else colour, linewidth=1.4, label=split)
    axes.set(xlim=(low, high), xlabel=label(name, 40), ylabel="% of the split" if len(by_split) > 1 else "%")
    if len(by_split) > 1:
        axes.legend(fontsize=8)
    return to_svg(figure, key, f"Spread of {name}")


@styled
def timeline(by_split: Mapping[str, np.ndarray], *, key: str) -> str:
    """Rows over time: microseconds since 1970 by split."""
    figure, axes = framed_axes(11.6, 2.6)
    values = np.concatenate(list(by_split.values())).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    span = high - low or 86_400e6
    edges = np.linspace(low - 0.01 * span, high + 0.01 * span, 61)
    for place, (split, part) in enumerate(by_split.items()):
        counts, _ = np.histogram(part, edges)
        colour = COLOURS.get(split, ACCENT)
        axes.stairs(100 * counts / len(part), edges, fill=True, color=to_rgba(colour, 0.35), linewidth=0)
        axes.stairs(100 * counts / len(part), edges, color=colour, linewidth=1.2, label=split, zorder=3 + place)
    axes.set_xticks(np.linspace(low, high, 6), [moment(tick, span) for tick in np.linspace(low, high, 6)])
    axes.set(ylabel="% of the split")
    if len(by_split) > 1:
        axes.legend(fontsize=8)
    return to_svg(figure, key, "Rows over time")


def moment(microseconds: float, span: float = 1e18) -> str:
    """A moment as precisely as an axis of `span` microseconds needs it."""
    try:
        at = datetime.fromtimestamp(microseconds / 1e6, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{microseconds:.3g}"
    return at.strftime("%Y-%m-%d" if span > 5 * 86_400e6 else "%m-%d %H:%M" if span > 3_600e6 else "%H:%M:%S")


@styled
def sizes(width: np.ndarray, height: np.ndarray, *, key: str) -> str:
    """Widths and heights of pictures, in pixels."""
    figure, axes = framed_axes(4.2, 3.6, grid="both")
    axes.plot(width, height, "o", color=ACCENT, alpha=0.35, markersize=4, markeredgewidth=0)
    end = 1.06 * max(float(width.max()), float(height.max()))
    axes.plot([0, end], [0, end], color=FAINT, linewidth=1)
    axes.set(xlim=(0, end), ylim=(0, end), aspect="equal", xlabel="width in pixels", ylabel="height in pixels")
    return to_svg(figure, key, "Sizes of the pictures")


@styled
def long_tail(counts: np.ndarray, *, key: str) -> str:
    """How often each id occurs, the most frequent first, both axes logarithmic."""
    figure, axes = framed_axes(4.8, 2.9, grid="both")
    counts = np.sort(counts)[::-1]
    ranks = np.arange(1, len(counts) + 1)
    keep = np.unique(np.geomspace(1, len(counts), 200).astype(int)) - 1
    axes.plot(ranks[keep], counts[keep], color=ACCENT, linewidth=1.8, drawstyle="steps-post", marker="o" if len(counts) == 1 else None)
    axes.set(xscale="log", yscale="log", xlabel="id, most frequent first", ylabel="rows drawn")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")
        axis.set_minor_formatter(lambda value, _: "")
    return to_svg(figure, key, "Frequency of ids")


@styled
def plane(points: np.ndarray, groups: Sequence[str], *, key: str) -> str:
    """Points (N, 2) in a plane, coloured by group (at most four)."""
    figure, axes = framed_axes(4.8, 3.6, grid="both")
    names = list(dict.fromkeys(groups))
    for name, other in zip(names, (ACCENT, SECOND, THIRD, QUIET), strict=False):
        colour = COLOURS.get(name, other)
        part = points[[group == name for group in groups]]
        axes.plot(part[:, 0], part[:, 1], "o", color=colour, alpha=0.5, markersize=3, markeredgewidth=0, label=label(name))
    axes.set(xlabel="first component", ylabel="second component")
    if len(names) > 1:
        axes.legend(fontsize=8, markerscale=1.6)
    return to_svg(figure, key, "The vectors in their plane of widest spread")


@styled
def heat_map(names: Sequence[str], shares: np.ndarray, title: str, *, key: str) -> str:
    """Shares (K, K) in [0, 1] between each pair of names."""
    side = float(np.clip(1.6 + 0.34 * len(names), 2.8, 7.6))
    figure, axes = one_axes(side + 0.8, side, grid=None)
    for (row, column), share in np.ndenumerate(shares):
        if share > 0:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=to_rgba(ACCENT, 0.05 + 0.95 * share), edgecolor="none"))
        if len(names) <= 14 and share >= 0.005:
            colour = PAPER if share > 0.55 else INK
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=7.5, color=colour)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), aspect="equal")
    shown = [label(name, 18) for name in names]
    axes.set_xticks(range(len(names)), shown, rotation=90 if len(names) > 3 else 0, fontsize=8)
    axes.set_yticks(range(len(names)), shown, fontsize=8)
    axes.tick_params(length=0, labelcolor=INK)
    return to_svg(figure, key, title)


@styled
def curves(channels: Sequence[str], examples: Sequence[tuple[str, np.ndarray]], *, key: str, step: str = "step") -> str:
    """A few series, a strip for each channel; gaps are gaps.

    Args:
        channels: C names.
        examples: caption and (T, C) of each; lengths may differ.
        key: name of the figure on the page.
        step: what the axis counts.
    """
    height = 0.9 + 0.95 * len(channels)
    figure = Figure(figsize=(11.6, height))
    figure.subplots_adjust(left=0.13, right=0.99, bottom=0.45 / height, top=1 - 0.4 / height, hspace=0.18)
    grid: np.ndarray = figure.subplots(len(channels), 1, sharex=True, squeeze=False)
    for place, name in enumerate(channels):
        axes: Axes = grid[place, 0]
        axes.grid(True, axis="y")
        for (caption, values), colour in zip(examples, (ACCENT, SECOND, THIRD, QUIET), strict=False):
            axes.plot(*_thin(values[:, place]), color=colour, linewidth=1.1, alpha=0.9, label=label(caption, 30))
        axes.set_ylabel(label(name, 16), rotation=0, ha="right", va="center", color=INK, fontsize=8.5, labelpad=8)
        axes.tick_params(labelsize=7.5)
        axes.locator_params(axis="y", nbins=3)
    grid[-1, 0].set_xlabel(step)
    if any(caption for caption, _ in examples):
        grid[0, 0].legend(fontsize=8, ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0), handlelength=1.4)
    return to_svg(figure, key, "A few of the series")


@styled
def cloud(values: np.ndarray, colour: np.ndarray, *, key: str) -> str:
    """A point cloud from above: x to the right, y up; blue is low, orange is high.

    Args:
        values: (N, 2) x and y.
        colour: (N,) height, or another feature; the highest one in each cell is seen.
        key: name of the figure on the page.
    """
    figure, axes = framed_axes(3.9, 3.7, grid="both")
    (left, below), (right, above) = np.percentile(values, 1, axis=0), np.percentile(values, 99, axis=0)
    half = 0.53 * max(right - left, above - below) or 1.0
    x, y = (left + right) / 2, (below + above) / 2
    extent = (x - half, x + half, y - half, y + half)
    low, high = (float(end) for end in np.percentile(colour, [2, 98]))
    shares = np.clip((_raster(values, colour, extent) - low) / (high - low or 1.0), 0, 1)
    axes.imshow(_heat(shares), origin="lower", extent=extent, interpolation="nearest", resample=False)
    axes.set(xlabel="x", ylabel="y")
    return to_svg(figure, key, "A point cloud from above")


def _raster(values: np.ndarray, colour: np.ndarray, extent: tuple[float, float, float, float], side: int = 140) -> np.ndarray:
    """(side, side) highest colour in each cell, NaN where no point lies."""
    left, right, below, above = extent
    column = ((values[:, 0] - left) / (right - left) * side).astype(np.int64)
    row = ((values[:, 1] - below) / (above - below) * side).astype(np.int64)
    inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    cells = np.full(side * side, -np.inf)
    np.maximum.at(cells, row[inside] * side + column[inside], colour[inside])
    return np.where(np.isfinite(cells), cells, np.nan).reshape(side, side)


def _heat(shares: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1] → (H, W, 4) uint8, blue through violet to orange (seen on light and on dark paper); NaN is transparent."""
    known = np.nan_to_num(shares)
    levels = [np.interp(known, [0, 0.5, 1], ends) for ends in ([60, 170, 240], [95, 80, 165], [215, 190, 60])]
    return np.stack([*levels, np.where(np.isnan(shares), 0, 255)], axis=-1).astype(np.uint8)


def _edges(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Borders of the bins: about the root of the number of values, and no finer than whole numbers where all are whole."""
    bins = int(np.clip(len(values) ** 0.5, 8, 40))
    if len(values) and np.all(values == np.round(values)) and high - low < 1e6:
        width = max(1, round((high - low) / bins))
        return np.arange(np.floor(low) - 0.5, high + width + 0.5, width)
    return np.linspace(low, high, bins + 1)


def _thin(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `LONGEST_CURVE` points of a curve, every n-th."""
    stride = max(1, -(-len(values) // LONGEST_CURVE))
    return np.arange(len(values))[::stride], values[::stride]
