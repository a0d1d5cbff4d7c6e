"""Damaged pictures and films.

A picture is decoded, damaged and written as PNG; a film becomes the frames that its processor reads, as an animated PNG. Large ones
are brought to 512 pixels of the shorter side first (films to 256), so that a level means the same for a photograph and a thumbnail.

Source: Hendrycks & Dietterich 2019, arXiv 1903.12261; covers from DeVries & Taylor 2017, arXiv 1708.04552. Levels are ours, and
relative to the size of the picture.

Shapes: F frames (1 of a picture), H, W, C.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from functools import wraps

import numpy as np
from PIL import Image, ImageFilter

from omnifuse.data.decode import decode_image, decode_video, encode_video, image_size
from omnifuse.data.decode.video import video_size
from omnifuse.data.modalities.config import ImageConfig, VideoConfig
from omnifuse.evaluation.robustness.corruptions import Known

SHORTER_SIDE = {"image": 512, "video": 256}
GREY = 127
Pixels = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def on_frames(damage: Pixels) -> Callable[[bytes, float, np.random.Generator, Known], bytes]:
    """Make a damage of files of a damage of pixels (F, H, W, C) uint8."""

    @wraps(damage)
    def damaged(raw: bytes, level: float, draw: np.random.Generator, known: Known) -> bytes:
        frames = damage(read_frames(raw, known), level, draw)
        return encode_video(frames) if known.modality == "video" else _png(frames[0])

    return damaged


@on_frames
def noise(frames: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    """Grain: x + 255·level·z, z ~ N(0, 1) for every number, cut to the range."""
    grain = draw.standard_normal(frames.shape, dtype=np.float32)
    return _whole(frames + 255 * level * grain)


@on_frames
def blur(frames: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    """Gaussian blur with a standard deviation of level·min(H, W) pixels."""
    blurred = ImageFilter.GaussianBlur(level * min(frames.shape[1:3]))
    return np.stack([_array(_image(frame).filter(blurred)) for frame in frames])


def compression(raw: bytes, level: float, draw: np.random.Generator, known: Known) -> bytes:
    """JPEG of the quality 100 − level; of a film each frame."""
    frames = read_frames(raw, known)
    files = [_jpeg(frame, max(1, round(100 - level))) for frame in frames]
    if known.modality != "video":
        return files[0]
    return encode_video(np.stack([decode_image(file, frames.shape[3]) for file in files]))


@on_frames
def crop(frames: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    """A window of the sides √(1 − level)·(H, W), somewhere; what reads the picture scales it up."""
    return frames[:, *_window(frames.shape[1:3], math.sqrt(1 - level), draw)]


@on_frames
def cover(frames: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    """A grey window of the sides √level·(H, W), somewhere."""
    covered = frames.copy()
    covered[:, *_window(frames.shape[1:3], math.sqrt(level), draw)] = GREY
    return covered


@on_frames
def darkness(frames: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    """x·(1 − level)."""
    return _whole(frames * np.float32(1 - level))


def read_frames(raw: bytes, known: Known) -> np.ndarray:
    """(F, H, W, C) uint8 of a file, at its own size where that is not large."""
    config = known.processor.config if known.processor is not None else None
    if known.modality == "video":
        frames, channels = (config.frames, config.channels) if isinstance(config, VideoConfig) else (VideoConfig().frames, 3)
        return decode_video(raw, frames, _smaller(video_size(raw), SHORTER_SIDE["video"]), channels)
    channels = config.channels if isinstance(config, ImageConfig) else 3
    return decode_image(raw, channels, _smaller(image_size(raw), SHORTER_SIDE["image"]))[None]


def _smaller(size: tuple[int, int], shorter_side: int) -> tuple[int, int] | None:
    """The size with the shorter side brought to at most so many pixels; `None` where it is not longer."""
    if min(size) <= shorter_side:
        return None
    scale = shorter_side / min(size)
    return round(size[0] * scale), round(size[1] * scale)


def _window(size: tuple[int, ...], share: float, draw: np.random.Generator) -> tuple[slice, slice]:
    """A window with this share of both sides, of at least a pixel; a smaller one at the same draw lies inside a larger one."""
    places = draw.random(2)
    sides = [max(1, round(share * side)) for side in size]
    starts = [round(place * (whole - side)) for place, whole, side in zip(places, size, sides, strict=True)]
    rows, columns = (slice(start, start + side) for start, side in zip(starts, sides, strict=True))
    return rows, columns


def _whole(pixels: np.ndarray) -> np.ndarray:
    return pixels.round().clip(0, 255).astype(np.uint8)


def _image(frame: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(frame[..., 0] if frame.shape[2] == 1 else frame))


def _array(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _png(frame: np.ndarray) -> bytes:
    """A PNG that is written quickly: it is read once and thrown away."""
    buffer = io.BytesIO()
    _image(frame).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _jpeg(frame: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    _image(frame).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
