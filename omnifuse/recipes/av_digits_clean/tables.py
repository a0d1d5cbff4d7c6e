"""Pairs a written digit with a spoken one: MNIST pictures with clips of the Free Spoken Digit Dataset."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from omnifuse.core.atomic import replacing
from omnifuse.core.seeds import seed_of
from omnifuse.data.decode import decode_audio, encode_audio, encode_image
from omnifuse.data.decode.numpy_file import read_npz
from omnifuse.data.fetch import fetch
from omnifuse.recipes import data_folder

RATE_HZ = 8000
MAX_BYTES = 100_000_000
PAIRS = {"train": 10_000, "test": 2_000}
TEST_CLIPS = 5  # of each speaker and digit, the clips 0 to 4 are for the test
CLIP = re.compile(r"(?P<digit>\d)_(?P<speaker>[a-z]+)_(?P<index>\d+)\.wav")
SCHEMA = pa.schema([("image", pa.binary()), ("audio", pa.binary()), ("digit", pa.string()), ("clip", pa.string())])
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def write_tables(folder: Path, seed: int = 0, picture: Change | None = None, sound: Change | None = None) -> dict[str, Path]:
    """Write `train.parquet` and `test.parquet` with the columns image (PNG), audio (WAV), digit and clip.

    The pictures of the split are taken in a random order, each once; a clip of the same digit is drawn for each. Test
    pictures are paired with test clips only.

    Args:
        folder: where the tables go.
        seed: of the pairing, and of the noise.
        picture: changes the pixels (28, 28) in [0, 1] of a picture.
        sound: changes the wave (T,) in [-1, 1] of a clip.

    Raises:
        OmnifuseError: the data are not there.
    """
    tables = {}
    digits = read_npz(fetch("mnist.npz", data_folder("mnist"), MAX_BYTES), MAX_BYTES)
    for split, count in PAIRS.items():
        tables[split] = folder / f"{split}.parquet"
        with replacing(tables[split]) as place, pq.ParquetWriter(place, SCHEMA) as writer:
            rows = _pairs(digits[f"x_{split}"], digits[f"y_{split}"], _clips(split), seed_of(seed, "pairs", split), count, picture, sound)
            for batch in _batches(rows):
                writer.write_table(pa.Table.from_pylist(batch, schema=SCHEMA))
    return tables


def _clips(split: str) -> dict[int, list[Path]]:
    """The clips of every digit."""
    clips: dict[int, list[Path]] = {}
    for path in sorted((data_folder("fsdd") / "recordings").glob("*.wav")):
        found = CLIP.fullmatch(path.name)
        if found and (int(found["index"]) < TEST_CLIPS) == (split == "test"):
            clips.setdefault(int(found["digit"]), []).append(path)
    return clips


def _pairs(
    pictures: np.ndarray,
    digits: np.ndarray,
    clips: dict[int, list[Path]],
    seed: int,
    count: int,
    picture: Change | None,
    sound: Change | None,
) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(seed)
    for place in random.permutation(len(pictures))[:count]:
        digit = int(digits[place])
        clip = clips[digit][random.integers(len(clips[digit]))]
        data = fetch(clip.name, clip.parent, 10_000_000)
        pixels = pictures[place].astype(np.float64) / 255
        if picture is not None:
            pixels = picture(pixels, random)
        if sound is not None:
            data = encode_audio((sound(decode_audio(data, RATE_HZ)[0], random), RATE_HZ))
        yield {"image": encode_image((pixels * 255).round().astype(np.uint8)), "audio": data, "digit": str(digit), "clip": clip.stem}


def _batches(rows: Iterator[dict[str, Any]], size: int = 500) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
