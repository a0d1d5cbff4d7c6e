"""Small pictures of what media columns hold."""

from __future__ import annotations

from omnifuse.data.decode import decode_image, image_size
from omnifuse.page.media import Picture, picture

LONGEST_SIDE = 160


def thumbnail(data: bytes, longest_side: int = LONGEST_SIDE) -> Picture:
    """A small picture of an encoded image, its sides in proportion.

    Raises:
        BadValue: it cannot be decoded.
    """
    height, width = image_size(data)
    scale = min(1.0, longest_side / max(height, width))
    pixels = decode_image(data, size=(max(1, round(height * scale)), max(1, round(width * scale))))
    return picture(pixels, enlarge_to=longest_side)
