"""Preparation of 1,000,000 rows over 5,000 pictures: rows a second and peak memory, beside Hugging Face `datasets.map`.

    python -m benchmarks.prepare [--rows 1000000]

Both read one Parquet table of picture paths, questions, numbers and answers, decode every picture once to check it, and
write a dataset: omnifuse stores each picture once and every row with id and split; `datasets.map` (one process, batched)
reads and decodes each picture at its first row, remembers that it is good, and writes the rows with a digest.
Each runs in a process of its own; memory is the peak of the resident set of that process, children included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.results import keep

PICTURES = 5000
COMMON = """
import json, resource, sys, time
start = time.perf_counter()
table, out = sys.argv[1:]
"""
OURS = (
    COMMON
    + """
from pathlib import Path
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig
from omnifuse.data.prepare import prepare
schema = Schema.parse({"image": "image", "question": "text", "size": "number", "answer": {"modality": "category", "role": "target"}})
dataset = prepare(table, schema, DataConfig(source=table, clean={"near_duplicates": "off"}), store=Path(out))
rows, media = len(dataset), dataset.manifest["media"]
"""
)
RIVAL = (
    COMMON
    + """
import hashlib, io, os
from pathlib import Path
from PIL import Image
import datasets
datasets.disable_progress_bars()
root, good = Path(table).parent, {}
def check(batch):
    keys = []
    for path in batch["image"]:
        if path not in good:
            data = (root / path).read_bytes()
            Image.open(io.BytesIO(data)).convert("RGB").load()
            good[path] = hashlib.blake2b(data, digest_size=20).hexdigest()
        keys.append(good[path])
    rows = zip(keys, batch["question"], batch["size"], batch["answer"])
    return {"key": keys, "id": [hashlib.blake2b(repr(row).encode(), digest_size=12).hexdigest() for row in rows]}
loaded = datasets.load_dataset("parquet", data_files=table, split="train", cache_dir=out + "/cache")
mapped = loaded.map(check, batched=True, batch_size=1000)
mapped.save_to_disk(out + "/saved")
rows, media = len(mapped), len(good)
"""
)
END = """
peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1e6
print(json.dumps({"rows": rows, "media": media, "seconds": round(time.perf_counter() - start, 2), "peak_gb": round(peak, 3)}))
"""


def write_table(folder: Path, rows: int) -> Path:
    """5,000 pictures of 64×64 pixels and a table that names each about 200 times."""
    random = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for number in range(PICTURES):
        coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((64, 64), Image.Resampling.BICUBIC).save(folder / "pictures" / f"{number:05}.png")
    words = np.array(["is", "the", "shape", "red", "green", "round", "what", "colour", "big", "small"])
    columns = {
        "image": [f"pictures/{number:05}.png" for number in random.integers(0, PICTURES, rows)],
        "question": [" ".join(chosen) for chosen in words[random.integers(0, len(words), (rows, 6))]],
        "size": random.normal(size=rows),
        "answer": words[random.integers(0, len(words), rows)],
    }
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return folder / "rows.parquet"


def measure(program: str, table: Path, out: Path) -> dict[str, float]:
    """Run a program in a process of its own."""
    done = subprocess.run([sys.executable, "-c", program + END, str(table), str(out)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Measure both, one after the other, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = write_table(folder, rows)
        ours = measure(OURS, table, folder / "ours")
        again = measure(OURS, table, folder / "ours")
        rival = measure(RIVAL, table, folder / "rival")
    assert ours["rows"] == rival["rows"] == rows
    assert ours["media"] == rival["media"] == PICTURES
    rates = {name: round(rows / result["seconds"]) for name, result in (("omnifuse", ours), ("datasets.map", rival))}
    keep("prepare", {"omnifuse": ours, "omnifuse again, nothing changed": again, "datasets.map": rival, "rows_per_s": rates})


if __name__ == "__main__":
    main()
