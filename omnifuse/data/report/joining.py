"""What the page says about joins and windows: where each row went, in counts that add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omnifuse.data.report.described import Finding
from omnifuse.page.blocks import Block, Cell, Table
from omnifuse.page.words import counted, listed, percent, quantity

LEFT = {
    "matched": "found a partner",
    "unmatched": "no partner",
    "too_far": "nearest one too far in time",
    "too_few": "too few rows in the span",
    "without_key": "no key or time",
    "unreadable": "time cannot be read",
}
RIGHT = {
    "used": "used",
    "duplicated": "another of the same key was taken",
    "left_out": "left out",
    "unmatched": "partner of no row",
    "without_key": "no key or time",
    "unreadable": "time cannot be read",
}
WAYS = {"key": "by key", "collect": "several by key", "asof": "nearest in time", "window": "a span of time"}
MANY = 0.05


def join_blocks(joins: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Two tables of counts for each join: of our rows, and of theirs."""
    blocks: list[Block] = []
    for join in joins:
        name, left, right = str(join.get("name", "")), join.get("left") or {}, join.get("right") or {}
        note = WAYS.get(str(join.get("way")), str(join.get("way", "")))
        distance = join.get("distance_s") or {}
        if distance:
            note += "; " + ", ".join(f"{key} distance {quantity(float(value))} s" for key, value in distance.items())
        blocks.append(_counts(f"Our rows, joined with {name}", note, left, LEFT, [("dropped", "of these dropped (how: inner)")]))
        blocks.append(_counts(f"Rows of {name}", "", right, RIGHT, []))
        examples = {side: words for side, words in (join.get("examples") or {}).items() if words}
        if examples:
            rows = [("ours" if side == "left" else "theirs", listed([str(word) for word in words], 8)) for side, words in examples.items()]
            blocks.append(Table("Some keys without a partner", name, ("side", "keys"), rows))
    cells = [
        (str(join.get("name", "")), channel, Cell(f"{count.get('missing', 0):,}"), Cell(f"{count.get('unreadable', 0):,}"))
        for join in joins
        for channel, count in (join.get("cells") or {}).items()
        if any(count.values())
    ]
    if cells:
        blocks.append(Table("Cells without a number", "they stay missing", ("source", "channel", "missing", "unreadable"), cells, (2, 3)))
    return blocks


def window_blocks(windows: Mapping[str, Any]) -> list[Block]:
    """What became of the samples, and of the recordings."""
    said = {
        "used": "in a window",
        "left_over": "between windows or after the last one",
        "without_key": "no value in the columns of a recording",
        "without_order": "no place in the order",
    }
    blocks: list[Block] = [_counts("Samples, cut into windows", f"{windows.get('windows', 0):,} windows", windows, said, [])]
    rows = [
        (text, f"{windows[key]:,}")
        for key, text in [
            ("recordings", "recordings"),
            ("short", "recordings too short for a window"),
            ("windows", "windows"),
            ("partial", "windows shorter than the rest"),
            ("repeated_order", "samples at the same time as the one before"),
        ]
        if key in windows
    ]
    blocks.append(Table("Windows", "", ("what", "count"), rows, (1,)))
    return blocks


def join_findings(joins: Sequence[Mapping[str, Any]], windows: Sequence[Mapping[str, Any]] = ()) -> list[Finding]:
    """Rows that found no partner, and what was dropped for it."""
    findings = []
    for join in joins:
        left, right, name = join.get("left") or {}, join.get("right") or {}, join.get("name", "")
        rows, matched, dropped = left.get("rows", 0), left.get("matched", 0), left.get("dropped", 0)
        text = f"{matched:,} of {counted(rows, 'row')} found a partner in {name}"
        if dropped:
            text += f"; {counted(dropped, 'row')} without one {'was' if dropped == 1 else 'were'} dropped"
        elif matched < rows:
            text += "; the others have its columns absent"
        if right.get("duplicated"):
            text += f"; {counted(right['duplicated'], 'row')} of {name} went unused because another of the same key was taken"
        is_worth = rows - matched > MANY * rows or bool(right.get("duplicated")) or bool(dropped)
        findings.append(Finding("look" if is_worth else "good", text, "joins"))
    short = sum(one.get("short", 0) for one in windows)
    if short:
        text = f"{counted(short, 'recording')} of {sum(one.get('recordings', 0) for one in windows):,} gave no window: shorter than one"
        findings.append(Finding("look", text, "joins"))
    unreadable = sum(cell.get("unreadable", 0) for part in [*joins, *windows] for cell in (part.get("cells") or {}).values())
    if unreadable:
        text = f"{counted(unreadable, 'cell')} of the channels cannot be read as a number and count as missing"
        findings.append(Finding("look", text, "joins"))
    return findings


def _counts(title: str, note: str, counts: Mapping[str, Any], said: Mapping[str, str], more: list[tuple[str, str]]) -> Table:
    total = counts.get("rows", 0)
    rows = [(text, Cell(f"{counts[key]:,}", counts[key]), percent(counts[key], total)) for key, text in said.items() if counts.get(key)]
    rows.append(("together", Cell(f"{total:,}", total), ""))
    rows += [(text, Cell(f"{counts[key]:,}", counts[key]), percent(counts[key], total)) for key, text in more if counts.get(key)]
    return Table(title, note, ("what became of them", "rows", "share"), rows, (1, 2))
