"""Preparing rows of which 5 % hold a broken file, beside the same number of whole ones: rows a second.

    python -m benchmarks.quarantine [--rows 2000] [--rounds 5]

18 formats of pictures, sounds, point clouds and series, six kinds of damage. The two are prepared in turn, each time into
a fresh store; what is broken must be set aside, all of it and nothing else.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.broken_files import DAMAGES, FORMATS, write_rows
from benchmarks.results import keep
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig
from omnifuse.data.dataset import Dataset
from omnifuse.data.prepare import prepare

SCHEMA = Schema.parse({"row": "number", "image": "image", "audio": "audio", "points": "points", "series": "series"})


def timed(table: list[dict[str, Any]], folder: Path, store: Path) -> tuple[float, Dataset]:
    """Seconds of one preparation."""
    shutil.rmtree(store, ignore_errors=True)
    start = time.perf_counter()
    dataset = prepare(table, SCHEMA, DataConfig(source="rows", quarantine_share=0.06), store=store, root=folder)
    return time.perf_counter() - start, dataset


def main() -> None:
    """Alternate whole and broken, and keep the ratio of medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folders = {name: Path(place) / name for name in ("whole", "broken")}
        tables = {}
        broken: dict[int, str] = {}
        for name, folder in folders.items():
            folder.mkdir()
            tables[name], broken = write_rows(folder, chosen.rows, 0.05 if name == "broken" else 0.0)
        seconds: dict[str, list[float]] = {name: [] for name in folders}
        for turn in range(chosen.rounds + 1):
            for name, folder in folders.items():
                took, dataset = timed(tables[name], folder, Path(place) / "store")
                if turn:  # the first is a warm-up
                    seconds[name].append(took)
        found = {int(table_row["row"]) - 1 for table_row in csv.DictReader((dataset.path / "quarantine.csv").open(newline=""))}
    assert found == set(broken), "all broken rows and only them"
    rate = {name: chosen.rows / statistics.median(measured) for name, measured in seconds.items()}
    pairs = [whole / part for whole, part in zip(seconds["whole"], seconds["broken"], strict=True)]
    keep(
        "quarantine",
        {
            "rows": chosen.rows,
            "broken": len(broken),
            "formats": sum(map(len, FORMATS.values())),
            "damages": len(DAMAGES),
            "rows_per_s": {name: round(value, 1) for name, value in rate.items()},
            "ratio_of_medians": round(rate["broken"] / rate["whole"], 3),
            "ratios_by_round": [round(ratio, 3) for ratio in pairs],
        },
    )


if __name__ == "__main__":
    main()
