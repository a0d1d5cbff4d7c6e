"""Films: bytes → a few frames spread evenly over their length, decoding no more than is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from omnifuse.data.decode.animation import animation_frames, animation_moments, decode_animation, encode_animation, is_animation
from omnifuse.data.decode.film import MAX_FRAME_PIXELS, check_complete, open_film
from omnifuse.data.decode.whole import check_whole
from omnifuse.data.fetch import BadValue

MAX_S = 4 * 3600.0
MAX_FRAMES = 1_000_000
MAX_PIXELS_DECODED = 1_000_000_000_000  # of all frames: four hours of 1080p at 30 Hz
FALLBACK_S = 0.04  # of one frame, where the film does not tell

encode_video = encode_animation


@dataclass(frozen=True)
class VideoFacts:
    """What decoding a film to its end has told; height and width are those of the upright picture."""

    seconds: float
    frames: int
    height: int
    width: int
    rate_hz: float


@dataclass
class _Index:
    """When each frame is shown, in units of the stream, as far as it tells; and which of them can be decoded on their own."""

    moments: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    packets: int = 0
    end: int = 0
    is_timed: bool = True


def decode_video(data: bytes, frames: int, size: tuple[int, int] | None = None, channels: int = 3) -> np.ndarray:
    """Decode frames that lie evenly over the film: the one shown in the middle of each of `frames` equal stretches of time.

    A film with fewer frames shows some of them more than once. Marks of rotation are followed.

    Args:
        data: the encoded file.
        frames: how many.
        size: height and width to scale to, or `None` to keep them.
        channels: 1 (grey) or 3 (RGB).

    Returns:
        (frames, H, W, channels) uint8.

    Raises:
        BadValue: not a film, damaged, or beyond the limits.
    """
    if is_animation(data):
        ends = animation_moments(data)
        wanted = np.searchsorted(ends, _middles(frames, 0, float(ends[-1])), side="right")
        found = decode_animation(data, wanted, size, channels)
        return np.stack([found[number] for number in wanted.tolist()])
    index = _index(data)
    if index.is_timed:
        start = index.moments[0]
        middles = _middles(frames, start, max(index.end, index.moments[-1] + 1))
        places = np.searchsorted(index.moments, middles, side="right") - 1
        wanted = [index.moments[place] for place in places.tolist()]
        return np.stack(_by_moment(data, index, wanted, size, channels))
    places = _middles(frames, 0, index.packets).astype(int).tolist()
    return np.stack(_by_number(data, places, size, channels))


def video_facts(data: bytes) -> VideoFacts:
    """Decode a film to its end, in little memory, to find what is damaged.

    Raises:
        BadValue: damaged, cut off, empty or beyond the limits (at once where the header tells).
    """
    check_whole(data)
    if is_animation(data):
        frames, seconds, width, height = 0, 0.0, 0, 0
        for image, shown_s in animation_frames(data):
            frames, seconds, width, height = frames + 1, seconds + shown_s, image.width, image.height
        return VideoFacts(seconds, frames, height, width, frames / seconds)
    with open_film(data, "video") as (film, stream):
        _check_length(film, stream)
        frames, last, first, rotation, height, width = 0, 0.0, None, 0, 0, 0
        for frame in film.decode(stream):
            frames += 1
            if frame.is_corrupt:
                raise BadValue(f"damaged: frame {frames} cannot be decoded")
            _check_frames(frames, frame.width * frame.height)
            height, width, rotation = frame.height, frame.width, frame.rotation
            if frame.time is not None:
                first = frame.time if first is None else first
                last = max(last, frame.time)
        if not frames:
            raise BadValue("there is no frame in this film")
        rate_hz = float(stream.average_rate or 0) or 1 / FALLBACK_S
        seconds = max(last - (first or 0.0) + 1 / rate_hz, 1 / rate_hz) if first is not None else frames / rate_hz
        check_complete(stream, frames, seconds)
    return VideoFacts(seconds, frames, *((width, height) if rotation % 180 else (height, width)), rate_hz)


def video_size(data: bytes) -> tuple[int, int]:
    """Height and width of the upright picture, from the first frame."""
    return decode_video_start(data).shape[:2]  # pyright: ignore[reportReturnType]


def decode_video_start(data: bytes, channels: int = 3) -> np.ndarray:
    """(H, W, channels) uint8, the first frame."""
    if is_animation(data):
        return decode_animation(data, np.zeros(1, int), None, channels)[0]
    return _by_number(data, [0], None, channels)[0]


def _middles(count: int, start: float, end: float) -> np.ndarray:
    return start + (np.arange(count) + 0.5) * (end - start) / count


def _index(data: bytes) -> _Index:
    """Read the packets without decoding them."""
    index = _Index()
    with open_film(data, "video") as (film, stream):
        _check_length(film, stream)
        for packet in film.demux(stream):
            if not packet.size:
                continue
            index.packets += 1
            _check_frames(index.packets, 0)
            if packet.pts is None:
                index.is_timed = False
                continue
            index.moments.append(packet.pts)
            index.end = max(index.end, packet.pts + (packet.duration or 0))
            if packet.is_keyframe:
                index.keys.append(packet.pts)
    if not index.packets:
        raise BadValue("there is no frame in this film")
    index.moments.sort()
    index.keys.sort()
    return index


def _by_moment(data: bytes, index: _Index, wanted: Sequence[int], size: tuple[int, int] | None, channels: int) -> list[np.ndarray]:
    """The frames shown at the `wanted` moments, which ascend; stretches between them are jumped over where a key frame allows it."""
    found: list[np.ndarray] = []
    with open_film(data, "video") as (film, stream):
        frames, shown = film.decode(stream), None
        for moment in wanted:
            key = index.keys[np.searchsorted(index.keys, moment, side="right") - 1] if index.keys else None
            if key is not None and key <= moment and shown is not None and (shown.pts or 0) < key:
                film.seek(key, stream=stream, backward=True)
                frames = film.decode(stream)
                landed = next(frames, None)
                if landed is None or landed.pts is None or landed.pts > moment:  # this container cannot be entered in the middle
                    return _by_number(data, np.searchsorted(index.moments, wanted).tolist(), size, channels)
                shown = landed
            while shown is None or shown.pts is None or shown.pts < moment:
                following = next(frames, None)
                if following is None:
                    break
                shown = following
            if shown is None:
                raise BadValue("there is no frame in this film")
            found.append(_pixels(shown, size, channels))
    return found


def _by_number(data: bytes, wanted: Sequence[int], size: tuple[int, int] | None, channels: int) -> list[np.ndarray]:
    """The frames with the `wanted` numbers, which ascend, by decoding from the start; the last one stands for those beyond."""
    found: list[np.ndarray] = []
    last = None
    with open_film(data, "video") as (film, stream):
        for number, frame in enumerate(film.decode(stream)):
            last = frame
            while len(found) < len(wanted) and wanted[len(found)] <= number:
                found.append(_pixels(frame, size, channels))
            if len(found) == len(wanted):
                return found
        if last is None:
            raise BadValue("there is no frame in this film")
        found += [_pixels(last, size, channels)] * (len(wanted) - len(found))
    return found


def _pixels(frame: Any, size: tuple[int, int] | None, channels: int) -> np.ndarray:
    """(H, W, C) uint8, upright."""
    _check_frames(1, frame.width * frame.height)
    lies_on_its_side = bool(frame.rotation % 180)
    height, width = size or ((frame.width, frame.height) if lies_on_its_side else (frame.height, frame.width))
    stored = (width, height) if lies_on_its_side else (height, width)
    scaled = frame.reformat(width=stored[1], height=stored[0], format="rgb24" if channels == 3 else "gray", interpolation="BILINEAR")
    pixels = np.rot90(scaled.to_ndarray(), round(frame.rotation / 90))
    return np.ascontiguousarray(pixels[..., None] if channels == 1 else pixels)


def _check_length(film: Any, stream: Any) -> None:
    seconds = max((film.duration or 0) / 1_000_000, float((stream.duration or 0) * stream.time_base))
    if seconds > MAX_S:
        raise BadValue(f"the film is longer than {MAX_S / 3600:.0f} hours")
    _check_frames(stream.frames or 1, (stream.width or 0) * (stream.height or 0))


def _check_frames(frames: int, pixels: int) -> None:
    if pixels > MAX_FRAME_PIXELS:
        raise BadValue(f"{pixels / 1e6:.0f} megapixels a frame are more than {MAX_FRAME_PIXELS // 10**6}")
    if frames > MAX_FRAMES or frames * pixels > MAX_PIXELS_DECODED:
        raise BadValue(f"the film has more than {min(frames, MAX_FRAMES)} frames")
