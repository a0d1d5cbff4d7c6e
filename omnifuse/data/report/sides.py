"""Splits: how large they are, how they were made, and what leaks from one into another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omnifuse.data.report.described import Finding
from omnifuse.data.report.repeats import MEDIA, reports
from omnifuse.page.blocks import Block, Cell, Table
from omnifuse.page.words import counted, listed, percent, shorten

FEW = 100
TOLD_AS = {"value": "exact"}  # a file in two splits is an exact duplicate of its column
MAKING = {
    "by": "rows with an equal {} stay on one side",
    "stratify": "every split has the same shares of {}",
    "time": "the latest rows by {} are the test split",
    "column": "as the column {} says",
}


def side_blocks(manifest: Mapping[str, Any]) -> list[Block]:
    """Sizes of the splits, how they were made, and the rows that lie on two sides."""
    splits = {split: count for split, count in manifest.get("splits", {}).items() if count}
    total = sum(splits.values())
    rows = [(split, Cell(f"{count:,}", count), Cell(percent(count, total), count)) for split, count in splits.items()]
    blocks: list[Block] = [Table("Sizes", made(manifest), ("split", "rows", "share"), rows, (1, 2))] if splits else []
    columns = list(column_leaks(manifest.get("leaks")))
    if columns:
        told = [(one["column"], one["target"], f"{one.get('measure', '')} {float(one['score']):.3f}") for one in columns]
        blocks.append(
            Table("Columns that nearly give a target away", "alone, by a small decision tree", ("column", "target", "score"), told)
        )
    found = list(side_leaks(manifest.get("leaks")))
    if found:
        told = [(_says(one), Cell(f"{one.get('rows', 0):,}", one.get("rows", 0)), _named(one)) for one in found]
        blocks.append(Table("Leak check", "what lies on two sides", ("what", "rows", "row ids"), told, (1,)))
    return blocks


def side_findings(manifest: Mapping[str, Any]) -> list[Finding]:
    """Splits that are missing or small, columns that give the target away, rows on two sides."""
    splits = manifest.get("splits", {})
    findings = []
    if not splits.get("test"):
        findings.append(Finding("look", "there is no test split, so final figures cannot be judged", "splits"))
    elif splits["test"] < FEW:
        text = f"the test split has only {counted(splits['test'], 'row')}: figures from it are rough"
        findings.append(Finding("look", text, "splits"))
    for one in column_leaks(manifest.get("leaks")):
        score = f"{one.get('measure', 'score')} {float(one['score']):.3f}"
        text = f"{one['column']} alone nearly gives {one['target']} away ({score}); if it is not known beforehand, set its role to ignore"
        findings.append(Finding("stop", text, "splits"))
    told = {(TOLD_AS.get(r.get("kind", ""), r.get("kind")), r.get("column") or "") for r in reports(manifest.get("duplicates"))}
    for one in side_leaks(manifest.get("leaks")):
        if (TOLD_AS.get(one["kind"], one["kind"]), one.get("column") or "") not in told:  # duplicates say it themselves
            findings.append(Finding("look" if _is_plain(one, manifest) else "stop", _says(one), "splits"))
    return findings


def made(manifest: Mapping[str, Any]) -> str:
    """How the rows were divided, in words."""
    options = (manifest.get("data") or {}).get("split") or {}
    said = [text.format(options[name]) for name, text in MAKING.items() if options.get(name)]
    return "; ".join(said)


def column_leaks(value: Any) -> Iterator[Mapping[str, Any]]:
    """Columns that nearly determine a target, in a section of the manifest."""
    yield from (one for one in _leaves(value) if {"column", "target", "score"} <= set(one))


def side_leaks(value: Any) -> Iterator[Mapping[str, Any]]:
    """Findings of the check between splits."""
    yield from (one for one in _leaves(value) if "kind" in one and "target" not in one)


def _leaves(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if "score" in value or "kind" in value:
            yield value
            return
        value = list(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        for part in value:
            yield from _leaves(part)


def _says(leak: Mapping[str, Any]) -> str:
    column = leak.get("column")
    return str(leak.get("says") or f"{leak.get('rows', 0):,} rows lie on two sides ({leak['kind']}{f' in {column}' if column else ''})")


def _named(leak: Mapping[str, Any]) -> str:
    rows = [str(row) for example in leak.get("examples") or [] for row in example.get("from", example.get("rows", []))]
    return shorten(listed(rows, 6), 240)


def _is_plain(leak: Mapping[str, Any], manifest: Mapping[str, Any]) -> bool:
    """Whether it is a word or a number that comes again, as they may; a file that comes again is grave."""
    modality = (manifest.get("columns") or {}).get(leak.get("column"), {}).get("modality")
    return leak["kind"] == "value" and modality not in MEDIA
