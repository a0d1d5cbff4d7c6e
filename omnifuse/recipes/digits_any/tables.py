"""Written digits, spoken digits and their names, side by side: the pairs of `av_digits_clean` with the word of each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from omnifuse.core.atomic import replacing
from omnifuse.recipes.av_digits_clean.tables import write_tables as write_pairs
from omnifuse.recipes.generate.tables import WORDS

PAIRS = {"train": 30_000, "test": 2_000}


def write_tables(folder: Path, seed: int = 0, pairs: Mapping[str, int] = PAIRS) -> dict[str, Path]:
    """Write `train.parquet` and `test.parquet` with the columns image, audio, word, digit and clip.

    Raises:
        OmnifuseError: the data are not there.
    """
    tables = write_pairs(folder, seed, pairs=pairs)
    for path in tables.values():
        table = pq.read_table(path)
        words = pa.array([WORDS[int(digit)] for digit in table["digit"].to_pylist()])
        with replacing(path) as place:
            pq.write_table(table.append_column("word", words), place)
    return tables
