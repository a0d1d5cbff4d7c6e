"""How many samples the tables of an MP4 file or its kin say there are: FFmpeg makes an entry of memory for each before it reads one."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from omnifuse.data.fetch import BadValue

MAX_SAMPLES = 1_000_000
PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf")
SIZES, FRAGMENT = (b"stsz", b"stz2"), b"trun"
Box = tuple[bytes, int, int]


def check_sample_tables(data: bytes) -> None:
    """Refuse tables of more samples than a film has; sound without compression has none that are made.

    Raises:
        BadValue: more than a million frames, or blocks of sound, in one track or all fragments.
    """
    if data[4:8] not in (b"ftyp", b"moov", b"mdat", b"styp", b"wide", b"free", b"skip", b"pnot"):
        return
    counts, total, is_plain_sound = 0, 0, False
    handler = b""
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"hdlr":
            handler = data[start + 8 : start + 12]
        elif kind == b"stts":  # in front of the sizes, as all writers have it; else the sizes count
            is_plain_sound = handler == b"soun" and data[start + 4 : start + 8] == data[start + 12 : start + 16] == b"\0\0\0\1"
        elif kind == b"trak":
            handler, is_plain_sound = b"", False
        elif kind in SIZES and end - start >= 12 and not is_plain_sound:
            counts = max(counts, struct.unpack_from(">I", data, start + 8)[0])
        elif kind == FRAGMENT and end - start >= 8:
            total += struct.unpack_from(">I", data, start + 4)[0]
        if max(counts, total) > MAX_SAMPLES:
            raise BadValue(f"the film has more than {MAX_SAMPLES} frames, or blocks of sound")


def _boxes(data: bytes, place: int, end: int) -> Iterator[Box]:
    """Kind and place of the content of each box, and of those inside of it."""
    while place + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, place)
        start = place + 8
        if size == 1 and place + 16 <= end:
            size, start = struct.unpack_from(">Q", data, place + 8)[0], place + 16
        stop = end if size == 0 else min(end, place + size)
        if stop < start:
            return
        yield kind, start, stop
        if kind in PARENTS:
            yield from _boxes(data, start, stop)
        place = stop
