"""Where the rows come from: what was read of each source, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omnifuse.data.report.described import Finding
from omnifuse.page.blocks import Block, Cell, Table
from omnifuse.page.words import counted, listed, shorten

ALWAYS = ("read", "rows")


def origin_blocks(sources: Mapping[str, Any]) -> list[Block]:
    """Counts of each source, and the words that were read as absent."""
    if not sources:
        return []
    counts = {source: {name: value for name, value in told.items() if isinstance(value, int)} for source, told in sources.items()}
    names = list(dict.fromkeys(name for told in counts.values() for name in told))
    names = [name for name in names if name in ALWAYS or any(told.get(name) for told in counts.values())]
    rows = []
    for split, told in counts.items():
        cells = [Cell(f"{told[name]:,}", told[name]) if name in told else Cell("–") for name in names]
        rows.append((shorten(str(sources[split].get("name", split)), 80), "" if split == "all" else split, *cells))
    head = ("source", "split", *["kept" if name == "rows" else name for name in names])
    blocks: list[Block] = [Table("Sources", "rows", head, rows, range(2, 2 + len(names)))]
    words = [(column, word, Cell(f"{count:,}", count)) for column, word, count in _words(sources)]
    if words:
        blocks.append(Table("Words read as absent", "", ("column", "word", "values"), words, (2,)))
    return blocks


def origin_findings(sources: Mapping[str, Any]) -> list[Finding]:
    """Rows without a target, and words that were taken for absent."""
    findings = []
    without = sum(told.get("without target", 0) for told in sources.values())
    if without:
        text = f"{counted(without, 'row')} without a value in any target {'was' if without == 1 else 'were'} left out"
        findings.append(Finding("look", text, "sources"))
    words = sorted({f"“{word}”" for _, word, _ in _words(sources)})
    if words:
        findings.append(Finding("good", f"{listed(words, 4)} {'was' if len(words) == 1 else 'were'} read as absent", "sources"))
    return findings


def _words(sources: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    together: dict[tuple[str, str], int] = {}
    for told in sources.values():
        for column, words in (told.get("words read as absent") or {}).items():
            for word, count in words.items():
                together[column, word] = together.get((column, word), 0) + count
    return [(column, word, count) for (column, word), count in sorted(together.items(), key=lambda entry: -entry[1])]
