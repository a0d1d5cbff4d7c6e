"""Animated pictures (GIF, WebP, PNG) as films, through Pillow, one frame in memory at a time."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from omnifuse.core.errors import first_line
from omnifuse.data.decode.image import flatten
from omnifuse.data.fetch import BadValue

MAX_PIXELS = 4_000_000  # of one frame; Pillow holds several copies of it
MAX_PIXELS_DECODED = 1_000_000_000  # of all frames
MAX_FRAMES = 20_000
FRAME_S = 0.1  # of frames that tell no duration, as browsers show them
FORMATS = ("GIF", "WEBP", "PNG")


def is_animation(data: bytes) -> bool:
    """Whether the first bytes are those of a GIF, WebP or PNG."""
    return data[:4] == b"GIF8" or data[:8] == b"\x89PNG\r\n\x1a\n" or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def animation_frames(data: bytes) -> Iterator[tuple[Image.Image, float]]:
    """Each frame and how many seconds it is shown.

    Raises:
        BadValue: damaged, or beyond the limits: at once where the header tells, else when they are reached.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                pixels, count = image.width * image.height, 0
                if pixels > MAX_PIXELS:
                    raise BadValue(f"{image.width}×{image.height} pixels are more than the {MAX_PIXELS // 10**6} megapixels of a frame")
                while True:
                    count += 1
                    if count > MAX_FRAMES or count * pixels > MAX_PIXELS_DECODED:
                        raise BadValue(f"the animation has more than {count - 1} frames of {image.width}×{image.height} pixels")
                    image.load()
                    yield image, (image.info.get("duration") or 1000 * FRAME_S) / 1000
                    try:
                        image.seek(count)
                    except EOFError:
                        return
        except BadValue:
            raise
        except UnidentifiedImageError:
            raise BadValue("not a readable animation") from None
        except Exception as error:  # decoders raise whatever damage leads them to
            reason = first_line(error, 120)
            raise BadValue(f"not a readable animation ({reason})") from None


def animation_moments(data: bytes) -> np.ndarray:
    """(F,) seconds at which each frame ends."""
    return np.cumsum([seconds for _, seconds in animation_frames(data)])


def decode_animation(data: bytes, wanted: np.ndarray, size: tuple[int, int] | None, channels: int) -> dict[int, np.ndarray]:
    """The frames with the `wanted` numbers, (H, W, C) uint8 by number."""
    found: dict[int, np.ndarray] = {}
    missing = set(wanted.tolist())
    for number, (image, _) in enumerate(animation_frames(data)):
        if number in missing:
            picture = flatten(image, channels)
            if size is not None and (picture.height, picture.width) != size:
                picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR, reducing_gap=2.0)
            array = np.array(picture)
            found[number] = array[..., None] if channels == 1 else array
        if len(found) == len(missing):
            break
    return found


def encode_animation(value: Any) -> bytes:
    """An animated PNG, without loss, of (F, H, W) or (F, H, W, 1 or 3) uint8, or floats in [0, 1]."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise BadValue(f"the frames differ in shape ({error})") from None
    if array.dtype.kind == "f" and array.size and array.min() >= 0 and array.max() <= 1:
        array = (array * 255).round().astype(np.uint8)
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.dtype != np.uint8 or not array.size or array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] != 3):
        raise BadValue(f"a film must be an array (F, H, W) or (F, H, W, 3) of uint8 or floats in [0, 1], not {array.shape} {array.dtype}")
    if array.shape[1] * array.shape[2] > MAX_PIXELS or len(array) > MAX_FRAMES or array.size > MAX_PIXELS_DECODED:
        raise BadValue(f"a film of {array.shape} is too large for an array; write it to a file and give its path")
    first, *others = [Image.fromarray(frame) for frame in array]
    buffer = io.BytesIO()
    first.save(buffer, "PNG", save_all=True, append_images=others, duration=int(1000 * FRAME_S), compress_level=3)
    return buffer.getvalue()
