"""What is absent: by column, and by pairs of columns."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from omnifuse.data.report import plots
from omnifuse.data.report.described import Finding
from omnifuse.data.report.sample import ColumnSample
from omnifuse.page.blocks import Bar, Bars, Block, Cell, Plot, Table
from omnifuse.page.words import counted, listed, percent

COLUMNS, PAIRS, MOSTLY = 20, 12, 0.5


def missing_blocks(samples: Mapping[str, ColumnSample]) -> list[Block]:
    """Shares of absent values, the pairs of columns that are absent together, and how much more often than by chance."""
    absent = {name: sample.absent for name, sample in samples.items() if sample.absent}
    if not absent:
        return []
    order = sorted(absent, key=lambda name: (-absent[name], name))[:COLUMNS]
    rows = next(iter(samples.values())).rows
    bars = [Bar(name, [absent[name] / rows], f"{absent[name]:,} · {percent(absent[name], rows)}") for name in order]
    note = f"the {COLUMNS} emptiest of {len(absent)}" if len(absent) > COLUMNS else "of all rows"
    blocks: list[Block] = [Bars("Absent values", note, ("rows",), bars, is_whole=True)]
    if len(order) > 1:
        counted_pairs = (next(iter(samples.values())).dataset.manifest.get("missing") or {}).get("pairs")
        both = _both(samples, order) if counted_pairs is None else _counted(counted_pairs, order, absent, rows)
        note = f"% of {'the rows drawn' if counted_pairs is None else 'all rows'}; on the diagonal absent at all"
        blocks.append(Plot("Absent together", note, plots.heat_map(order, both, "Columns that are absent together", key="missing-pairs")))
        blocks.append(_pairs(order, both))
    return blocks


def missing_findings(samples: Mapping[str, ColumnSample]) -> list[Finding]:
    """Columns that are mostly absent, and that absent stays absent."""
    rows = next(iter(samples.values())).rows if samples else 0
    absent = {name: sample.absent for name, sample in samples.items() if sample.absent}
    if not absent:
        return [Finding("good", "no value is absent", "")]
    empty = [name for name, count in absent.items() if count >= rows]
    mostly = [f"{name} ({percent(count, rows)})" for name, count in absent.items() if MOSTLY * rows < count < rows]
    some = [name for name in absent if name not in empty]
    findings = []
    if empty:
        findings.append(Finding("stop", f"{listed(empty)}: no row has a value; leave {'it' if len(empty) == 1 else 'them'} out", "missing"))
    if mostly:
        findings.append(Finding("look", f"mostly absent: {listed(mostly)}", "missing"))
    if some and not mostly:
        worst = max(some, key=lambda name: absent[name])
        have = f"{counted(len(some), 'column')} {'has' if len(some) == 1 else 'have'} absent values"
        text = f"{have}, {worst} most: {percent(absent[worst], rows)} (kept as absent, not filled)"
        findings.append(Finding("look", text, "missing"))
    return findings


def _counted(pairs: list[Mapping[str, Any]], names: list[str], absent: Mapping[str, int], rows: int) -> np.ndarray:
    """(K, K) share of the rows in which two columns are absent, as it was counted at preparation."""
    place = {name: i for i, name in enumerate(names)}
    both = np.diag([float(absent[name]) for name in names])
    for pair in pairs:
        first, second = pair["columns"]
        if first in place and second in place:
            both[place[first], place[second]] = both[place[second], place[first]] = pair["both"]
    return both / rows


def _both(samples: Mapping[str, ColumnSample], names: list[str]) -> np.ndarray:
    """(K, K) share of the rows of the dataset in which two columns are absent; splits count as they are large."""
    splits = next(iter(samples.values())).values
    sizes = next(iter(samples.values())).dataset.manifest.get("splits", {})
    shares, total = np.zeros((len(names), len(names))), 0
    for split in splits:
        is_absent = np.array([[value is None for value in samples[name].values[split]] for name in names], dtype=np.float64)
        weight = sizes.get(split, is_absent.shape[1])
        shares += weight * (is_absent @ is_absent.T) / max(1, is_absent.shape[1])
        total += weight
    return shares / max(1, total)


def _pairs(names: list[str], both: np.ndarray) -> Table:
    pairs = [(i, j) for i, j in combinations(range(len(names)), 2) if both[i, i] and both[j, j]]
    pairs.sort(key=lambda pair: (-abs(both[pair] - both[pair[0], pair[0]] * both[pair[1], pair[1]]), pair))
    rows = []
    for i, j in pairs[:PAIRS]:
        chance, ratio = both[i, i] * both[j, j], both[i, j] / (both[i, i] * both[j, j])
        cells = [Cell(percent(both[i, j], 1), both[i, j]), Cell(percent(chance, 1), chance), Cell(f"{ratio:.1f} ×", ratio)]
        rows.append((names[i], names[j], *cells))
    return Table("Pairs", "the most surprising first", ("column", "column", "both absent", "by chance", "ratio"), rows, (2, 3, 4))
