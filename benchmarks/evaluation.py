"""What the default report costs beside a bare forward pass, and what all subsets of four columns cost beside one pass.

    python -m benchmarks.evaluation [--threads 2] [--repeats 3]

Trains the recipe easy_vqa (two minutes), then times, over its 9,673 test questions and in turns: a bare pass (batches of 512 through the
loader, the encoders, fusion and head, predictions thrown away) and `of.evaluate` with the defaults and `write_report`. And models of a
picture, a sound, a text and a series that differ in every row: all sixteen subsets in one `collect`, beside one bare pass, with a fusion of
pooled columns (`concat`) and with one that attends over all tokens (`joint`). Keeps results/evaluation.jsonl.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

import omnifuse as of
from benchmarks.results import keep
from omnifuse.data.dataset import Dataset
from omnifuse.evaluation.collect import collect
from omnifuse.evaluation.evaluation import as_dataset, evaluate
from omnifuse.evaluation.report.report import write_report
from omnifuse.evaluation.subsets import subsets_for
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.recipes import write_recipe
from omnifuse.train.fit import prepare_recipe, train

BATCH, ROWS = 512, 512


def main() -> None:
    """Measure both, print and keep them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as name:
        folder, repeats = Path(name), arguments.repeats
        for fusion, capacity in (("concat", "small"), ("joint", "small"), ("joint", "base")):
            keep("evaluation", subsets_cost(folder, fusion, capacity, repeats))
        keep("evaluation", report_cost(folder, repeats))


def bare_pass(pipeline: Pipeline, rows: Dataset) -> None:
    """Every row through the loader and the model, one batch after another."""
    loader = pipeline.loader(rows)
    with pipeline.evaluating(), torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            batch = loader.batch(range(start, min(start + BATCH, len(rows))))
            fused = pipeline.model.fuse(pipeline.model.encode(batch))
            pipeline.model.answers(pipeline.model.outputs(fused))


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turns(repeats: int, **works: Callable[[], Any]) -> dict[str, float]:
    """Medians of the seconds of each work, done in turns after once each to warm up."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            times[name].append(seconds(work))
    return {name: round(median(each), 3) for name, each in times.items()}


def report_cost(folder: Path, repeats: int) -> dict[str, Any]:
    """The default evaluation of the easy-VQA questions, and its page, beside a bare pass."""
    recipe = of.Recipe.load(write_recipe("easy_vqa", folder))
    pipeline = train(recipe, folder / "run", base=folder)
    rows = prepare_recipe(recipe, folder).split("test")
    found: dict[str, Any] = {}

    def judged() -> None:
        found["evaluation"] = evaluate(pipeline, rows)

    times = in_turns(
        repeats,
        bare=lambda: bare_pass(pipeline, rows),
        evaluate=judged,
        page=lambda: write_report(folder / "run", found.get("evaluation") or evaluate(pipeline, rows), pipeline, rows, explain=True),
    )
    ratio = round(times["evaluate"] / times["bare"], 2)
    return {"what": "default report of easy_vqa", "rows": len(rows), "seconds": times, "ratio_evaluate": ratio}


def subsets_cost(folder: Path, fusion: str, capacity: str, repeats: int) -> dict[str, Any]:
    """All sixteen subsets of four columns whose values differ in every row, beside a bare pass over the same rows."""
    random = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    words = [f"word{i}" for i in range(200)]
    (folder / "pictures").mkdir(exist_ok=True)
    for row in range(ROWS):
        place = folder / "pictures" / f"{row}.png"
        Image.fromarray(random.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(place)
        sound = {"array": random.normal(0, 0.1, 16_000).astype(np.float32), "sampling_rate": 16_000}
        text, series = " ".join(random.choice(words, 24)), {f"x{i}": random.normal(size=100).tolist() for i in range(6)}
        rows.append({"picture": str(place), "sound": sound, "text": text, "motion": series, "answer": "ab"[row % 2]})
    columns = {"picture": "image", "sound": "audio", "text": "text", "motion": "series"}
    schema: dict[str, Any] = {**columns, "answer": {"modality": "category", "role": "target"}}
    names = {"picture": "cnn", "sound": "mel_cnn", "text": "transformer", "motion": "conv1d"}
    encoders = {column: {"name": name, "capacity": capacity} for column, name in names.items()}
    settings = {"model.encoders": encoders, "model.fusion": fusion, "model.modality_dropout": 0.3, "train.epochs": 1}
    pipeline = of.fit(rows[:200], columns=schema, settings=settings, out=folder / f"four-{fusion}-{capacity}")
    data = as_dataset(rows, pipeline.schema, folder / "store")
    _, subsets = subsets_for(pipeline, ROWS, (), 0)
    times = in_turns(
        repeats,
        bare=lambda: bare_pass(pipeline, data),
        subsets=lambda: collect(pipeline, data, batch_size=BATCH, subsets=subsets),
    )
    ratio = round(times["subsets"] / times["bare"], 2)
    what = f"{len(subsets.known)} subsets of {len(columns)} columns, {capacity} encoders, {fusion}"
    return {"what": what, "rows": len(data), "seconds": times, "ratio_subsets": ratio}


if __name__ == "__main__":
    main()
