"""Time and peak memory of joins, each in a fresh process.

    python -m benchmarks.joins

Synthetic Parquet files in random order: a key join of 1,000,000 with 1,000,000 rows (integers, one number joined), asof of
100,000 with 1,000,000 rows, a window of 1 s at 100 Hz around each of 10,000 rows (three channels), and windows cut out of
1,000,000 samples. The result is read to its end a batch at a time. Beside the key join, Daft's own join of the same files,
which neither reports nor refuses several partners. Memory is the peak of the process above what it held before the join.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.results import keep

MILLION = 1_000_000
CASES = ("key", "key, by Daft", "asof", "window", "cut windows")


def write(folder: Path) -> None:
    """The files of all cases."""
    random = np.random.default_rng(0)

    def table(name: str, **columns: np.ndarray) -> None:
        pq.write_table(pa.table(columns), folder / f"{name}.parquet", compression="none", use_dictionary=False)

    table("left", k=random.permutation(MILLION), a=random.random(MILLION))
    table("right", k=random.permutation(MILLION), b=random.random(MILLION))
    table("times", t=random.random(100_000) * 10_000)
    table("few", t=random.random(10_000) * 10_000)
    order = random.permutation(MILLION)
    table("samples", t=order / 100, r=order // 10_000, **{name: random.random(MILLION) for name in ("x", "y", "z")})


def result_of(case: str, folder: Path) -> Iterator[int]:
    """Join, and read the result: rows of each batch."""
    import daft

    from omnifuse.data.join.config import JoinConfig, WindowsConfig
    from omnifuse.data.join.join import join_table
    from omnifuse.data.join.windows import cut_windows
    from omnifuse.data.table import Table, iterate_rows, read_table

    def read(name: str) -> Table:
        return read_table(folder / f"{name}.parquet")

    def join(left: str, right: str, **options: Any) -> Any:
        return join_table(read(left), JoinConfig.parse({"source": "x", **options}), read(right), name="x")[0]

    if case == "key":
        found = join("left", "right", on="k")
    elif case == "key, by Daft":
        one, other = (daft.read_parquet(str(folder / f"{name}.parquet")) for name in ("left", "right"))
        found = one.join(other, on="k")
    elif case == "asof":
        found = join("times", "samples", asof={"left": "t", "tolerance_s": 0.02}, columns=["x"])
    elif case == "window":
        channels = {"columns": ["x", "y", "z"], "into": "w"}
        found = join("few", "samples", window={"left": "t", "before_s": 0.5, "after_s": 0.5, **channels})
    else:
        options = {"by": ["r"], "order": "t", "columns": ["x", "y", "z"], "into": "w", "length": 100, "stride": 50}
        found = cut_windows(read("samples"), WindowsConfig.parse(options))[0]
    if isinstance(found, Table):
        yield from (1 for _ in iterate_rows(found))
    else:
        yield from (len(batch) for batch in found.to_arrow_iter())


def resident() -> float:
    """Memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def measure(case: str, folder: Path) -> dict[str, Any]:
    """Run one case in this process."""
    import daft

    import omnifuse.data.join.join
    import omnifuse.data.join.windows  # noqa: F401

    daft.from_pydict({"a": [1]}).collect()  # starts its threads
    before, peak, done = resident(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            peak[0] = max(peak[0], resident())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    began = time.perf_counter()
    rows = sum(result_of(case, folder))
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    return {"rows": rows, "seconds": round(seconds, 2), "peak_mb": round(peak[0] - before)}


def main() -> None:
    """Measure every case and print a table."""
    inputs = {"key": "left right", "key, by Daft": "left right", "asof": "times samples", "window": "few samples", "cut windows": "samples"}
    read = {"left": 16, "right": 16, "times": 8, "few": 8}  # bytes of the columns a row that a case needs
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        for case in CASES:
            per_row = {**read, "samples": {"asof": 16, "window": 32}.get(case, 40)}
            size = sum(pq.read_metadata(folder / f"{part}.parquet").num_rows * per_row[part] for part in inputs[case].split())
            command = [sys.executable, "-m", "benchmarks.joins", case, name]
            found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
            results.append(
                {"case": case, **found, "input_mb": round(size / 1e6), "bytes_per_input_byte": round(found["peak_mb"] / size * 1e6, 1)}
            )
    keep("joins", {"cases": results})
    print("\n| case | rows out | seconds | peak MB | MB read | bytes a byte read |\n|---|---|---|---|---|---|")
    for row in results:
        case, rows, seconds = row["case"], row["rows"], row["seconds"]
        print(f"| {case} | {rows:,} | {seconds} | {row['peak_mb']} | {row['input_mb']} | {row['bytes_per_input_byte']} |")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
    else:
        main()
