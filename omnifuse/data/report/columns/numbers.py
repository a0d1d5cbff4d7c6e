"""Columns of numbers, of moments and of vectors."""

from __future__ import annotations

from collections import Counter

import numpy as np

from omnifuse.data.report import plots
from omnifuse.data.report.described import Described, Finding, share_bars
from omnifuse.data.report.glance import written
from omnifuse.data.report.sample import ColumnSample
from omnifuse.page.blocks import Block, Cell, Plot, Table
from omnifuse.page.figures import central
from omnifuse.page.words import percent, quantity

FEW_VALUES, PCA_ROWS = 12, 600


def describe_number(sample: ColumnSample) -> Described:
    """Spread, range and unit."""
    by_split = {split: np.array(sample.present(split), dtype=np.float64) for split in sample.splits}
    by_split = {split: part[np.isfinite(part)] for split, part in by_split.items()}
    described = Described()
    if not by_split:
        return described
    values = np.concatenate(list(by_split.values()))
    unit = str(sample.column.options.get("unit") or "")
    described.facts = {
        "range": f"{quantity(values.min())} … {quantity(values.max())}{f' {unit}' if unit else ''}",
        "median": quantity(float(np.median(values))),
        "different values": f"{len(np.unique(values)):,}",
    }
    described.blocks = [_spread(sample, by_split, unit), spread_table(by_split)]
    described.findings = _number_findings(sample, values)
    return described


def describe_datetime(sample: ColumnSample) -> Described:
    """A line of time with every split on it."""
    by_split = {split: np.array(sample.present(split), dtype=np.int64) for split in sample.splits}
    described = Described()
    if not by_split:
        return described
    values = np.concatenate(list(by_split.values()))
    span = float(values.max() - values.min())
    described.facts = {
        "first": written(values.min()),
        "last": written(values.max()),
        "span": f"{quantity(span / 86_400e6)} days" if span >= 86_400e6 else f"{quantity(span / 3_600e6)} hours",
    }
    rows = []
    for split, part in by_split.items():
        rows.append((split, *[Cell(written(at), float(at)) for at in (part.min(), np.median(part), part.max())]))
    described.blocks = [
        Plot("Over time", "UTC", plots.timeline(by_split, key=f"{sample.key}-time"), wide=True),
        Table("By split", "UTC", ("split", "first", "median", "last"), rows),
    ]
    return described


def describe_vector(sample: ColumnSample) -> Described:
    """Lengths, and the plane in which the vectors are spread most widely."""
    described = Described()
    sizes = Counter(len(value) for value in sample.present())
    if not sizes:
        return described
    size = sizes.most_common(1)[0][0]
    parts = {split: np.array([v for v in sample.present(split) if len(v) == size], dtype=np.float64) for split in sample.splits}
    parts = {split: part for split, part in parts.items() if len(part)}
    norms = {split: np.linalg.norm(part, axis=1) for split, part in parts.items()}
    described.facts = {"numbers in each": f"{size:,}", "mean length": quantity(float(np.mean(np.concatenate(list(norms.values())))))}
    if len(sizes) > 1:
        text = f"{sample.name}: vectors of {len(sizes)} different sizes; a column has one"
        described.findings.append(Finding("stop", text, sample.key))
    described.blocks.append(Plot("Length of the vectors", "Euclidean", plots.histogram(norms, "length", key=f"{sample.key}-norm")))
    values = np.concatenate([part[:PCA_ROWS] for part in parts.values()])
    groups = [split for split, part in parts.items() for _ in part[:PCA_ROWS]]
    if len(values) > 2 and size > 1:
        points, kept = principal_plane(values)
        note = f"principal components, {percent(kept, 1)} of the variance"
        described.blocks.append(Plot("From their widest side", note, plots.plane(points, groups, key=f"{sample.key}-plane")))
    return described


def principal_plane(values: np.ndarray) -> tuple[np.ndarray, float]:
    """The first two principal components (N, 2) of (N, D), and the share of the variance they keep."""
    centred = values - values.mean(axis=0)
    if centred.shape[0] < centred.shape[1]:  # many numbers, few rows: the smaller of the two products
        weights, vectors = np.linalg.eigh(centred @ centred.T)
        points = vectors[:, -2:][:, ::-1] * np.sqrt(np.maximum(weights[-2:][::-1], 0))
    else:
        weights, vectors = np.linalg.eigh(centred.T @ centred)
        points = centred @ vectors[:, -2:][:, ::-1]
    for axis in (0, 1):  # the sign of a component is arbitrary: the farthest point lies on the positive side
        points[:, axis] *= np.sign(points[np.abs(points[:, axis]).argmax(), axis]) or 1.0
    total = float(np.maximum(weights, 0).sum())
    return points, float(np.maximum(weights[-2:], 0).sum()) / total if total else 1.0


def spread_table(by_split: dict[str, np.ndarray]) -> Table:
    """Mean, deviation and quantiles, a column for each split."""
    parts = {split: part for split, part in by_split.items() if len(part)}
    measures: dict[str, list[float]] = {
        "mean": [part.mean() for part in parts.values()],
        "deviation": [part.std() for part in parts.values()],
        "least": [part.min() for part in parts.values()],
        **{f"{share} %": [float(np.percentile(part, share)) for part in parts.values()] for share in (25, 50, 75)},
        "most": [part.max() for part in parts.values()],
    }
    rows = [("values", *[f"{len(part):,}" for part in parts.values()])]
    rows += [(name, *[quantity(float(f"{value:.4g}")) for value in row]) for name, row in measures.items()]
    return Table("By split", "", ("", *parts), rows, range(1, 1 + len(parts)), sortable=False)


def _spread(sample: ColumnSample, by_split: dict[str, np.ndarray], unit: str) -> Block:
    values = np.concatenate(list(by_split.values()))
    if len(np.unique(values)) <= FEW_VALUES:
        names = {value: quantity(value) for value in np.unique(values).tolist()}
        counts = {split: Counter(names[value] for value in part.tolist()) for split, part in by_split.items()}
        sizes = {split: len(part) for split, part in by_split.items()}
        return share_bars("Values", "share of each split", counts, sizes, list(names.values()))
    low, high = central(values)
    outside = int(((values < low) | (values > high)).sum())
    note = f"{outside:,} of {len(values):,} values lie outside the frame" if outside else ""
    name = f"{sample.name} in {unit}" if unit else sample.name
    return Plot("Spread", note, plots.histogram(by_split, name, key=f"{sample.key}-spread"))


def _number_findings(sample: ColumnSample, values: np.ndarray) -> list[Finding]:
    """A constant column, or one odd value that may stand for an absent one."""
    unique, counts = np.unique(values, return_counts=True)
    if len(unique) == 1:
        return [Finding("look", f"{sample.name}: every value is {quantity(unique[0])}, so the column tells nothing", sample.key)]
    if len(unique) < 5:
        return []
    found = []
    for end, beside, share in ((unique[0], unique[1], counts[0]), (unique[-1], unique[-2], counts[-1])):
        rest = values[values != end]
        spread = float(np.percentile(rest, 99) - np.percentile(rest, 1))
        if share >= max(3, 0.005 * len(values)) and abs(end - beside) > 2 * spread > 0:
            text = (
                f"{sample.name}: {percent(int(share), len(values))} of the values are {quantity(end)}, far from all others;"
                f" if it stands for “not known”, add it to data.clean.absent"
            )
            found.append(Finding("look", text, sample.key))
    return found
