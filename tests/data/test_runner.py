"""Where the work is done changes nothing in the result."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig
from omnifuse.data.dataset import Dataset
from omnifuse.data.prepare import prepare
from omnifuse.data.runner import NativeRunner


def test_results_come_in_the_order_of_the_items_and_few_are_in_work_at_a_time():
    running, most, lock = 0, 0, threading.Lock()
    started: list[int] = []

    def work(item: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002 * (item % 3))
        with lock:
            running -= 1
        return item * item

    def items():
        for item in range(50):
            started.append(item)
            yield item

    results = NativeRunner(workers=3).map(work, items())
    assert next(results) == 0
    assert len(started) <= 6, "items are taken as they are needed"
    assert list(results) == [item * item for item in range(1, 50)]
    assert 1 < most <= 3


def test_an_error_in_the_work_reaches_the_caller():
    def work(item: int) -> int:
        raise OmnifuseError(f"item {item}")

    with pytest.raises(OmnifuseError, match="item 0"):
        list(NativeRunner(workers=2).map(work, range(5)))


ON_RAY = """
import sys
from pathlib import Path
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig
from omnifuse.data.prepare import prepare
from tests.data.test_runner import COLUMNS, options

folder = Path(sys.argv[1])
config = DataConfig.parse(options(folder, runner="ray"))
dataset = prepare(str(folder / "rows.parquet"), Schema.parse(COLUMNS), config, store=folder / "ray")
print(dataset.path)
"""
ANSWER = {"modality": "category", "role": "target"}
COLUMNS = {"picture": "image", "question": "text", "town": "category", "size": "number", "answer": ANSWER}


def options(folder: Path, **more: Any) -> dict[str, Any]:
    join = {"source": str(folder / "shops.csv"), "on": "shop"}
    return {"source": str(folder / "rows.parquet"), "join": [join], "quarantine_share": 0.2, **more}


def test_a_local_ray_gives_the_same_dataset(colours: tuple[Path, list[dict[str, Any]]], tmp_path: Path):
    pytest.importorskip("ray")
    folder, rows = colours
    (folder / "broken.png").write_bytes(b"no picture")
    rows[3]["picture"] = "broken.png"
    rows[7]["picture"] = "missing.png"
    pd.DataFrame(rows).to_parquet(folder / "rows.parquet", row_group_size=7)
    (folder / "shops.csv").write_text("town,shop\nAulne,south\nBrack,north\n")
    done = subprocess.run([sys.executable, "-c", ON_RAY, str(folder)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    on_ray = Dataset.open(done.stdout.strip().splitlines()[-1])
    here = prepare(str(folder / "rows.parquet"), Schema.parse(COLUMNS), DataConfig.parse(options(folder)), store=folder / "native")
    assert on_ray.manifest["content"] == here.manifest["content"]
    assert on_ray.path.name == here.path.name
    assert on_ray.ids() == here.ids()
    assert on_ray.origins() == here.origins()
    assert on_ray.manifest["joins"] == here.manifest["joins"]
    assert (on_ray.path / "quarantine.csv").read_text() == (here.path / "quarantine.csv").read_text()
    keys = here.take(range(len(here)), ["picture"])["picture"]
    assert on_ray.media(keys) == here.media(keys)


def test_an_address_without_a_cluster_is_one_clear_line():
    pytest.importorskip("ray")
    program = "from omnifuse.data.runner import RayRunner\nRayRunner('127.0.0.1:1')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert "OmnifuseError: data.ray_address: no Ray cluster answers at 127.0.0.1:1" in done.stderr.splitlines()[-1]
