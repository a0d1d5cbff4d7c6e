"""Every fusion on easy-VQA with the demo's recipe: accuracy, shuffle test, training time.

    python -m benchmarks.fusions [--seeds 1]

Resumable: runs whose result is kept in results/fusions.jsonl are not repeated. Writes docs/results/fusions.md.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.loop import RECIPE
from benchmarks.results import keep, kept
from omnifuse.core.atomic import read_json
from omnifuse.evaluation.evaluation import evaluate
from omnifuse.model import FUSIONS
from omnifuse.recipes.easy_vqa.tables import write_tables
from omnifuse.train.fit import prepare_recipe, train
from omnifuse.train.recipe import Recipe

PAGE = Path(__file__).parents[1] / "docs" / "results" / "fusions.md"


def main() -> None:
    """Measure what is not measured yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    done = {(entry["fusion"], entry["seed"]) for entry in kept("fusions")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder)
        (folder / "recipe.yaml").write_text(RECIPE.read_text(encoding="utf-8"), encoding="utf-8")
        for seed in range(arguments.seeds):
            for fusion in FUSIONS:
                if (fusion, seed) in done:
                    continue
                recipe = Recipe.load(folder / "recipe.yaml", [f"model.fusion={fusion}", f"seed={seed}", "train.tracking=[]"])
                dataset = prepare_recipe(recipe, folder)
                pipeline = train(recipe, folder / f"{fusion}-{seed}", base=folder)
                trained = read_json(folder / f"{fusion}-{seed}" / "config.json", "run")["trained"]
                result = evaluate(pipeline, dataset)
                shuffle = {c: round(t["shuffled"], 4) for c, t in result.details["shuffle"]["answer"]["columns"].items()}
                figures = {
                    "accuracy": round(result.metrics["answer"]["accuracy"], 4),
                    "interval": result.details["intervals"]["answer"]["accuracy"],
                }
                weights = sum(p.numel() for p in pipeline.model.parameters())
                keep(
                    "fusions",
                    {"fusion": fusion, "seed": seed, **figures, "shuffled": shuffle, "train_s": trained["seconds"], "weights": weights},
                )
    write_page()


def write_page() -> None:
    """Write docs/results/fusions.md from the kept results."""
    rows = sorted(kept("fusions"), key=lambda entry: (-entry["accuracy"], entry["seed"]))
    lines = [
        "# Fusions on easy-VQA",
        "",
        "The demo's recipe (6 epochs, batch 128, AdamW at 2e-3, width 64), with `--set model.fusion=NAME`. 9,673 test questions;",
        "the interval is a 95 % bootstrap over questions. Made by `python -m benchmarks.fusions`.",
        "",
        "| fusion | seed | accuracy | 95 % interval | image shuffled | question shuffled | training | weights |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for entry in rows:
        low, high = entry["interval"]
        shuffled = entry["shuffled"]
        lines.append(
            f"| {entry['fusion']} | {entry['seed']} | {entry['accuracy']:.4f} | {low:.4f} to {high:.4f} | {shuffled['image']:.3f}"
            f" | {shuffled['question']:.3f} | {entry['train_s']:.0f} s | {entry['weights']:,} |"
        )
    if rows:
        machine = rows[0]
        lines += ["", f"{machine['cpu']}, {machine['cores']} cores, PyTorch {machine['torch']}, {machine['date']}.", ""]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
