"""Pictures and sounds inside a page, as data URIs."""

from __future__ import annotations

import base64
import io
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image

PNG_BYTES = 16_000


@dataclass(frozen=True)
class Picture:
    """A picture: a data URI, and the size it is shown at in CSS pixels; tiny pictures are `enlarged`."""

    uri: str
    width: int
    height: int
    enlarged: bool = False


def picture(pixels: np.ndarray, enlarge_to: int = 0) -> Picture:
    """Encode pixels: drawings as PNG, photographs as JPEG, whichever of them stays small.

    Args:
        pixels: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
        enlarge_to: a picture with shorter sides is shown a whole number of times larger, at most so large.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    buffer, kind = io.BytesIO(), "png"
    image.save(buffer, "PNG")
    if buffer.tell() > PNG_BYTES and image.mode != "RGBA":  # a photograph
        buffer, kind = io.BytesIO(), "jpeg"
        image.save(buffer, "JPEG", quality=85)
    times = max(1, enlarge_to // max(image.size))
    return Picture(_uri(f"image/{kind}", buffer.getvalue()), image.width * times, image.height * times, times > 1)


def sound(wave: np.ndarray, rate_hz: int) -> str:
    """A data URI that a browser plays: 16-bit mono WAV of a wave (T,) in [-1, 1]."""
    data = (np.clip(np.nan_to_num(wave), -1, 1) * 32767).round().astype("<i2").tobytes()
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16, b"data", len(data)
    )
    return _uri("audio/wav", head + data)


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
