"""Whether a sound or film file holds all the bytes that its container declares.

Decoders play what is left of a file that was cut off and say nothing, so the sizes in the container are compared with the
bytes that are there. Only headers are read (of Ogg every page, for each has a checksum); what is unknown counts as whole.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from omnifuse.data.fetch import BadValue

UNKNOWN_32 = (0, 0xFFFFFFFF)  # what is written where a stream began before its length was known
ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"styp", b"wide", b"free", b"skip", b"pnot")
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
W64_RIFF = b"riff\x2e\x91\xcf\x11"
CRC_START = 0xFFFFFFFF
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def check_whole(data: bytes) -> None:
    """Refuse a file that was cut off, or an Ogg file with a broken page.

    Raises:
        BadValue: what is missing.
    """
    if data[:4] == b"OggS":
        _check_ogg(data)
        return
    declared = _declared(data)
    if declared > len(data):
        raise BadValue(f"cut off: {len(data)} bytes of the {declared} that the file declares")


def _declared(data: bytes) -> int:
    """How many bytes there should be, as far as the container tells; 0 where it does not."""
    if len(data) < 16:
        return 0
    kind = data[8:12]
    if data[:4] == b"RIFF" and kind in (b"AVI ", b"WEBP"):
        return _outer(struct.unpack_from("<I", data, 4)[0])
    if data[:4] == b"FORM":
        return _outer(struct.unpack_from(">I", data, 4)[0])
    if data[:4] in (b"RIFF", b"RF64"):
        return _declared_by_wave(data)
    if data[:4] == b".snd":
        start, size = struct.unpack_from(">II", data, 4)
        return 0 if size in UNKNOWN_32 else start + size
    if data[:8] == W64_RIFF and len(data) >= 24:
        return struct.unpack_from("<Q", data, 16)[0]
    if data[:4] == b"caff":
        return _declared_by_caf(data)
    if data[:4] == EBML:
        return _declared_by_matroska(data)
    return _declared_by_iso(data) if data[4:8] in ISO_BOXES else 0


def _outer(size: int) -> int:
    return 0 if size in UNKNOWN_32 else size + 8


def _declared_by_wave(data: bytes) -> int:
    """To the end of the chunk `data`; the size in the first line of a WAV is often wrong and does not matter."""
    place, long_size = 12, 0
    while place + 8 <= len(data):
        name, size = data[place : place + 4], struct.unpack_from("<I", data, place + 4)[0]
        if name == b"ds64" and place + 24 <= len(data):
            long_size = struct.unpack_from("<Q", data, place + 16)[0]
        if name == b"data":
            size = long_size if size == 0xFFFFFFFF else size
            return place + 8 + size if size else 0
        place += 8 + size + size % 2
    return place  # the sound comes behind the end of the file, or there is none


def _declared_by_caf(data: bytes) -> int:
    place = 8
    while place + 12 <= len(data):
        size = struct.unpack_from(">q", data, place + 4)[0]
        if size < 0:
            return 0
        place += 12 + size
    return place


def _declared_by_iso(data: bytes) -> int:
    """MP4 and its kin: boxes one after another."""
    place = 0
    while place + 8 <= len(data):
        size = struct.unpack_from(">I", data, place)[0]
        if size == 1 and place + 16 <= len(data):
            size = struct.unpack_from(">Q", data, place + 8)[0]
        if size < 8:  # to the end of the file, or no box any more
            return 0
        place += size
    return place


def _declared_by_matroska(data: bytes) -> int:
    place = 0
    for wanted in (EBML, SEGMENT):
        if data[place : place + 4] != wanted:
            return 0
        first = data[place + 4] if place + 4 < len(data) else 0
        width = 9 - first.bit_length()
        if not first or place + 4 + width > len(data):
            return 0
        size = int.from_bytes(data[place + 4 : place + 4 + width], "big") - (1 << 7 * width)
        if size == (1 << 7 * width) - 1:  # all ones: unknown
            return 0
        place += 4 + width + size
    return place


def _check_ogg(data: bytes) -> None:
    place, last = 0, 0
    for start, end in _ogg_pages(data):
        if start != place:
            raise BadValue(f"damaged: an Ogg page is missing or broken at byte {place}")
        page = data[start:end]
        if _ogg_checksum(page) != struct.unpack_from("<I", page, 22)[0]:
            raise BadValue(f"damaged: the checksum of the Ogg page at byte {start} is wrong")
        place, last = end, page[5]
    if place != len(data) and data[place : place + 4] == b"OggS":
        raise BadValue("cut off within an Ogg page")
    if not last & 4:
        raise BadValue("cut off: the last Ogg page is not marked as the end")


def _ogg_pages(data: bytes) -> Iterator[tuple[int, int]]:
    place = 0
    while data[place : place + 4] == b"OggS" and place + 27 <= len(data):
        segments = data[place + 27 : place + 27 + data[place + 26]]
        end = place + 27 + data[place + 26] + sum(segments)
        if len(segments) < data[place + 26] or end > len(data):
            return
        yield place, end
        place = data.find(b"OggS", end) if data[end : end + 4] != b"OggS" else end
        if place < 0:
            return


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 with the bits the other way round (RFC 3533), by means of zlib's on mirrored bytes."""
    blank = page[:22] + bytes(4) + page[26:]
    mirrored = zlib.crc32(blank.translate(_MIRRORED), CRC_START) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_MIRRORED), "big")
