"""Windows of the sensors of a watch: three seconds, and the second that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from omnifuse.core.atomic import replacing
from omnifuse.data.decode.series import encode_series
from omnifuse.data.table import iterate_rows, read_table
from omnifuse.recipes import data_folder

CHANNELS = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")
PAST, FUTURE, STRIDE = 30, 10, 5  # steps of a tenth of a second


def write_tables(folder: Path) -> dict[str, Path]:
    """Write `train.parquet` and `test.parquet` with the columns past (6 channels, 30 steps), future (10 steps), activity, case.

    Raises:
        OmnifuseError: the data are not there.
    """

    def cut(window: np.ndarray) -> Mapping[str, bytes]:
        return {"past": encode_series(CHANNELS, window[:PAST]), "future": encode_series(CHANNELS, window[PAST:])}

    return write_windows(folder, PAST + FUTURE, cut)


def write_windows(folder: Path, steps: int, cut: Callable[[np.ndarray], Mapping[str, bytes]]) -> dict[str, Path]:
    """Cut every series into windows that overlap, those of the archive's training part for training, and write both tables.

    Args:
        folder: where the tables go.
        steps: length of a window.
        cut: makes the columns of a row from a window (steps, 6).
    """
    tables = {}
    for split in ("train", "test"):
        tables[split] = folder / f"{split}.parquet"
        source = data_folder("sensors/basicmotions") / f"BasicMotions_{split.upper()}.ts"
        rows = [{**cut(window), "activity": activity, "case": case} for window, activity, case in _windows(source, steps, split)]
        with replacing(tables[split]) as place:
            pq.write_table(pa.Table.from_pylist(rows), place)
    return tables


def _windows(source: Path, steps: int, split: str) -> Iterator[tuple[np.ndarray, str, str]]:
    for number, row in enumerate(iterate_rows(read_table(source), ["series", "label"])):
        series = np.stack([np.asarray(channel) for channel in dict(row["series"]).values()], axis=1)
        for start in range(0, len(series) - steps + 1, STRIDE):
            yield series[start : start + steps], row["label"], f"{split}-{number}"
