"""The decode gate: every picture comes out as the same kind of array, damage and bombs are refused."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import textwrap
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from omnifuse.data.decode import decode_image, encode_image, image_size
from omnifuse.data.decode.image import MAX_PIXELS
from omnifuse.data.fetch import BadValue


def _file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _photo(height: int = 24, width: int = 32) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 255 / width, y * 255 / height, (x + y) * 4 % 256], axis=-1).astype(np.uint8))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A PNG of colour whose header says what it likes; `pixels` are compressed already."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels or zlib.compress(b"")) + _chunk(b"IEND", b"")


PHOTO = _photo()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_formats_without_loss_come_out_exactly(kind: str):
    assert (decode_image(_file(PHOTO, kind)) == np.asarray(PHOTO)).all()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_formats_with_loss_come_out_nearly(kind: str):
    decoded = decode_image(_file(PHOTO, kind, quality=95)).astype(int)
    assert decoded.shape == (24, 32, 3)
    assert np.abs(decoded - np.asarray(PHOTO)).mean() < 8


def test_grey_on_request_and_colour_from_grey():
    grey = decode_image(_file(PHOTO), channels=1)
    assert grey.shape == (24, 32, 1)
    assert grey.dtype == np.uint8
    colour = decode_image(_file(PHOTO.convert("L")), channels=3)
    assert (colour == colour[..., :1]).all()
    assert (colour[..., :1] == grey).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(8, 8), (16, 40), (64, 64)])
def test_a_picture_is_scaled_to_height_and_width(kind: str, size: tuple[int, int]):
    decoded = decode_image(_file(_photo(200, 300), kind), size=size)
    assert decoded.shape == (*size, 3)
    reference = np.asarray(_photo(200, 300).resize(size[::-1], Image.Resampling.BOX)).astype(int)
    assert np.abs(decoded - reference)[..., :2].mean() < 16


def test_the_size_is_read_as_height_and_width():
    assert image_size(_file(PHOTO)) == (24, 32)


def test_transparency_is_laid_on_white():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    clear.putpixel((0, 0), (255, 0, 0, 255))
    clear.putpixel((1, 0), (255, 0, 0, 128))
    decoded = decode_image(_file(clear))
    assert decoded[0, 0].tolist() == [255, 0, 0]
    assert decoded[1, 1].tolist() == [255, 255, 255]
    assert 120 < decoded[0, 1, 1] < 135
    assert decode_image(_file(Image.new("LA", (2, 2), (0, 0))))[0, 0].tolist() == [255, 255, 255]


def test_a_palette_gives_its_colours_and_its_transparency():
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((1, 0), 1)
    assert decode_image(_file(palette))[0].tolist() == [[255, 0, 0], [0, 255, 0]]
    assert decode_image(_file(palette, transparency=1))[0].tolist() == [[255, 0, 0], [255, 255, 255]]


def test_black_and_white_pictures_are_read():
    assert decode_image(_file(Image.new("1", (4, 4), 1)))[0, 0].tolist() == [255, 255, 255]


def test_cmyk_gives_its_colours():
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    for kind in ("JPEG", "TIFF"):
        red, green, blue = decode_image(_file(ink, kind))[4, 4]
        assert red > 200
        assert green < 60
        assert blue < 60


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_brightness(kind: str):
    values = np.array([[0, 65535], [32768, 6554]], np.uint16)
    assert np.abs(decode_image(_file(Image.fromarray(values), kind), 1)[..., 0].astype(int) - [[0, 255], [128, 26]]).max() <= 1
    dark = np.full((2, 2), 6554, np.uint16)
    assert np.abs(decode_image(_file(Image.fromarray(dark), kind), 1).astype(int) - 26).max() <= 1, "a dark picture stays dark"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [None, (32, 24)])
def test_orientation_marks_are_followed(orientation: int, size: tuple[int, int] | None):
    upright = np.asarray(_photo(32, 24))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = _file(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif)
    assert (decode_image(data, size=size) == upright).all()


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue", "lime")]
    data = _file(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data)[3, 3].tolist() == [255, 0, 0]


DAMAGED = {
    "empty": b"",
    "text": b"this is a text, whatever its name says\n" * 20,
    "page": b"<!DOCTYPE html><html><body>404 not found</body></html>",
    "zeros": bytes(1000),
    "signature alone": b"\x89PNG\r\n\x1a\n",
    "png cut in half": _file(PHOTO)[: len(_file(PHOTO)) // 2],
    "png without its end": _file(_photo(200, 200))[:-60],
    "png with broken pixels": _png(8, 8, b"these are no compressed pixels"),
    "png with too few pixels": _png(8, 8, zlib.compress(bytes(30))),
    "png of no size": _png(0, 8),
    "jpeg cut in half": _file(_photo(200, 200), "JPEG")[: len(_file(_photo(200, 200), "JPEG")) // 2],
    "jpeg header alone": _file(PHOTO, "JPEG")[:20],
    "jpeg without its head": _file(PHOTO, "JPEG")[10:],
    "gif cut off": _file(PHOTO, "GIF")[:20],
    "webp cut in half": _file(PHOTO, "WEBP")[: len(_file(PHOTO, "WEBP")) // 2],
    "bmp cut in half": _file(PHOTO, "BMP")[:600],
    "vector graphics": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
@pytest.mark.parametrize("size", [None, (8, 8)])
def test_damage_is_refused_with_one_line(data: bytes, size: tuple[int, int] | None):
    with pytest.raises(BadValue, match="not a readable image") as caught:
        decode_image(data, size=size)
    assert "\n" not in str(caught.value)


ENCODED = [_file(_photo(16, 16), kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_the_damage_it_is_a_picture_or_a_bad_value(data: st.DataObject):
    damaged = bytearray(data.draw(st.sampled_from(ENCODED)))
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(1, len(damaged))) :]
    try:
        decoded = decode_image(bytes(damaged), size=(8, 8))
    except BadValue:
        return
    assert decoded.shape == (8, 8, 3)
    assert decoded.dtype == np.uint8


REFUSE = """
    import re, sys, time
    from pathlib import Path
    from omnifuse.data.decode import decode_image
    from omnifuse.data.fetch import BadValue
    data = sys.stdin.buffer.read()
    def peak():  # of this process alone, unlike ru_maxrss, which begins with the size of its parent
        return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    before = peak()
    start = time.perf_counter()
    try:
        decode_image(data, size=(16, 16))
    except BadValue as error:
        print(error)
    else:
        print("decoded")
    print(time.perf_counter() - start)
    print(peak() - before)
"""


def _blank_pixels(side: int) -> bytes:
    compress = zlib.compressobj(9)
    row = bytes(3 * side + 1)
    return b"".join([compress.compress(row) for _ in range(side)]) + compress.flush()


def _icon(png: bytes) -> bytes:
    """An icon whose directory says 16×16 while the picture inside is another size."""
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(png), 22) + png


BOMBS = {
    "header of 900 megapixels": lambda: _png(30_000, 30_000),
    "header just over the limit": lambda: _png(8_001, 8_000),
    "full of pixels": lambda: _png(10_000, 10_000, _blank_pixels(10_000)),
    "inside a small icon": lambda: _icon(_png(10_000, 10_000, _blank_pixels(10_000))),
    "wide": lambda: _png(2_000_000_000, 1),
}


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by means of Linux")
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_quickly_and_with_little_memory(bomb: Any):
    data = bomb()
    assert len(data) < 500_000
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(REFUSE)], input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    message, seconds, memory = done.stdout.decode().splitlines()
    assert message != "decoded"
    assert float(seconds) < 1
    assert int(memory) < 50_000_000


def test_the_limit_itself_is_still_allowed():
    assert 8_000 * 8_000 <= MAX_PIXELS < 8_001 * 8_000


@pytest.mark.parametrize(
    "value",
    [PHOTO, np.asarray(PHOTO), np.asarray(PHOTO) / 255, (np.asarray(PHOTO) / 255).astype(np.float32)],
    ids=["pillow", "uint8", "float64", "float32"],
)
def test_pictures_of_python_come_back_as_they_were(value: Any):
    assert (decode_image(encode_image(value)) == np.asarray(PHOTO)).all()


def test_grey_arrays_come_back_as_they_were():
    grey = np.asarray(PHOTO)[..., 0]
    for value in (grey, grey[..., None]):
        assert (decode_image(encode_image(value), 1)[..., 0] == grey).all()


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((4, 4, 2), np.uint8),
        np.zeros(4, np.uint8),
        np.full((4, 4), 300.0),
        np.full((4, 4), -1.0),
        np.zeros((4, 4), np.int64),
        7,
        {},
    ],
    ids=lambda value: f"{getattr(value, 'dtype', type(value).__name__)}{getattr(value, 'shape', '')}",
)
def test_what_is_no_picture_is_refused(value: Any):
    with pytest.raises(BadValue):
        encode_image(value)


def test_a_float_array_with_holes_is_refused():
    with pytest.raises(BadValue):
        encode_image(np.full((4, 4), np.nan))
