"""What describing a column gives: facts in words, blocks for the page, and findings for its first screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from omnifuse.data.config import SPLITS
from omnifuse.page.blocks import Bar, Bars, Block
from omnifuse.page.words import percent

TOP = 20
Level = Literal["stop", "look", "good"]


@dataclass(frozen=True)
class Finding:
    """A sentence of the first screen: how grave it is, and where on the page more is said."""

    level: Level
    text: str
    anchor: str = ""


@dataclass
class Described:
    """What the page says about a column."""

    facts: dict[str, str] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def share_bars(title: str, note: str, counts: Mapping[str, Counter[str]], sizes: Mapping[str, int], names: Sequence[str]) -> Bars:
    """Bars of the share of each name in each split; beside them the share in all of them."""
    splits = list(counts)
    bars = []
    for name in names:
        shares = [counts[split][name] / sizes[split] if sizes[split] else 0.0 for split in splits]
        bars.append(Bar(name, shares, percent(sum(counts[split][name] for split in splits), sum(sizes.values()))))
    return Bars(title, note, splits, bars, [SPLITS.index(split) if split in SPLITS else 3 for split in splits])
