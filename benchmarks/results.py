"""Where results are kept: one JSON line a run, with hardware, date and versions."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


def hardware() -> dict[str, Any]:
    """Processor, cores and versions of this machine."""
    import torch

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        name = next((line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")), name)
    return {"cpu": name, "cores": os.cpu_count(), "threads": torch.get_num_threads(), "torch": str(torch.__version__)}


def keep(benchmark: str, result: dict[str, Any]) -> None:
    """Print a result and append it to `results/BENCHMARK.jsonl`."""
    entry = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), **result, **hardware()}
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{benchmark}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
    print(json.dumps(entry, indent=2, ensure_ascii=False))


def kept(benchmark: str) -> list[dict[str, Any]]:
    """Results of earlier runs."""
    path = FOLDER / f"{benchmark}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
