"""Pairs of vectors, each a pattern or its negative under noise, and whether both are of one kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from omnifuse.core.atomic import replacing
from omnifuse.core.seeds import seed_of

SIZE = 100
LENGTH = 3.0  # of a pattern; the noise has deviation 1 in each place, so one vector in 741 looks like the other kind
ROWS = {"train": 4_000, "test": 2_000}


def write_tables(folder: Path, seed: int = 0, rows: Mapping[str, int] = ROWS) -> dict[str, Path]:
    """Write `train.parquet` and `test.parquet` with the columns left, right (100 numbers each) and same (yes or no).

        left = a·p + noise,    right = b·q + noise,    same = yes where a = b

    The patterns p and q, of length 3, are drawn once and shared by both tables; a and b are 1 or −1 by chance, the noise is
    N(0, 1) in each place. Half of the rows are yes whatever one of the two vectors is, so one alone tells nothing; whoever
    knows p and q is right in 99.7 % of the rows.
    """
    directions = np.random.default_rng(seed_of(seed, "patterns")).normal(size=(2, SIZE))
    patterns = LENGTH * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    paths = {split: folder / f"{split}.parquet" for split in rows}
    for split, count in rows.items():
        random = np.random.default_rng(seed_of(seed, "rows", split))
        signs = random.choice([-1, 1], size=(2, count))
        left, right = signs[..., None] * patterns[:, None] + random.normal(size=(2, count, SIZE))
        same = np.where(signs[0] == signs[1], "yes", "no")
        table = pa.table({"left": _lists(left), "right": _lists(right), "same": same.tolist()})
        with replacing(paths[split]) as file:
            pq.write_table(table, file)
    return paths


def _lists(vectors: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).reshape(-1)), SIZE)
