"""Rare labels, and labels that look like misspellings of others, with the lines of a recipe that would mend them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omnifuse.data.clean.labels import replace_lines
from omnifuse.data.report.described import Finding
from omnifuse.page.blocks import Block, Cell, Code, Table
from omnifuse.page.words import counted, listed

LONGEST = 80
WHY = {"spelling": "capitals, spaces or accents differ", "letters": "a letter or two differ"}


def spelling_blocks(labels: Any) -> list[Block]:
    """Tables of misspelt and rare labels by column."""
    blocks: list[Block] = []
    for report in reports(labels):
        column, misspelt = str(report.get("column", "")), list(report.get("misspelt") or [])
        if misspelt:
            rows = [
                (
                    _quoted(one["label"]),
                    Cell(f"{one['rows']:,}", one["rows"]),
                    _quoted(one["meant"]),
                    Cell(f"{one['meant_rows']:,}", one["meant_rows"]),
                    WHY.get(one.get("why", ""), ""),
                )
                for one in misspelt
            ]
            note = "look at them before you replace them"
            head = ("label", "rows", "likely meant", "rows", "why")
            blocks.append(Table(f"{column}: likely misspelt", note, head, rows, (1, 3)))
            mended = replace_lines(column, report.get("replace") or {}).strip()
            blocks.append(Code(f"{column}: lines of a recipe that would mend them", "", mended))
        rare = dict(report.get("rare") or {})
        if rare:
            rows = [(_quoted(label), Cell(f"{count:,}", count)) for label, count in rare.items()]
            count = report.get("rare_count", len(rare))
            note = f"the {len(rare)} rarest of {count:,}" if count > len(rare) else f"of {counted(report.get('labels', 0), 'label')}"
            blocks.append(Table(f"{column}: rare labels", note, ("label", "rows"), rows, (1,)))
    return blocks


def spelling_findings(labels: Any) -> list[Finding]:
    """Columns with misspelt or rare labels."""
    findings = []
    for report in reports(labels):
        column, misspelt, rare = str(report.get("column", "")), report.get("misspelt_count", 0), report.get("rare_count", 0)
        if misspelt:
            shown = [f"{_quoted(one['label'])} for {_quoted(one['meant'])}" for one in report.get("misspelt") or []]
            text = f"{column}: {counted(misspelt, 'label')} may be misspelt ({listed(shown, 2)})"
            findings.append(Finding("look", text, "labels"))
        if rare:
            text = f"{column}: {counted(rare, 'label')} of {report.get('labels', 0):,} {'has' if rare == 1 else 'have'} very few rows"
            findings.append(Finding("look", text, "labels"))
    return findings


def reports(value: Any) -> Iterator[Mapping[str, Any]]:
    """The reports of labels in a section of the manifest, by column or in a list."""
    if isinstance(value, Mapping):
        if "rare" in value or "misspelt" in value:
            yield value
            return
        for column, part in value.items():
            yield from ({"column": column, **one} for one in reports(part))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for part in value:
            yield from reports(part)


def _quoted(label: Any) -> str:
    """A label between marks, so that a blank at its end is seen."""
    text = str(label)
    return f"“{text if len(text) <= LONGEST else text[:LONGEST] + '…'}”"
