"""Small files of many formats, and many ways to break them: for the benchmark of quarantine and its test."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from PIL import Image

Make = Callable[[np.random.Generator], bytes]
RATE_HZ = 16_000


def _picture(kind: str, side: int = 192) -> Make:
    def make(random: np.random.Generator) -> bytes:
        coarse = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        file = io.BytesIO()
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(file, kind)
        return file.getvalue()

    return make


def _sound(kind: str, subtype: str | None = None) -> Make:
    def make(random: np.random.Generator) -> bytes:
        times = np.arange(RATE_HZ) / RATE_HZ
        wave = 0.3 * np.sin(2 * np.pi * random.uniform(200, 800) * times) + 0.05 * random.normal(size=RATE_HZ)
        file = io.BytesIO()
        soundfile.write(file, wave.astype(np.float32), RATE_HZ, format=kind, subtype=subtype)
        return file.getvalue()

    return make


def _cloud(random: np.random.Generator, count: int = 2000) -> np.ndarray:
    return random.normal(size=(count, 4)).astype("<f4")


def _bin(random: np.random.Generator) -> bytes:
    return _cloud(random).tobytes()


def _pcd(random: np.random.Generator) -> bytes:
    cloud = _cloud(random)
    header = (
        "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z intensity\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\n"
        f"WIDTH {len(cloud)}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {len(cloud)}\nDATA binary\n"
    )
    return header.encode() + cloud.tobytes()


def _ply(random: np.random.Generator) -> bytes:
    cloud = _cloud(random)
    fields = "".join(f"property float {name}\n" for name in ("x", "y", "z", "intensity"))
    return f"ply\nformat binary_little_endian 1.0\nelement vertex {len(cloud)}\n{fields}end_header\n".encode() + cloud.tobytes()


def _npy(random: np.random.Generator) -> bytes:
    file = io.BytesIO()
    np.save(file, random.normal(size=(300, 3)))
    return file.getvalue()


def _csv(random: np.random.Generator) -> bytes:
    rows = random.normal(size=(300, 3))
    return ("a,b,c\n" + "\n".join(",".join(f"{value:.4f}" for value in row) for row in rows) + "\n").encode()


def _parquet(random: np.random.Generator) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({name: random.normal(size=300) for name in "abc"}), file)
    return file.getvalue()


# column → ending → how one is made
FORMATS: dict[str, dict[str, Make]] = {
    "image": {
        ".png": _picture("PNG"),
        ".jpg": _picture("JPEG"),
        ".webp": _picture("WEBP"),
        ".gif": _picture("GIF"),
        ".bmp": _picture("BMP", 64),
        ".tif": _picture("TIFF", 64),
        ".ppm": _picture("PPM", 64),
    },
    "audio": {
        ".wav": _sound("WAV", "PCM_16"),
        ".flac": _sound("FLAC"),
        ".ogg": _sound("OGG", "VORBIS"),
        ".mp3": _sound("MP3"),
        ".aiff": _sound("AIFF", "PCM_16"),
    },
    "points": {".bin": _bin, ".pcd": _pcd, ".ply": _ply},
    "series": {".npy": _npy, ".csv": _csv, ".parquet": _parquet},
}


def cut(data: bytes) -> bytes:
    """The second half is missing; an odd number of bytes is left. A CSV is cut between two cells: within a number nothing could tell."""
    half = len(data) // 2 | 1
    return data[: data.index(b"\n", half) + 4] if data.startswith(b"a,b,c") else data[:half]


def emptied(_: bytes) -> bytes:
    """Nothing is left."""
    return b""


def words(_: bytes) -> bytes:
    """A page of an error where the file should be."""
    return b"<html><body>404: not found</body></html>\n"


def noise(data: bytes) -> bytes:
    """Random bytes of an odd length."""
    return np.random.default_rng(len(data)).integers(0, 256, len(data) | 1, dtype=np.uint8).tobytes()


def headless(data: bytes) -> bytes:
    """The first bytes are zeros, and one is missing at the end."""
    return bytes(24) + data[24:-1]


def zeros(data: bytes) -> bytes:
    """As long as it was, plus one, and all zeros."""
    return bytes(len(data) | 1)


DAMAGES: tuple[Callable[[bytes], bytes], ...] = (cut, emptied, words, noise, headless, zeros)


def lying_pcd(random: np.random.Generator) -> bytes:
    """Its header tells of four billion points."""
    return _pcd(random).replace(b"POINTS 2000", b"POINTS 4000000000").replace(b"WIDTH 2000", b"WIDTH 4000000000")


def lying_png(random: np.random.Generator) -> bytes:
    """Its header tells of 60,000 × 60,000 pixels."""
    import zlib

    data = bytearray(_picture("PNG")(random))
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def write_rows(folder: Path, rows: int, share: float, seed: int = 0) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """A row has one file of each column, of a random format; in a share of the rows one of them is broken or missing.

    Returns:
        The rows (paths relative to `folder`, and a number `row`), and which rows are broken, how.
    """
    random = np.random.default_rng(seed)
    broken = set(random.choice(rows, round(share * rows), replace=False).tolist())
    table, how = [], {}
    ways = [(column, ending, damage) for column, made in FORMATS.items() for ending in made for damage in DAMAGES]
    order = (int(way) for _ in range(len(broken) // len(ways) + 1) for way in random.permutation(len(ways)))
    for number in range(rows):
        random = np.random.default_rng((seed, number))  # rows without damage are the same whatever the share
        row: dict[str, Any] = {"row": number}
        place = ways[next(order)] if number in broken else None
        for column, made in FORMATS.items():
            ending = place[1] if place and place[0] == column else str(random.choice(list(made)))
            data = made[ending](random)
            row[column] = f"{number:05}{ending}"
            if place and place[0] == column:
                data = place[2](data)
                how[number] = f"{column} {ending} {place[2].__name__}"
            (folder / row[column]).write_bytes(data)
        table.append(row)
    return table, how
