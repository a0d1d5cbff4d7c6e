"""Pairs a written digit with a spoken one: MNIST pictures with clips of the Free Spoken Digit Dataset."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from omnifuse.core.atomic import replacing
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.seeds import seed_of
from omnifuse.data.decode import decode_audio, encode_audio, encode_image
from omnifuse.data.decode.numpy_file import read_npz
from omnifuse.data.fetch import fetch
from omnifuse.recipes import data_folder

RATE_HZ = 8000
MAX_BYTES = 100_000_000
BATCH_ROWS = 500
PAIRS = {"train": 10_000, "test": 2_000}
TEST_CLIPS = 5  # of each speaker and digit, the clips 0 to 4 are for the test
CLIP = re.compile(r"(?P<digit>\d)_(?P<speaker>[a-z]+)_(?P<index>\d+)\.wav")
SCHEMA = pa.schema([("image", pa.binary()), ("audio", pa.binary()), ("digit", pa.string()), ("clip", pa.string())])
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def write_tables(
    folder: Path, seed: int = 0, picture: Change | None = None, sound: Change | None = None, pairs: Mapping[str, int] = PAIRS
) -> dict[str, Path]:
    """Write `train.parquet` and `test.parquet` with the columns image (PNG), audio (WAV), digit and clip.

    The pictures of the split are taken in a random order, each once; a clip of the same digit is drawn for each. Test
    pictures are paired with test clips only. Which are paired depends on the seed alone, not on what changes them.

    Args:
        folder: where the tables go.
        seed: of the pairing, and of the noise.
        picture: changes the pixels (28, 28) in [0, 1] of a picture.
        sound: changes the wave (T,) in [-1, 1] of a clip.
        pairs: how many of each split.

    Raises:
        OmnifuseError: the data are not there.
    """
    tables = {}
    digits = read_npz(fetch("mnist.npz", data_folder("mnist"), MAX_BYTES), MAX_BYTES)
    for split, count in pairs.items():
        tables[split] = folder / f"{split}.parquet"
        chosen = pair(digits[f"y_{split}"], _clips(split), seed_of(seed, "pairs", split), count)
        random = np.random.default_rng(seed_of(seed, "noise", split))
        with replacing(tables[split]) as place, pq.ParquetWriter(place, SCHEMA) as writer:
            for start in range(0, count, BATCH_ROWS):
                rows = [_row(digits[f"x_{split}"][at], clip, random, picture, sound) for at, clip in chosen[start : start + BATCH_ROWS]]
                writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
    return tables


def pair(digits: np.ndarray, clips: Mapping[int, Sequence[Path]], seed: int, count: int) -> list[tuple[int, Path]]:
    """Which picture goes with which clip: both of the same digit.

    Args:
        digits: (N,) what the pictures show.
        clips: the clips of every digit.
        seed: which pairing.
        count: how many pairs.
    """
    random = np.random.default_rng(seed)
    places = random.permutation(len(digits))[:count]
    return [(int(at), clips[int(digits[at])][int(random.integers(len(clips[int(digits[at])])))]) for at in places]


def _clips(split: str) -> dict[int, list[Path]]:
    """The clips of every digit."""
    clips: dict[int, list[Path]] = {}
    for path in sorted((data_folder("fsdd") / "recordings").glob("*.wav")):
        found = CLIP.fullmatch(path.name)
        if found and (int(found["index"]) < TEST_CLIPS) == (split == "test"):
            clips.setdefault(int(found["digit"]), []).append(path)
    if len(clips) < 10:
        raise OmnifuseError(f"{data_folder('fsdd')}/recordings: clips such as 7_jackson_32.wav are needed for every digit")
    return clips


def _row(pixels: np.ndarray, clip: Path, random: np.random.Generator, picture: Change | None, sound: Change | None) -> dict[str, Any]:
    data = fetch(clip.name, clip.parent, MAX_BYTES)
    shown = pixels / 255
    if picture is not None:
        shown = picture(shown, random)
    if sound is not None:
        data = encode_audio((sound(decode_audio(data, RATE_HZ)[0], random), RATE_HZ))
    return {"image": encode_image(shown), "audio": data, "digit": clip.name[0], "clip": clip.stem}
