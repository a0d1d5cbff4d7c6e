"""Gathers what is known about a prepared dataset and writes `data.html`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omnifuse.core.atomic import write_text
from omnifuse.data.config import SPLITS
from omnifuse.data.dataset import Dataset
from omnifuse.data.report.columns.labels import describe_category, describe_set
from omnifuse.data.report.columns.numbers import describe_datetime, describe_number, describe_vector
from omnifuse.data.report.columns.pictures import describe_image, describe_video
from omnifuse.data.report.columns.signals import describe_audio, describe_points, describe_series
from omnifuse.data.report.columns.texts import describe_id, describe_text
from omnifuse.data.report.described import Described, Finding
from omnifuse.data.report.joining import join_blocks, join_findings, window_blocks
from omnifuse.data.report.missing import missing_blocks, missing_findings
from omnifuse.data.report.origins import origin_blocks, origin_findings
from omnifuse.data.report.quarantine import Quarantine
from omnifuse.data.report.repeats import repeat_blocks, repeat_findings
from omnifuse.data.report.sample import ROWS, ColumnSample, caption, draw
from omnifuse.data.report.sides import side_blocks, side_findings
from omnifuse.data.report.spellings import spelling_blocks, spelling_findings
from omnifuse.page.blocks import Block, Texts
from omnifuse.page.page import render_page, versions_of
from omnifuse.page.words import counted, listed, percent

DESCRIBE: Mapping[str, Callable[[ColumnSample], Described]] = {
    "audio": describe_audio,
    "category": describe_category,
    "datetime": describe_datetime,
    "id": describe_id,
    "image": describe_image,
    "number": describe_number,
    "points": describe_points,
    "series": describe_series,
    "set": describe_set,
    "text": describe_text,
    "vector": describe_vector,
    "video": describe_video,
}
LEVELS = ("stop", "look", "good")
LIBRARIES = ("daft", "pylance", "numpy", "pillow", "soundfile", "av")


@dataclass(frozen=True)
class Section:
    """A part of the page below the columns."""

    anchor: str
    title: str
    note: str
    blocks: Sequence[Block]


def write_data_report(dataset: Dataset, path: Path, *, rows: int = ROWS, name: str = "", version: str = "") -> list[Finding]:
    """Write one HTML page about a prepared dataset; it stands alone and needs no network.

    The first screen says in words what the data are and what deserves a look. Counts of rows, of absent values, of joins
    and of duplicates are of the whole dataset; spreads and examples are drawn from up to `rows` rows of each split, the
    same ones each time, so the same dataset gives the same bytes.

    Args:
        dataset: all of it, not the view of a split.
        path: of the page.
        rows: how many rows of each split are drawn.
        name, version: what the page calls the dataset; by default after its folders.

    Returns:
        The sentences of the first screen, the gravest first.

    Raises:
        OmnifuseError: the page cannot be written.
    """
    manifest = dataset.manifest
    samples = draw(dataset, rows)
    described = {name: describe(sample) for name, sample in samples.items()}
    quarantine = Quarantine(dataset.path / "quarantine.csv")
    sections = _sections(dataset, samples, quarantine)
    page: dict[str, Any] = {
        "name": name or _name(dataset),
        "version": version or dataset.path.name,
        "rows": manifest.get("rows", len(dataset)),
        "sentence": _sentence(dataset),
        "splits": _split_bar(manifest.get("splits", {})),
        "findings": _findings(dataset, samples, described, quarantine),
        "columns": [_column(samples[name], described[name]) for name in samples],
        "drawn": _drawn(samples),
        "sections": [section for section in sections if section.blocks],
        "recipe": _recipe(manifest),
        "versions": versions_of(LIBRARIES),
    }
    write_text(path, render_page("omnifuse.data.report/data.html.j2", page))
    return page["findings"]


def describe(sample: ColumnSample) -> Described:
    """What the page says about a column; a modality of the user's own is shown by some of its values."""
    known = DESCRIBE.get(sample.column.modality)
    if known:
        return known(sample)
    values = [(caption(value), of) for value, of in sample.pick(8)]
    return Described(blocks=[Texts("Some of the values", "", values)] if values else [])


def _sections(dataset: Dataset, samples: Mapping[str, ColumnSample], quarantine: Quarantine) -> list[Section]:
    manifest = dataset.manifest
    joins = join_blocks(manifest.get("joins") or [])
    windows = [block for one in _windows(manifest) for block in window_blocks(one)]
    told = "Every row is counted once; the counts add up to the rows of the source."
    return [
        Section("missing", "Missing values", "They stay missing: nothing is filled in.", missing_blocks(samples)),
        Section("duplicates", "Duplicates", "", repeat_blocks(dataset)),
        Section("labels", "Rare and misspelt labels", "", spelling_blocks(manifest.get("labels") or {})),
        Section("sources", "Sources", "", origin_blocks(manifest.get("sources") or {})),
        Section("joins", "Joins and windows", told, [*windows, *joins]),
        Section("quarantine", "Set aside", "Values that could not be read, with the reason.", quarantine.blocks()),
        Section("splits", "Splits", "", side_blocks(manifest)),
    ]


def _findings(
    dataset: Dataset, samples: Mapping[str, ColumnSample], described: Mapping[str, Described], quarantine: Quarantine
) -> list[Finding]:
    """Sentences of the first screen, the gravest first."""
    manifest = dataset.manifest
    bad_values = (manifest.get("data") or {}).get("bad_values", "quarantine")
    found = [
        *side_findings(manifest),
        *repeat_findings(dataset, samples),
        *quarantine.findings(manifest.get("rows", 0), bad_values),
        *origin_findings(manifest.get("sources") or {}),
        *join_findings(manifest.get("joins") or [], _windows(manifest)),
        *missing_findings(samples),
        *[finding for one in described.values() for finding in one.findings],
        *spelling_findings(manifest.get("labels") or {}),
    ]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def _sentence(dataset: Dataset) -> str:
    """What the dataset is, in one sentence."""
    schema, rows = dataset.schema, dataset.manifest.get("rows", len(dataset))

    def named(names: Sequence[str]) -> str:
        return listed([f"{name} ({schema[name].modality})" for name in names], 8)

    text = f"{counted(rows, 'row')}, each with {named(schema.inputs)}" if schema.inputs else counted(rows, "row")
    text = f"{text}; to be learned: {named(schema.targets)}" if schema.targets else text
    return f"{text}; kept beside them: {named(schema.meta)}." if schema.meta else f"{text}."


def _split_bar(splits: Mapping[str, int]) -> list[dict[str, Any]]:
    total = sum(splits.values())
    colours = {name: place for place, name in enumerate(SPLITS)}
    return [
        {"name": name, "rows": count, "share": percent(count, total), "width": 100 * count / total, "colour": colours.get(name, 3)}
        for name, count in splits.items()
        if count
    ]


def _column(sample: ColumnSample, described: Described) -> dict[str, Any]:
    column = sample.column
    options = {name: value for name, value in column.options.items() if value is not None}
    return {
        "key": sample.key,
        "name": column.name,
        "modality": column.modality,
        "role": column.role,
        "source": column.source if column.source != column.name else "",
        "options": ", ".join(f"{name} {value}" for name, value in options.items()),
        "absent": percent(sample.absent, sample.rows) if sample.absent else "–",
        "absent_rows": sample.absent,
        "facts": described.facts,
        "blocks": described.blocks,
    }


def _drawn(samples: Mapping[str, ColumnSample]) -> str:
    """From how many rows the figures are."""
    if not samples:
        return ""
    sample = next(iter(samples.values()))
    drawn = {split: len(values) for split, values in sample.values.items()}
    if sum(drawn.values()) >= sample.rows:
        return "Figures are of all rows."
    parts = listed([f"{count:,} rows of {split}" for split, count in drawn.items()])
    return f"Spreads and examples are drawn from {parts}; counts of absent values are of all rows."


def _windows(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Reports of windows, one for each source that was cut."""
    windows = manifest.get("windows") or []
    return [windows] if isinstance(windows, Mapping) else list(windows)


def _recipe(manifest: Mapping[str, Any]) -> str | None:
    """What the dataset was prepared by: the recipe, or its options of data and columns."""
    known = manifest.get("recipe") or {name: manifest[name] for name in ("data", "columns", "seed") if name in manifest}
    return json.dumps(known, indent=2, ensure_ascii=False) if known else None


def _name(dataset: Dataset) -> str:
    """The folder of the store says what the data are called."""
    store = dataset.path.resolve().parent.name
    return store.removesuffix(".dataset") or dataset.path.name
