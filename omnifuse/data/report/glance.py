"""One value at a glance: a small picture, or a few words."""

from __future__ import annotations

from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.report.plots import moment
from omnifuse.data.report.spectrogram import spectrogram_pixels
from omnifuse.data.report.thumbnails import LONGEST_SIDE, thumbnail
from omnifuse.page.media import Picture, picture
from omnifuse.page.words import quantity, shorten

LONGEST_TEXT, LONGEST_LABEL, NUMBERS, FRAMES, RATE_HZ = 300, 80, 4, 3, 16_000


def glance(modality: str, value: Any) -> Picture | str:
    """Show a canonical value (of media, the file): pictures and films by frames, sounds by their spectrogram, others in words."""
    if isinstance(value, bytes):
        try:
            return _look(modality, value) or f"({len(value):,} bytes)"
        except OmnifuseError as error:
            return f"(cannot be shown: {error})"
    if modality == "datetime":
        return written(value)
    if isinstance(value, tuple):
        words = [quantity(part) if isinstance(part, float) else str(part) for part in value]
        if words and modality == "vector":
            return ", ".join(words[:NUMBERS]) + (f", … ({len(words):,} numbers)" if len(words) > NUMBERS else "")
        return shorten(", ".join(words), LONGEST_LABEL) if words else "(none)"
    if isinstance(value, float):
        return f"{value:.10g}"
    return shorten(str(value), LONGEST_TEXT if modality == "text" else LONGEST_LABEL)


def written(microseconds: float) -> str:
    """A moment in UTC: day and time; the day alone at midnight.

    >>> written(0), written(1_700_000_000_000_000)
    ('1970-01-01', '2023-11-14 22:13:20')
    """
    at = int(microseconds) // 1_000_000
    day = moment(at * 1e6)
    return day if at % 86_400 == 0 else f"{day} {moment(at * 1e6, 0)}"


def _look(modality: str, data: bytes) -> Picture | None:
    if modality == "image":
        return thumbnail(data)
    if modality == "audio":
        from omnifuse.data.decode.audio import decode_audio

        pixels = spectrogram_pixels(np.asarray(decode_audio(data, RATE_HZ, 1, 10.0))[0], RATE_HZ)
        return picture(pixels[:, :: max(1, -(-pixels.shape[1] // LONGEST_SIDE))])
    if modality == "video":
        from omnifuse.data.decode.video import decode_video, video_size

        height, width = video_size(data)
        scale = LONGEST_SIDE / FRAMES / width
        frames = decode_video(data, FRAMES, (max(2, round(height * scale)), max(2, round(width * scale))), 3)
        return picture(np.concatenate(list(frames), axis=1))
    return None
