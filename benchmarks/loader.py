"""The loader beside `torch.utils.data.DataLoader` with two workers, doing pixel-identical work.

    python -m benchmarks.loader [--rounds 3]

- easy-VQA, one epoch of 38,575 questions over 4,000 pictures, shuffled, batches of 128, pictures to (3, 64, 64) floats and
  questions to padded ids. The rival is a map-style dataset that decodes the picture of each row with the same function and
  collates with the same function, in two workers. Ours decodes each picture once and keeps its pixels.
- The rival's workers are spawned, as they must be beside Lance, which is not safe to fork (and as Python does by default from
  3.14 on); and, kinder to it, forked, with all files held in memory before. Forked workers share the pages of PyTorch.
- The same with a cache of 0 MB, so that ours decodes for each row too: what threads are worth against processes.
- The first batch of a resume at sample 10,000,000 against sample 0, of a stream over the same rows.

Each contender runs in a process of its own; memory is the summed peak (proportional set size) of its processes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.results import keep

BATCH = 128
RIVALS = ("DataLoader, spawned", "DataLoader, forked")


def peak_pss_mb(process: subprocess.Popen[str]) -> float:
    """Watch a process and its children; the largest sum of their proportional set sizes."""
    peak = 0.0
    while process.poll() is None:
        total = 0.0
        for pid in _family(process.pid):
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000
            except (OSError, ProcessLookupError):
                continue
        peak = max(peak, total)
        time.sleep(0.2)
    return peak


def _family(pid: int) -> list[int]:
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _family(int(child))
    except OSError:
        pass
    return found


def contender(name: str, folder: Path) -> None:
    """One epoch; prints samples a second and a digest of all pixels and ids."""
    import torch

    from omnifuse.data.dataset import Dataset
    from omnifuse.data.loader import Loader, rows_at
    from omnifuse.data.modalities.fitting import load_processors

    torch.set_num_threads(1)
    rows = Dataset.open(folder / "store").split("train")
    processors = load_processors(rows.schema, folder)
    columns = ["image", "question"]
    steps = len(rows) // BATCH
    digest = torch.zeros((), dtype=torch.float64)
    if name.startswith("DataLoader"):
        batches: Any = torch.utils.data.DataLoader(
            _Rows(folder),
            BATCH,
            sampler=rows_at(0, steps * BATCH, len(rows), seed=0).tolist(),
            num_workers=2,
            multiprocessing_context="fork" if "forked" in name else "spawn",
            collate_fn=_Collate(processors),
        )
    else:
        loader = Loader(rows, processors, columns, cache_mb=1024 if name == "omnifuse" else 0)
        batches = loader.stream(0, steps, BATCH, seed=0)
    start = time.perf_counter()
    count = 0
    for batch in batches:
        image, question = (batch["image"], batch["question"]) if isinstance(batch, dict) else batch
        digest += image.data.double().sum() + question.data.double().sum()
        count += len(image.data)
    seconds = time.perf_counter() - start
    print(json.dumps({"samples_per_s": count / seconds, "digest": round(float(digest), 3), "count": count}))


class _Rows:
    """Map-style: row → decoded picture and ids, by the same processors."""

    def __init__(self, folder: Path) -> None:
        from omnifuse.data.dataset import Dataset
        from omnifuse.data.modalities.fitting import load_processors

        rows = Dataset.open(folder / "store").split("train")
        self.processors = load_processors(rows.schema, folder)
        taken = rows.take(range(len(rows)), ["image", "question"])
        keys = sorted(set(taken["image"]))
        self.files = dict(zip(keys, rows.media(keys), strict=True))  # as bytes in memory, which is kind to it
        self.images, self.questions = taken["image"], taken["question"]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = self.processors["image"].item(self.files[self.images[index]])
        return image, self.processors["question"].item(self.questions[index])


class _Collate:
    def __init__(self, processors: Any) -> None:
        self.processors = {name: processors[name] for name in ("image", "question")}

    def __call__(self, items: list[tuple[Any, Any]]) -> tuple[Any, Any]:
        images, questions = zip(*items, strict=True)
        return self.processors["image"].collate(images), self.processors["question"].collate(questions)


def resume(folder: Path) -> dict[str, float]:
    """Seconds to the first batch of a stream that begins at sample 0 and at sample 10,000,000; medians of 30 alternating tries."""
    from omnifuse.data.dataset import Dataset
    from omnifuse.data.loader import Loader
    from omnifuse.data.modalities.fitting import load_processors

    rows = Dataset.open(folder / "store").split("train")
    processors = load_processors(rows.schema, folder)
    times: dict[int, list[float]] = {0: [], 10_000_000 // BATCH: []}
    for _ in range(30):
        for step, measured in times.items():
            loader = Loader(rows, processors, ["image", "question"], cache_mb=0)
            start = time.perf_counter()
            stream = loader.stream(step, step + 1, BATCH, seed=0)
            next(iter(stream))
            measured.append(time.perf_counter() - start)
    first, late = (statistics.median(measured[2:]) for measured in times.values())
    return {"at_0_ms": round(first * 1000, 2), "at_10_million_ms": round(late * 1000, 2), "ratio": round(late / first, 3)}


def prepare_rows(folder: Path) -> None:
    """easy-VQA as a prepared dataset, with fitted processors."""
    from omnifuse.data.modalities.fitting import fit_processors, save_processors
    from omnifuse.recipes import write_recipe
    from omnifuse.train.fit import prepare_recipe
    from omnifuse.train.recipe import Recipe

    recipe = Recipe.load(write_recipe("easy_vqa", folder), ["data.store=store", "data.split.validation=0"])
    train = prepare_recipe(recipe, folder).split("train")
    save_processors(fit_processors(recipe.columns, train, {}), folder)


def main() -> None:
    """Alternate the contenders and keep medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contender", nargs=2, metavar=("NAME", "FOLDER"))
    chosen = parser.parse_args()
    if chosen.contender:
        contender(chosen.contender[0], Path(chosen.contender[1]))
        return
    names = ("omnifuse", "omnifuse without its cache", *RIVALS)
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare_rows(folder)
        for _ in range(chosen.rounds):
            for name in names:
                command = [sys.executable, "-m", "benchmarks.loader", "--contender", name, place]
                process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
                peaks: list[float] = []
                watch = threading.Thread(target=lambda p=process, found=peaks: found.append(peak_pss_mb(p)))
                watch.start()
                out, _ = process.communicate()
                watch.join()
                results[name].append({**json.loads(out.strip().splitlines()[-1]), "peak_mb": peaks[0]})
        resumed = resume(folder)
    digests = {result["digest"] for measured in results.values() for result in measured}
    assert len(digests) == 1, "the work is pixel-identical"
    median = {
        name: {key: round(statistics.median(result[key] for result in measured), 1) for key in ("samples_per_s", "peak_mb")}
        for name, measured in results.items()
    }
    ratios = {
        f"{name} / {rival}": {key: round(median[name][key] / median[rival][key], 3) for key in ("samples_per_s", "peak_mb")}
        for name in names[:2]
        for rival in RIVALS
    }
    keep("loader", {"medians": median, "ratios": ratios, "resume": resumed, "rounds": chosen.rounds, "batch": BATCH})


if __name__ == "__main__":
    main()
