"""Duplicates and near duplicates: counted, and shown side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.dataset import ID, Dataset
from omnifuse.data.report.columns.signals import RATE_HZ, heard
from omnifuse.data.report.described import Finding
from omnifuse.data.report.sample import ColumnSample
from omnifuse.data.report.thumbnails import thumbnail
from omnifuse.page.blocks import Block, Cell, Exhibit, Gallery, Table, Texts
from omnifuse.page.words import counted, listed, quantity, shorten

GROUPS_SHOWN, MEMBERS_SHOWN, SIDE, MEDIA = 8, 2, 112, ("image", "audio", "video", "series", "points")
GRAVE, MANY, SHORT = 0.01, 0.05, 8
UNITS = {"image": ("bits differ", 1.0), "audio": ("% of the bits differ", 100.0), "text": ("% unlike", 100.0)}


def repeat_blocks(dataset: Dataset) -> list[Block]:
    """Counts of every kind of duplicate, and examples of each, those across splits first."""
    found = list(reports(dataset.manifest.get("duplicates")))
    if not found:
        return []
    rows = [
        (
            report.get("column") or "whole rows",
            str(report.get("kind", "")),
            *[Cell(f"{report.get(name, 0):,}", report.get(name, 0)) for name in ("groups", "rows", "across_groups", "across_rows")],
        )
        for report in found
    ]
    head = ("of", "kind", "groups", "rows in them", "groups across splits", "rows in these")
    blocks: list[Block] = [Table("Counts", "rows that repeat each other make a group", head, rows, (2, 3, 4, 5))]
    for report in found:
        blocks += _examples(dataset, report)
    return blocks


def repeat_findings(dataset: Dataset, samples: Mapping[str, ColumnSample]) -> list[Finding]:
    """What the first screen says about duplicates; those across splits make figures look better than they are."""
    if "duplicates" not in dataset.manifest:
        return []
    findings = [finding for report in reports(dataset.manifest["duplicates"]) for finding in _finding(dataset, samples, report)]
    dropped = sum(value for value in (dataset.manifest.get("dropped") or {}).values() if isinstance(value, int))
    if dropped:
        text = f"{counted(dropped, 'row')} that repeated others {'was' if dropped == 1 else 'were'} dropped"
        findings.append(Finding("look", text, ""))
    return findings or [Finding("good", "no row repeats another")]


def _finding(dataset: Dataset, samples: Mapping[str, ColumnSample], report: Mapping[str, Any]) -> list[Finding]:
    column, kind = str(report.get("column", "")), str(report.get("kind", ""))
    across, inside = report.get("across_rows", 0), report.get("rows", 0)
    modality = dataset.schema[column].modality if column in dataset.schema else ""
    if column and kind == "exact" and modality not in MEDIA:
        return []  # that a short text or a label comes again is no news
    what = "exactly repeat another" if not column else f"share their {column} with another" if kind == "exact" else ""
    what = what or f"nearly repeat another in {column}"
    if across:
        held_out = sum(count for split, count in dataset.manifest.get("splits", {}).items() if split != "train")
        text = f"{across:,} rows {what} across splits, so that test figures look better than they are; {_mend(dataset, report)}"
        grave = across > GRAVE * max(1, held_out) and not (modality == "text" and _is_short(samples[column]))
        return [Finding("stop" if grave else "look", text, "duplicates")]
    if inside:
        many = inside > MANY * dataset.manifest.get("rows", len(dataset)) and not (column and kind == "exact")
        return [Finding("look" if many else "good", f"{inside:,} rows {what}, none of them across splits", "duplicates")]
    return []


def _mend(dataset: Dataset, report: Mapping[str, Any]) -> str:
    """What keeps such rows on one side; nothing moves the rows of a table that was given as one split."""
    given = set(dataset.manifest.get("sources") or {}) & {"validation", "test"}
    crossing = [set(example.get("splits", [])) for example in report.get("examples") or []]
    if any(given & splits for splits in crossing if len(splits) > 1):
        return f"the {listed(sorted(given))} rows were given as such, so they stay where they are: take such rows out of one of the tables"
    option = "data.clean.near_duplicates: together" if report.get("kind") == "near" else "data.split.by"
    return f"{option} keeps them on one side"


def _is_short(sample: ColumnSample) -> bool:
    """Whether texts are so short that two people write the same, such as titles."""
    return bool(np.median([len(str(text).split()) for text in sample.present()] or [0]) < SHORT)


def reports(value: Any) -> Iterator[Mapping[str, Any]]:
    """The reports of duplicates in a section of the manifest, however deep they lie."""
    if isinstance(value, Mapping):
        if "kind" in value and "groups" in value:
            yield value
            return
        value = list(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        for part in value:
            yield from reports(part)


def find_rows(dataset: Dataset, ids: Sequence[str]) -> dict[str, int]:
    """Places of rows by their id; a search by halves over all of them at once, for the rows are sorted by id."""
    low, high = dict.fromkeys(ids, 0), dict.fromkeys(ids, len(dataset))
    while any(low[one] < high[one] for one in low):
        middles = {one: (low[one] + high[one]) // 2 for one in low if low[one] < high[one]}
        there = dataset.take(list(middles.values()), [ID])[ID]
        for (one, middle), other in zip(middles.items(), there, strict=True):
            if _order(other) < _order(one):
                low[one] = middle + 1
            else:
                high[one] = middle
    places = {one: place for one, place in low.items() if place < len(dataset)}
    there = dataset.take(list(places.values()), [ID])[ID] if places else []
    return {one: place for (one, place), other in zip(places.items(), there, strict=True) if one == other}


def _order(row: str) -> tuple[str, int]:
    """Copies of one row are numbered `…-1`, `…-2`, …, `…-10`."""
    base, _, number = row.partition("-")
    return (base, int(number)) if number.isdigit() else (row, 0)


def _examples(dataset: Dataset, report: Mapping[str, Any]) -> list[Block]:
    column, examples = str(report.get("column", "")), list(report.get("examples") or [])[:GROUPS_SHOWN]
    if not examples:
        return []
    across = report.get("across_groups", 0)
    note = f"the first {len(examples)} of {counted(max(report.get('groups', 0), across), 'group')}, those across splits first"
    kind = "Near duplicates" if report.get("kind") == "near" else "Duplicates"
    if column not in dataset.schema:
        rows = [(listed(_named(e), 2), listed(sorted(set(e.get("splits", [])))), str(e.get("size", ""))) for e in examples]
        return [Table(f"{kind} of whole rows", note, ("rows", "splits", "rows in the group"), rows, (2,))]
    modality, is_exact = dataset.schema[column].modality, report.get("kind") == "exact"
    if is_exact and not across:
        return []  # one file in several rows, on one side
    members = [_pair(example) for example in examples]
    places = find_rows(dataset, [row for pair in members for row, _ in pair])
    values = dict(zip(places, dataset.take(list(places.values()), [column])[column] if places else [], strict=True))
    title = f"{kind} in {column}"
    if modality in ("image", "audio"):
        shown = [
            (pair, [row for row, _ in (pair[:1] if is_exact else pair)], example) for pair, example in zip(members, examples, strict=True)
        ]
        exhibits = [_exhibit(dataset, modality, pair, [values.get(row) for row in rows], example) for pair, rows, example in shown]
        return [Gallery(title, note, exhibits, wide=True)]
    if modality == "text":
        texts = [
            (shorten(str(values[row]), 240), f"{side}{_distance(modality, example) if row == pair[-1][0] else ''}")
            for pair, example in zip(members, examples, strict=True)
            for row, side in pair
            if values.get(row) is not None
        ]
        return [Texts(title, note, texts)]
    return []


def _pair(example: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Two rows of a group, of different splits where it has them: the id of each, and its split with where it was read."""
    rows, splits = list(example.get("rows", [])), list(example.get("splits", []))
    other = next((place for place, split in enumerate(splits) if split != splits[0]), None)
    chosen = [0, other] if other else range(min(MEMBERS_SHOWN, len(rows)))
    origins = _named(example)
    return [(rows[place], f"{splits[place]} · {origins[place]}") for place in chosen]


def _named(example: Mapping[str, Any]) -> list[str]:
    """Where the rows of an example were read; their ids in a dataset that does not say so."""
    return [str(row) for row in example.get("from", example.get("rows", []))]


def _exhibit(
    dataset: Dataset, modality: str, pair: list[tuple[str, str]], keys: Sequence[str | None], example: Mapping[str, Any]
) -> Exhibit:
    """The files of a pair beside each other; the one file of rows that share it."""
    files = dataset.media([key for key in keys if key is not None])
    size = f", {example['size']:,} rows in all" if example.get("size", 0) > len(pair) else ""
    caption, note = " | ".join(side for _, side in pair), _distance(modality, example).lstrip(", ") + size
    try:
        if modality == "image":
            return Exhibit(caption, [thumbnail(data, SIDE) for data in files], note=note.lstrip(", "))
        both = [heard(data, "", RATE_HZ) for data in files]
        pictures, sounds = [picture for one in both for picture in one.pictures], [uri for one in both for uri in one.sounds]
        return Exhibit(caption, pictures, sounds, note=note)
    except OmnifuseError as error:
        return Exhibit(caption, note=f"cannot be shown: {error}")


def _distance(modality: str, example: Mapping[str, Any]) -> str:
    if "distance" not in example:
        return ""
    unit, factor = UNITS.get(modality, ("apart", 1.0))
    return f", {quantity(round(factor * float(example['distance']), 1))} {unit}"
