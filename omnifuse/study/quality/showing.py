"""Samples to look at and to listen to, each with what it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column
from omnifuse.data.annotate.showing import plan
from omnifuse.data.dataset import Dataset
from omnifuse.data.report import plots
from omnifuse.data.report.spectrogram import spectrogram_pixels
from omnifuse.data.report.thumbnails import thumbnail
from omnifuse.page.blocks import Exhibit
from omnifuse.page.media import Picture, picture, sound
from omnifuse.page.words import quantity, shorten
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.study.quality.directions import Direction
from omnifuse.study.quality.figures import Samples
from omnifuse.study.quality.material import made_array, raw_values, real_array

SHOWN, WIDE_SHOWN, SIDE, CLIP_S, LONGEST_TEXT, CHANNELS, TOGETHER = 30, 8, 112, 4.0, 160, 6, 3


def exhibits_of(
    pipeline: Pipeline,
    test: Dataset,
    direction: Direction,
    samples: Samples,
    wanted: Sequence[str] | None,
    labels: Sequence[str] | None,
    key: str,
) -> list[Exhibit]:
    """A few samples, those of one label beside each other.

    Args:
        pipeline: what made them.
        test: the rows they were made of.
        direction: what was given.
        samples: all of them.
        wanted: what each sample should be, in words, where that is known.
        labels: what the judge says each is.
        key: names their figures on the page.
    """
    modality = pipeline.schema[direction.target].modality
    wide = modality in ("audio", "series", "points")
    places = _spread_over(wanted or labels, len(samples.values), WIDE_SHOWN if wide else SHOWN, samples.each)
    if modality == "series":
        return [_curves(pipeline, test, samples, place, f"{key}-{place}") for place in places[:TOGETHER]]
    rows = samples.rows[places]
    given = {name: raw_values(test, name, rows) if (rows >= 0).all() else [None] * len(rows) for name in direction.given}
    made = []
    for number, place in enumerate(places):
        row = {name: values[number] for name, values in given.items()}
        want = None if wanted is None else wanted[place]
        label = None if labels is None else labels[place]
        made.append(_exhibit(pipeline, direction, row, samples.values[place], want, label, f"{key}-{number}"))
    return made


def dump_exhibits(exhibits: Sequence[Exhibit]) -> list[dict[str, Any]]:
    """As JSON."""
    return [asdict(each) for each in exhibits]


def load_exhibits(values: Sequence[dict[str, Any]]) -> list[Exhibit]:
    """What `dump_exhibits` gave."""
    return [Exhibit(**{**each, "pictures": [Picture(**one) for one in each["pictures"]]}) for each in values]


def _spread_over(labels: Sequence[str] | None, count: int, most: int, each: int) -> list[int]:
    """Places of samples of different rows, as many of every label, in the order of the labels."""
    first = range(0, count, each)
    if labels is None:
        return list(first)[:most]
    by_label: dict[str, list[int]] = {}
    for place in first:
        by_label.setdefault(labels[place], []).append(place)
    share = max(1, most // max(1, len(by_label)))
    return [place for label in sorted(by_label) for place in by_label[label][:share]][:most]


def _exhibit(
    pipeline: Pipeline, direction: Direction, given: dict[str, Any], made: Any, want: str | None, label: str | None, key: str
) -> Exhibit:
    pictures: list[Picture] = []
    sounds: list[str] = []
    words: list[str] = []
    for name, value in given.items():
        if value is not None:
            _show_given(pipeline.schema[name], value, pictures, sounds, words)
    caption, svg = ", ".join(words), ""
    modality = pipeline.schema[direction.target].modality
    notes = [] if label is None or label == want else [f"taken for {shorten(label, 40)}"]
    if modality == "image":
        pictures.append(picture(made_array(made), enlarge_to=SIDE))
    elif modality == "audio":
        _show_wave(made_array(made), int(made["sampling_rate"]), pictures, sounds)
    elif modality == "points":
        values = made_array(made)
        svg = plots.cloud(values[:, :2], values[:, 2], key=key) if len(values) else ""
    else:
        said = shorten(str(made), LONGEST_TEXT)
        caption = f"{caption} → {said}" if caption else said or "(nothing)"
        notes = [] if want is None or want == str(made) else [f"should be {shorten(want, LONGEST_TEXT)}"]
    return Exhibit(caption, pictures, sounds, svg, " · ".join(notes))


def _show_given(column: Column, value: Any, pictures: list[Picture], sounds: list[str], words: list[str]) -> None:
    """Add what was given to what is shown."""
    try:
        if column.modality == "image":
            pictures.append(thumbnail(value, SIDE))
        elif column.modality == "audio":
            from omnifuse.data.decode.audio import decode_audio

            rate_hz = int(column.options.get("rate_hz", 16_000))
            _show_wave(np.asarray(decode_audio(value, rate_hz, 1, CLIP_S)), rate_hz, pictures, sounds)
        elif column.modality == "points":
            pictures.append(picture(plan(value, column)[::2, ::2]))
        elif isinstance(value, bytes):
            words.append(f"{column.name}: {column.modality}")
        else:
            words.append(shorten(quantity(value) if isinstance(value, float) else str(value), LONGEST_TEXT))
    except OmnifuseError as error:
        words.append(f"{column.name} cannot be shown: {error}")


def _show_wave(wave: np.ndarray, rate_hz: float, pictures: list[Picture], sounds: list[str]) -> None:
    mono = wave.mean(axis=0)[: int(CLIP_S * rate_hz)] if wave.size else np.zeros(1)
    pictures.append(picture(spectrogram_pixels(mono, int(rate_hz))))
    sounds.append(sound(mono, int(rate_hz)))


def _curves(pipeline: Pipeline, test: Dataset, samples: Samples, place: int, key: str) -> Exhibit:
    """A few draws for one row, and the series that it has."""
    names = list(samples.values[place])[:CHANNELS]
    draws = [(f"made {number + 1}", made_array(samples.values[place + number])) for number in range(min(TOGETHER, samples.each))]
    row = int(samples.rows[place])
    own = [] if row < 0 else raw_values(test, samples.target, [row])
    real = [("real", real_array(pipeline, samples.target, data)) for data in own if data is not None]
    return Exhibit("", svg=plots.curves(names, [(name, values[:, : len(names)]) for name, values in [*real, *draws]], key=key))
