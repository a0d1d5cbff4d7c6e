"""Our training loop against a hand-written one: same model, same batches, same clipping, same logging.

    python -m benchmarks.loop [--steps 20] [--rounds 31]

Both train the easy-VQA demo from the same weights. The raw loop is what one would write for this model alone in plain
PyTorch; it takes its batches from the same loader. Rounds alternate, so that a drifting machine hits both alike.
Prints milliseconds a step, the median and quartiles of the paired ratios ours / raw, and whether the final weights are bit-equal.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path

import torch
from accelerate import Accelerator

from benchmarks.results import keep
from omnifuse.core.seeds import seed_of
from omnifuse.data.dataset import Dataset
from omnifuse.data.loader import Loader
from omnifuse.data.modalities.fitting import fit_processors
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.recipes.easy_vqa.tables import write_tables
from omnifuse.train.fit import prepare_recipe
from omnifuse.train.loop import Trainer
from omnifuse.train.recipe import Recipe
from omnifuse.train.tracking import Silent

RECIPE = Path(__file__).parents[1] / "omnifuse" / "recipes" / "easy_vqa" / "recipe.yaml"


def raw_loop(model: torch.nn.Module, loader: Loader, steps: int, seed: int, log: Path) -> float:
    """Train as one would by hand; returns the seconds of the loop."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}], lr=2e-3, fused=True
    )
    warm = round(0.05 * steps)
    model.train()
    began = time.perf_counter()
    with log.open("a") as file:
        losses = []
        for step, batch in enumerate(loader.stream(0, steps, 128, seed)):
            torch.manual_seed(seed_of(seed, "step", step, 0))
            rate = (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * rate
            answer = model(batch)["answer"]
            loss = torch.where(answer.present, answer.per_row, 0).sum() / answer.present.sum()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
            if (step + 1) % 50 == 0:
                file.write(json.dumps({"step": step + 1, "loss": float(torch.stack(losses).mean())}) + "\n")
                file.flush()
                losses = []
    return time.perf_counter() - began


def our_loop(pipeline: Pipeline, rows: Dataset, loader: Loader, recipe: Recipe, steps: int, run: Path) -> float:
    """Train by the Trainer, without the checkpoint and validation that come after the steps."""
    config = recipe.train.model_copy(update={"epochs": steps * 128 / len(rows), "validate_steps": 10**9, "tracking": []})
    trainer = Trainer(pipeline, rows, None, config, run, Accelerator(cpu=True), seed=0, cache_mb=1024, observer=Silent())
    trainer.loader, trainer.total = loader, steps
    return trainer.run().seconds


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=31)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder)
        recipe_file = folder / "recipe.yaml"
        recipe_file.write_text(RECIPE.read_text(encoding="utf-8"), encoding="utf-8")
        recipe = Recipe.load(recipe_file)
        rows = prepare_recipe(recipe, folder).split("train")
        processors = fit_processors(recipe.columns, rows, {})
        loader = Loader(rows, processors, recipe.columns.inputs, recipe.columns.targets)
        for _ in loader.stream(0, math.ceil(len(rows) / 128), 128, 0):
            pass  # every picture is decoded once before the clock starts
        torch.manual_seed(0)
        raw_loop(Pipeline.build(recipe.columns, processors, recipe.model).model, loader, 20, 0, folder / "warm.jsonl")
        seconds: dict[str, list[float]] = {"ours": [], "raw": []}
        equal = True
        for turn in range(arguments.rounds):
            results = {}
            for side in ("ours", "raw") if turn % 2 == 0 else ("raw", "ours"):
                torch.manual_seed(0)
                pipeline = Pipeline.build(recipe.columns, processors, recipe.model)
                if side == "ours":
                    taken = our_loop(pipeline, rows, loader, recipe, arguments.steps, folder / f"run-{turn}")
                else:
                    taken = raw_loop(pipeline.model, loader, arguments.steps, 0, folder / "log.jsonl")
                seconds[side].append(taken / arguments.steps)
                results[side] = pipeline.model.state_dict()
            equal &= all(torch.equal(results["ours"][key], results["raw"][key]) for key in results["raw"])
        ratios = sorted(ours / raw for ours, raw in zip(seconds["ours"], seconds["raw"], strict=True))
        quartiles = [round(value, 4) for value in statistics.quantiles(ratios, n=4)]
        typical = {side: round(statistics.median(values) * 1000, 2) for side, values in seconds.items()}
        figures = {"median_ms_per_step": typical, "ratio": quartiles[1], "ratio_quartiles": quartiles, "weights_bit_equal": equal}
        keep("loop", {**figures, "steps": arguments.steps, "rounds": arguments.rounds})


if __name__ == "__main__":
    main()
