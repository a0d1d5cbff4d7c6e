"""Images: bytes → pixels, with limits that stand before the work."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from omnifuse.core.errors import first_line
from omnifuse.data.fetch import BadValue

MAX_PIXELS = 64_000_000
ORIENTATION = 0x0112
MAX_SCANS = 100  # writers make about ten
SCAN, END = 0xDA, 0xD9
ALONE = frozenset((0x00, 0x01, *range(0xD0, 0xD9)))  # marks without a length, and the bytes that stand for data
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")


def decode_image(data: bytes, channels: int = 3, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode an image.

    Orientation marks are followed, transparency is laid on white, 16-bit grey is scaled to 8 bits, and the
    first frame of an animation is taken.

    Args:
        data: the encoded file.
        channels: 1 (grey) or 3 (RGB).
        size: height and width to scale to, or `None` to keep them.

    Returns:
        (H, W, channels) uint8.

    Raises:
        BadValue: not an image, damaged, or more than 64 megapixels (checked in the header, before decoding).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about damage that raises below, and about large images
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise BadValue(f"{image.width}×{image.height} pixels are more than {MAX_PIXELS // 10**6} megapixels")
                if size is not None:
                    image.draft("RGB" if channels == 3 else "L", (size[1], size[0]))
                if image.format == "JPEG":
                    check_scans(data)
                image.load()  # here, where its faults are caught
                ImageOps.exif_transpose(image, in_place=True)
                picture = flatten(image, channels)
        except BadValue:
            raise
        except UnidentifiedImageError:
            raise BadValue(f"not a readable image (none of {', '.join(FORMATS)})") from None
        except Exception as error:  # decoders raise whatever damage leads them to
            raise BadValue(f"not a readable image ({_first_line(error)})") from None
    if size is not None and (picture.height, picture.width) != size:
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR, reducing_gap=2.0)
    array = np.asarray(picture)
    return array[..., None] if channels == 1 else array


def image_size(data: bytes) -> tuple[int, int]:
    """Height and width of an encoded image as `decode_image` shows it, from its header."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        lies_on_its_side = image.getexif().get(ORIENTATION, 1) >= 5
        return (image.width, image.height) if lies_on_its_side else (image.height, image.width)


def encode_image(value: Any) -> bytes:
    """PNG bytes of a Pillow image or an array (H, W), (H, W, 1) or (H, W, 3) of uint8, or floats in [0, 1]."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and value.size and value.min() >= 0 and value.max() <= 1:
            value = (value * 255).round().astype(np.uint8)
        if value.dtype != np.uint8 or value.ndim not in (2, 3) or (value.ndim == 3 and value.shape[2] not in (1, 3)):
            raise BadValue(f"an image array must be (H, W) or (H, W, 3) uint8 or floats in [0, 1], not {value.shape} {value.dtype}")
        value = Image.fromarray(value[..., 0] if value.ndim == 3 and value.shape[2] == 1 else value)
    if not isinstance(value, Image.Image):
        raise BadValue(f"expected a path, bytes, a Pillow image or an array, got {type(value).__name__}")
    buffer = io.BytesIO()
    value.save(buffer, "PNG")
    return buffer.getvalue()


def flatten(image: Image.Image, channels: int) -> Image.Image:
    """Any mode of Pillow as grey or RGB of 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        is_16_bit = image.mode.startswith("I;16") or values.max(initial=0) > 255
        scale = 255 if image.mode == "F" and values.max(initial=0) <= 1 else 1 / 257 if is_16_bit else 1
        image = Image.fromarray((values * scale).round().clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    mode = "RGB" if channels == 3 else "L"
    return image if image.mode == mode else image.convert(mode)


def check_scans(data: bytes) -> None:
    """Refuse a JPEG of very many passes, each of which goes over the whole picture though it may take a few bytes only."""
    place, scans = 2, 0
    while 0 <= place < len(data) - 4:
        if data[place] != 0xFF:  # within a scan, where a mark is never part of the data
            place = data.find(b"\xff", place)
        elif (kind := data[place + 1]) == END:
            return
        elif kind == 0xFF:
            place += 1
        elif kind in ALONE:
            place += 2
        else:
            scans += kind == SCAN
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if scans > MAX_SCANS:
            raise BadValue(f"a JPEG of more than {MAX_SCANS} scans")


def _first_line(error: Exception) -> str:
    return first_line(error, 120)
