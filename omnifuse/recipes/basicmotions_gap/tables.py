"""Windows of the sensors of a watch whose gyroscope was lost in the middle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from omnifuse.data.decode.series import encode_series
from omnifuse.recipes.basicmotions_forecast.tables import CHANNELS, write_windows

STEPS, BEFORE, AFTER = 40, 15, 25  # the gap lies between


def write_tables(folder: Path) -> dict[str, Path]:
    """Write `train.parquet` and `test.parquet` with the columns accelerometer (40 steps), before (15), gap (10), after (15).

    Raises:
        OmnifuseError: the data are not there.
    """

    def cut(window: np.ndarray) -> Mapping[str, bytes]:
        gyroscope = window[:, 3:]
        parts = {"before": gyroscope[:BEFORE], "gap": gyroscope[BEFORE:AFTER], "after": gyroscope[AFTER:]}
        return {
            "accelerometer": encode_series(CHANNELS[:3], window[:, :3]),
            **{name: encode_series(CHANNELS[3:], part) for name, part in parts.items()},
        }

    return write_windows(folder, STEPS, cut)
