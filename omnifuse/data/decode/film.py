"""Films and compressed sound through FFmpeg (PyAV): opened in memory, with limits and with damage reported."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.decode.sample_tables import check_sample_tables
from omnifuse.data.fetch import BadValue

MAX_FRAME_PIXELS = 40_000_000  # 8K has 33 million
OPTIONS = {"err_detect": "explode", "max_pixels": str(MAX_FRAME_PIXELS)}
STARTS = (b"\x1a\x45\xdf\xa3", b"FLV\x01", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"\xff\xf1", b"\xff\xf9", b"0&\xb2u")


def looks_like_film(data: bytes) -> bool:
    """Whether the first bytes are those of a file that FFmpeg reads: MP4, Matroska, WebM, AVI, FLV, MPEG, AAC, ASF."""
    is_transport_stream = data[:1] == b"\x47" and data[188:189] == b"\x47"
    return data[4:8] == b"ftyp" or data[8:12] == b"AVI " or is_transport_stream or data.startswith(STARTS)


@contextmanager
def open_film(data: bytes, kind: str) -> Iterator[tuple[Any, Any]]:
    """Give the opened file and its first stream of a `kind` (`video` or `audio`); damage met within becomes `BadValue`.

    One thread decodes, so that faults are not lost and memory stays small; rows are read side by side anyway.
    """
    try:
        import av
        import av.error
    except ImportError:
        raise OmnifuseError("reading films needs av; pip install 'omnifuse[video]'") from None
    word = {"video": "film", "audio": "sound"}[kind]
    check_sample_tables(data)
    try:
        with av.open(io.BytesIO(data), options=OPTIONS) as film:
            streams = getattr(film.streams, kind)
            if not streams:
                raise BadValue(f"there is no {'picture' if kind == 'video' else 'sound'} in this file")
            streams[0].codec_context.thread_count = 1
            streams[0].codec_context.options = {"max_pixels": OPTIONS["max_pixels"]}  # those of the container do not reach it
            yield film, streams[0]
    except BadValue:
        raise
    except (av.error.FFmpegError, ValueError, RuntimeError, OverflowError, MemoryError) as error:
        raise BadValue(f"not a readable {word} ({_reason(error)})") from None


def told_seconds(stream: Any) -> float:
    """How long the stream says it is; 0 where it does not."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    word = str(stream.metadata.get("DURATION", ""))  # Matroska: 00:00:03.000000000
    parts = word.split(":")
    try:
        return float(parts[0]) * 3600 + float(parts[1]) * 60 + float(parts[2]) if len(parts) == 3 else 0.0
    except ValueError:
        return 0.0


def check_complete(stream: Any, found: int, seconds: float) -> None:
    """Refuse a stream of which much less could be decoded than it says: frames (MP4), or seconds."""
    if stream.frames and found < 0.98 * stream.frames - 2:
        raise BadValue(f"damaged: {found} frames could be read of {stream.frames}")
    told = told_seconds(stream)
    if told - seconds > max(0.5, 0.05 * told):
        raise BadValue(f"damaged: {seconds:.1f} s could be read of {told:.1f} s")


def _reason(error: Exception) -> str:
    words = str(error).split("]")[-1].split(": '")[0].strip()
    return (words or type(error).__name__)[:120]
