"""What kind of file some bytes are, by their first ones."""

from __future__ import annotations

STARTS = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\x00", ".tif"),
    (b"MM\x00*", ".tif"),
    (b"fLaC", ".flac"),
    (b"OggS", ".ogg"),
    (b"ID3", ".mp3"),
    (b"\xff\xfb", ".mp3"),
    (b"\x1aE\xdf\xa3", ".mkv"),
    (b"\x93NUMPY", ".npy"),
    (b"PK\x03\x04", ".npz"),
    (b"ARROW1", ".arrow"),
    (b"\xff\xff\xff\xff", ".arrow"),
    (b"PAR1", ".parquet"),
    (b"ply\n", ".ply"),
    (b"ply\r", ".ply"),
    (b"# .PCD", ".pcd"),
    (b"VERSION", ".pcd"),
)
RIFF = {b"WAVE": ".wav", b"WEBP": ".webp", b"AVI ": ".avi"}


def ending_of(data: bytes) -> str:
    r"""The usual ending of a file's name: `.png`, `.wav`, …; `.csv` for text, `.bin` for what is not known.

    >>> ending_of(b"RIFF....WAVEfmt "), ending_of(b"time,x\n0,1\n"), ending_of(bytes([0, 200]))
    ('.wav', '.csv', '.bin')
    """
    if data[:4] == b"RIFF":
        return RIFF.get(data[8:12], ".bin")
    if data[4:8] == b"ftyp":
        return ".mp4"
    if data[:4] == b"FORM":
        return ".aiff"
    for start, ending in STARTS:
        if data.startswith(start):
            return ending
    head = data[:1024]
    is_text = all(byte >= 32 or byte in b"\t\r\n" for byte in head) and bool(head)
    return ".csv" if is_text and max(head) < 128 else ".bin"
