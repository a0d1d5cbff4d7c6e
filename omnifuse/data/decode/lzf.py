"""LZF, the compression of `binary_compressed` point clouds (Lehmann 2000, liblzf), unpacked up to a stated size."""

from __future__ import annotations

from omnifuse.data.fetch import BadValue


def unpack_lzf(packed: bytes, size: int) -> bytes:
    """Unpack exactly `size` bytes.

    A control byte below 32 is followed by so many bytes + 1 as they are; another one repeats 2 + its upper three bits (7: a
    further byte is added) of what lies 1 + its lower five bits · 256 + the next byte behind the end of what was unpacked.

    Raises:
        BadValue: damaged, or it unpacks to another size; no more than `size` is ever held.
    """
    unpacked = bytearray()
    place, end = 0, len(packed)
    try:
        while place < end:
            control = packed[place]
            place += 1
            if control < 32:
                unpacked += packed[place : place + control + 1]
                place += control + 1
                if place > end:
                    raise IndexError
            else:
                length = control >> 5
                if length == 7:
                    length += packed[place]
                    place += 1
                start = len(unpacked) - ((control & 31) << 8) - packed[place] - 1
                place += 1
                if start < 0:
                    raise IndexError
                _repeat(unpacked, start, length + 2)
            if len(unpacked) > size:
                break
    except IndexError:
        raise BadValue("damaged: the compressed points cannot be unpacked") from None
    if len(unpacked) != size:
        raise BadValue(f"damaged: the compressed points do not unpack to the {size} bytes that the header says")
    return bytes(unpacked)


def _repeat(unpacked: bytearray, start: int, length: int) -> None:
    """Append `length` bytes from `start` on; what is appended may be repeated in turn."""
    piece = unpacked[start : start + length]
    if len(piece) < length:
        piece = (piece * (length // len(piece) + 1))[:length]
    unpacked += piece
