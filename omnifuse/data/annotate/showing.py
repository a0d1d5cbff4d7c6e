"""Values as people see them: files for Label Studio, and exhibits for our pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column, Schema
from omnifuse.data.annotate.cells import moment_word
from omnifuse.data.decode import decode_image, encode_image
from omnifuse.data.loader import RawRows
from omnifuse.data.modalities.config import column_config
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.data.report.thumbnails import thumbnail
from omnifuse.page.blocks import Exhibit
from omnifuse.page.media import Picture, picture, sound
from omnifuse.page.words import quantity, shorten

SIDE, PLAN_SIDE, SOUND_S, SOUND_HZ, LONGEST_TEXT = 120, 256, 4.0, 8000, 160
_SHOWN_BY_BROWSERS = {
    b"\x89PNG\r\n\x1a\n": (".png", "image/png"),
    b"\xff\xd8\xff": (".jpg", "image/jpeg"),
    b"GIF8": (".gif", "image/gif"),
}
_SOUNDS = {
    b"fLaC": (".flac", "audio/flac"),
    b"OggS": (".ogg", "audio/ogg"),
    b"ID3": (".mp3", "audio/mpeg"),
    b"\xff\xfb": (".mp3", "audio/mpeg"),
}


def media_file(data: bytes, column: Column) -> tuple[bytes, str, str]:
    """A file as a browser can show it, its ending, and its MIME type where it may stand in a data URI (films may not)."""
    if column.modality == "points":
        return encode_image(plan(data, column)), ".png", "image/png"
    if data[:4] == b"RIFF" and data[8:12] in (b"WAVE", b"WEBP"):
        return (data, ".wav", "audio/wav") if data[8:12] == b"WAVE" else (data, ".webp", "image/webp")
    for start, (ending, kind) in {**_SHOWN_BY_BROWSERS, **_SOUNDS}.items():
        if data.startswith(start):
            return data, ending, kind
    if column.modality == "image":
        return encode_image(decode_image(data)), ".png", "image/png"
    if data[4:8] == b"ftyp":
        return data, ".mp4" if column.modality == "video" else ".m4a", ""
    return data, ".webm" if data[:4] == b"\x1a\x45\xdf\xa3" else ".bin", ""


def series_json(data: bytes, column: Column) -> dict[str, list[float | None]]:
    """A sensor series as Label Studio takes it: by channel, its values, and `time` (seconds, or steps); gaps are null."""
    from omnifuse.data.decode.series import decode_series

    series = decode_series(data)
    values = np.asarray(series.values, dtype=np.float64)
    names = list(series.names) or [f"channel {i + 1}" for i in range(values.shape[1])]
    columns = {name: [None if np.isnan(v) else float(v) for v in values[:, i]] for i, name in enumerate(names)}
    time = column.options.get("time")
    steps: list[float | None] = list(map(float, range(len(values))))
    return {"time": columns.pop(str(time), steps), **columns}


def plan(data: bytes, column: Column) -> np.ndarray:
    """A point cloud from above: (H, W) uint8, higher points are brighter."""
    from omnifuse.data.decode.points import decode_points

    options: Any = column_config(column)
    values, _ = decode_points(data, options.columns)
    x, y, z = np.asarray(values, dtype=np.float64)[:, :3].T
    size = max(np.ptp(x), np.ptp(y)) or 1.0
    places = [((axis - axis.min()) / size * (PLAN_SIDE - 1)).round().astype(int) for axis in (x, y)]
    shade = 90 + 165 * (z - z.min()) / (np.ptp(z) or 1.0)
    pixels = np.zeros((PLAN_SIDE, PLAN_SIDE))
    np.maximum.at(pixels, (PLAN_SIDE - 1 - places[1], places[0]), shade)
    return pixels.astype(np.uint8)


def exhibits(schema: Schema, rows: RawRows, captions: Sequence[str], notes: Sequence[str]) -> list[Exhibit]:
    """Rows as a page shows them: their pictures and sounds, with their texts and numbers below."""
    values = rows.take(range(len(rows)), schema.inputs)
    files: dict[str, bytes] = {}
    for name in schema.inputs:
        if processor_class(schema[name].modality).is_media:
            keys = sorted({key for key in values[name] if key is not None})
            files |= dict(zip(keys, rows.media(keys), strict=True))
    made = []
    for place in range(len(rows)):
        row = {name: values[name][place] for name in schema.inputs}
        made.append(_exhibit(schema, row, files, captions[place], notes[place]))
    return made


def _exhibit(schema: Schema, row: Mapping[str, Any], files: Mapping[str, bytes], caption: str, note: str) -> Exhibit:
    pictures: list[Picture] = []
    sounds: list[str] = []
    words: list[str] = []
    for name, value in row.items():
        column = schema[name]
        if value is None:
            continue
        try:
            if column.modality == "image":
                pictures.append(thumbnail(files[value], SIDE))
            elif column.modality == "points":
                pictures.append(picture(plan(files[value], column)[::2, ::2]))
            elif column.modality == "audio":
                sounds.append(_clip(files[value]))
            elif value in files:
                words.append(f"{name}: {column.modality}, {len(files[value]):,} bytes")
            else:
                words.append(_words(column, value, len(row)))
        except OmnifuseError as error:
            words.append(f"{name} cannot be shown: {error}")
    return Exhibit(caption, pictures, sounds, note=" · ".join([*words, note] if note else words))


def _clip(data: bytes) -> str:
    from omnifuse.data.decode.audio import decode_audio

    return sound(decode_audio(data, SOUND_HZ, 1, SOUND_S)[0], SOUND_HZ)


def _words(column: Column, value: Any, of: int) -> str:
    if column.modality == "datetime":
        value = moment_word(value)
    text = quantity(value) if isinstance(value, float) else ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    text = shorten(text, LONGEST_TEXT)
    return text if of == 1 else f"{column.name}: {text}"
