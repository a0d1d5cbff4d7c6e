"""Columns of images and of films."""

from __future__ import annotations

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.fetch import BadValue
from omnifuse.data.report import plots
from omnifuse.data.report.described import Described, Finding
from omnifuse.data.report.sample import ColumnSample
from omnifuse.data.report.thumbnails import thumbnail
from omnifuse.page.blocks import Exhibit, Gallery, Plot
from omnifuse.page.media import picture
from omnifuse.page.words import percent, quantity

IMAGES, SIDE, FILMS, FRAMES, FRAME_SIDE = 24, 104, 6, 6, 88


def describe_image(sample: ColumnSample) -> Described:
    """Thumbnails, and the sizes of the pictures."""
    described = Described()
    if not sample.present():
        return described
    numbers = sample.numbers("width", "height")
    width, height = numbers["width"], numbers["height"]
    described.facts["different pictures drawn"] = f"{len(sample.keys()):,} in {len(sample.present()):,} rows"
    described.blocks.append(Gallery("Pictures", sample.caption_note.lstrip("; "), _thumbnails(sample)))
    known = np.isfinite(width) & np.isfinite(height)
    if not known.any():
        return described
    width, height = width[known], height[known]
    if (width == width[0]).all() and (height == height[0]).all():
        described.facts["size"] = f"all {width[0]:.0f} × {height[0]:.0f} pixels"
    else:
        described.facts["size"] = f"{width.min():.0f} × {height.min():.0f} … {width.max():.0f} × {height.max():.0f} pixels"
        described.blocks.append(Plot("Sizes", "a point for each picture", plots.sizes(width, height, key=f"{sample.key}-sizes")))
    tiny = int((np.minimum(width, height) < 8).sum())
    if tiny:
        text = f"{sample.name}: {percent(tiny, len(width))} of the pictures are narrower than 8 pixels"
        described.findings.append(Finding("look", text, sample.key))
    return described


def describe_video(sample: ColumnSample) -> Described:
    """Strips of frames, and the lengths of the films."""
    described = Described()
    if not sample.present():
        return described
    numbers = sample.numbers("seconds", "frames", "width", "height", "rate_hz")
    described.facts = {name: text for name, text in _film_facts(numbers).items() if text}
    note = f"{FRAMES} frames of each, spread over its length{sample.caption_note}"
    described.blocks.append(Gallery("Films", note, _strips(sample), wide=True))
    seconds = numbers["seconds"][np.isfinite(numbers["seconds"])]
    if len(np.unique(seconds)) > 1:
        drawn = plots.histogram({"all splits": seconds}, "seconds", key=f"{sample.key}-seconds", whole=True)
        described.blocks.append(Plot("Length", "", drawn))
    return described


def _thumbnails(sample: ColumnSample) -> list[Exhibit]:
    chosen = sample.pick(IMAGES)
    exhibits = []
    for (_, caption), data in zip(chosen, sample.files([key for key, _ in chosen]), strict=True):
        try:
            exhibits.append(Exhibit(caption, [thumbnail(data, SIDE)]))
        except BadValue as error:
            exhibits.append(Exhibit(caption, note=f"cannot be shown: {error}"))
    return exhibits


def _strips(sample: ColumnSample) -> list[Exhibit]:
    from omnifuse.data.decode.video import decode_video

    chosen = sample.pick(FILMS)
    facts = sample.dataset.facts(sample.name, [key for key, _ in chosen])
    exhibits = []
    for (_, caption), data, fact in zip(chosen, sample.files([key for key, _ in chosen]), facts, strict=True):
        try:
            height, width = fact.numbers.get("height", FRAME_SIDE), fact.numbers.get("width", FRAME_SIDE)
            scale, seconds = FRAME_SIDE / max(height, width), fact.numbers.get("seconds")
            frames = decode_video(data, FRAMES, (max(2, round(height * scale)), max(2, round(width * scale))), 3)
            note = f"{quantity(seconds)} s" if seconds else ""
            exhibits.append(Exhibit(caption, [picture(np.concatenate(list(frames), axis=1))], note=note))
        except OmnifuseError as error:
            exhibits.append(Exhibit(caption, note=f"cannot be shown: {error}"))
    return exhibits


def _film_facts(numbers: dict[str, np.ndarray]) -> dict[str, str]:
    return {
        "length": between(numbers["seconds"], "s"),
        "frames": between(numbers["frames"]),
        "width": between(numbers["width"], "pixels"),
        "height": between(numbers["height"], "pixels"),
        "frames a second": between(numbers["rate_hz"]),
    }


def between(values: np.ndarray, unit: str = "") -> str:
    """The range of the known values in words; empty where none is known."""
    values = values[np.isfinite(values)]
    if not len(values):
        return ""
    low, high, after = float(values.min()), float(values.max()), f" {unit}" if unit else ""
    return f"all {quantity(low)}{after}" if low == high else f"{quantity(low)} … {quantity(high)}{after}"
