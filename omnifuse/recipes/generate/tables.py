"""Words and pictures of the digits they name: MNIST, or the smaller digits that scikit-learn carries."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from omnifuse.core.atomic import replacing
from omnifuse.core.seeds import seed_of
from omnifuse.data.decode import encode_image
from omnifuse.data.decode.numpy_file import read_npz
from omnifuse.data.fetch import fetch
from omnifuse.recipes import data_folder

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIDE, MAX_BYTES, TEST_SHARE, BATCH_ROWS = 28, 100_000_000, 0.2, 1000
VARIANTS, TURN, SHIFT = 20, 8.0, 2  # of each small digit in the training split: degrees, pixels
PICTURES = {"train": 30_000, "test": 2_000}
SCHEMA = pa.schema([("word", pa.string()), ("image", pa.binary()), ("digit", pa.string())])


def write_tables(folder: Path, seed: int = 0) -> dict[str, Path]:
    """Write `train.parquet` and `test.parquet` with the columns word, image (PNG) and digit.

    With `OMNIFUSE_DATA` 30,000 and 2,000 pictures of MNIST, in a random order; without it the 1,797 digits of 8 × 8 pixels of
    scikit-learn, enlarged to the size of MNIST, a fifth of them for the test, and the others 20 times, turned and moved a little.
    """
    named = os.environ.get("OMNIFUSE_DATA")
    splits = _mnist(seed) if named and (Path(named) / "mnist").is_dir() else _small_digits(seed)
    tables = {}
    for split, (pictures, digits) in splits.items():
        tables[split] = folder / f"{split}.parquet"
        with replacing(tables[split]) as place, pq.ParquetWriter(place, SCHEMA) as writer:
            for start in range(0, len(digits), BATCH_ROWS):
                rows = zip(pictures[start : start + BATCH_ROWS], digits[start : start + BATCH_ROWS].tolist(), strict=True)
                writer.write_table(pa.Table.from_pylist([_row(pixels, digit) for pixels, digit in rows], schema=SCHEMA))
    return tables


def _row(pixels: np.ndarray, digit: int) -> dict[str, Any]:
    return {"word": WORDS[digit], "image": encode_image(pixels), "digit": str(digit)}


def _mnist(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    digits = read_npz(fetch("mnist.npz", data_folder("mnist"), MAX_BYTES), MAX_BYTES)
    chosen = {
        split: np.random.default_rng(seed_of(seed, "pictures", split)).permutation(len(digits[f"y_{split}"]))[:count]
        for split, count in PICTURES.items()
    }
    return {split: (digits[f"x_{split}"][places], digits[f"y_{split}"][places]) for split, places in chosen.items()}


def _small_digits(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    from sklearn.datasets import load_digits

    loaded: Any = load_digits()
    random = np.random.default_rng(seed_of(seed, "pictures"))
    order = random.permutation(len(loaded["target"]))
    test, train = np.split(order, [round(TEST_SHARE * len(order))])
    several = np.tile(train, VARIANTS)
    turns, shifts = random.uniform(-TURN, TURN, len(several)), random.integers(-SHIFT, SHIFT + 1, (len(several), 2))
    varied = [_enlarged(loaded["data"][at], turn, shift) for at, turn, shift in zip(several, turns, shifts.tolist(), strict=True)]
    plain = [_enlarged(loaded["data"][at]) for at in test]
    return {"train": (np.stack(varied), loaded["target"][several]), "test": (np.stack(plain), loaded["target"][test])}


def _enlarged(pixels: np.ndarray, turn: float = 0.0, shift: Sequence[int] = (0, 0)) -> np.ndarray:
    """(64,) of 0 to 16 → (28, 28) uint8 with the margin that MNIST has, turned by so many degrees and moved by so many pixels."""
    image = Image.fromarray((pixels.reshape(8, 8) * (255 / 16)).round().astype(np.uint8)).resize((24, 24), Image.Resampling.BICUBIC)
    room = Image.new("L", (SIDE, SIDE))
    room.paste(image, (2 + shift[0], 2 + shift[1]))
    return np.asarray(room.rotate(turn, Image.Resampling.BILINEAR))
