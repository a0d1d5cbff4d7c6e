"""Noisy written and spoken digits: does fusion help, and does it hold when one of the two is gone?

    OMNIFUSE_DATA=FOLDER python -m benchmarks.av_digits [--seeds 3] [--threads 1] [--only NAME …]

For each seed: a model of the picture alone, one of the sound alone, and one of both for each fusion, trained with the same
budget (the recipe av_digits_degraded), judged on the same 2,000 test pairs; those of both also with the picture or the
sound taken away from every test row. Resumable: each run is kept in results/av_digits.jsonl as it comes, with one number a
test row for pairing in results/av_digits_rows/. Writes docs/results/av_digits.md.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.results import FOLDER, keep, kept
from omnifuse.data.dataset import GROUP, Dataset
from omnifuse.evaluation.config import EvaluateConfig
from omnifuse.evaluation.evaluation import evaluate
from omnifuse.evaluation.statistics import Interval, Rows, over_rows, over_seeds
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.recipes import write_recipe
from omnifuse.train.fit import prepare_recipe, train
from omnifuse.train.recipe import Recipe

NAME = "av_digits"
PAGE = Path(__file__).parents[1] / "docs" / "results" / f"{NAME}.md"
ALONE = {"image": "audio", "audio": "image"}
FUSIONS = ("concat", "gated", "low_rank", "weighted_sum", "joint", "bottleneck")
# One column alone has no use for what the recipe says of the other, and the model is its only head.
CHANGES = {column: [f"columns.{other}.role=ignore", "model.modality_dropout=0", "model.unimodal=0"] for column, other in ALONE.items()}
CHANGES["audio"].append("model.encoders={}")


def main() -> None:
    """Measure what is not measured yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[*ALONE, *FUSIONS])
    parser.add_argument("--set", nargs="*", default=[], dest="settings", help="changes of the recipe, for trials: they are not kept")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = write_recipe("av_digits_degraded", folder)
        for seed in range(arguments.seeds):
            for model in arguments.only:
                measure(model, seed, recipe, arguments.settings)
    if not arguments.settings:
        write_page()


def measure(model: str, seed: int, recipe_file: Path, settings: list[str]) -> None:
    """Train and judge one model with one seed, unless that is done."""
    if not settings and any(entry["model"] == model and entry["seed"] == seed for entry in kept(NAME)):
        return
    chosen = CHANGES.get(model, [f"model.fusion={model}"])
    recipe = Recipe.load(recipe_file, [f"seed={seed}", *chosen, *settings])
    run = recipe_file.parent / f"{model}-{seed}"
    dataset = prepare_recipe(recipe, recipe_file.parent)
    pipeline = train(recipe, run, base=recipe_file.parent)
    accuracy, rows = judge(pipeline, dataset, [])
    result = {
        "model": model,
        "seed": seed,
        "accuracy": accuracy,
        **({f"without_{column}": judge(pipeline, dataset, [column])[0] for column in ALONE} if model not in ALONE else {}),
        "weights": sum(p.numel() for p in pipeline.model.parameters()),
    }
    if settings:
        print({**result, "settings": settings}, flush=True)
    else:
        place = FOLDER / f"{NAME}_rows"
        place.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(place / f"{model}-{seed}.npz", values=rows.values.astype(np.int8), clusters=rows.clusters.astype(np.int16))
        keep(NAME, result)
    shutil.rmtree(run)


def judge(pipeline: Pipeline, dataset: Dataset, absent: list[str]) -> tuple[float, Rows]:
    """Accuracy on the test rows, and whether each was right with the clip that it holds."""
    found = evaluate(pipeline, dataset, config=EvaluateConfig(shuffle=False), absent=absent)
    given = found.answers["digit"]
    right = np.array([true == said for true, said in zip(given.truth, given.predicted, strict=True)], dtype=np.float64)
    clips = dataset.split("test").take(given.rows, [GROUP])[GROUP]
    return round(found.metrics["digit"]["accuracy"], 4), Rows(right, np.unique(clips, return_inverse=True)[1])


def rows_of(model: str, seed: int) -> Rows:
    """What was kept of the test rows of a run."""
    with np.load(FOLDER / f"{NAME}_rows" / f"{model}-{seed}.npz", allow_pickle=False) as arrays:
        return Rows(arrays["values"].astype(np.float64), arrays["clusters"].astype(np.int64))


def points(interval: Interval) -> str:
    """An interval of shares, in points of a hundred."""
    return f"{100 * interval.mean:+.1f} ({100 * interval.low:+.1f} to {100 * interval.high:+.1f})"


def write_page() -> None:
    """Write docs/results/av_digits.md from the kept results."""
    runs: dict[str, dict[int, dict[str, Any]]] = {}
    for entry in kept(NAME):
        runs.setdefault(entry["model"], {})[entry["seed"]] = entry
    seeds = sorted(set.intersection(*(set(each) for each in runs.values())))
    if len(seeds) < 2:
        print("the page takes two seeds of every model")
        return
    mean = {model: np.mean([each[seed]["accuracy"] for seed in seeds]) for model, each in runs.items()}
    best = max(ALONE, key=lambda model: mean[model])
    machine = kept(NAME)[-1]
    lines = [
        "# Noisy written and spoken digits",
        "",
        "The recipe `av_digits_degraded`: MNIST pictures at half the contrast with white noise of deviation 0.4, paired with clips of",
        "the Free Spoken Digit Dataset in white noise at −6 dB; 10,000 pairs to train and 2,000 to test, made with seed 0. Pictures and",
        "clips of the test are never in training; the 2,000 test pairs hold 300 clips. Every model has the same budget.",
        "Made by `OMNIFUSE_DATA=FOLDER python -m benchmarks.av_digits`. These figures cannot be compared with those that others",
        "publish for pairings of the same two sets.",
        "",
        f"Accuracy by seed ({', '.join(map(str, seeds))}); *gain* is over the {best} alone, the better of the two, in points, with the",
        "95 % interval over seeds (Student) and, behind it, that over clips of the test (paired bootstrap, averaged over seeds).",
        "",
        "| model | accuracy | by seed | gain over seeds | gain over clips | weights |",
        "|---|---|---|---|---|---|",
    ]
    for model in sorted(runs, key=lambda name: -mean[name]):
        each = [runs[model][seed] for seed in seeds]
        gains = ["", ""]
        if model not in ALONE:
            pairs = [(rows_of(model, seed), rows_of(best, seed)) for seed in seeds]
            differences = [Rows(ours.values - theirs.values, ours.clusters) for ours, theirs in pairs]
            gains = [points(over_seeds([float(rows.values.mean()) for rows in differences])), points(over_rows(differences))]
        name = f"{model} alone" if model in ALONE else model
        by_seed = " ".join(f"{entry['accuracy']:.4f}" for entry in each)
        lines.append(f"| {name} | {mean[model]:.4f} | {by_seed} | {gains[0]} | {gains[1]} | {each[0]['weights']:,} |")
    lines += [
        "",
        "## With one of the two taken away",
        "",
        "The same models of both, asked about test rows without the picture, or without the sound; *difference* is to the model that was",
        "trained on the other column alone, in points, with the 95 % interval over seeds.",
        "",
        "| model | without sound | difference to image alone | without picture | difference to audio alone |",
        "|---|---|---|---|---|",
    ]
    for model in sorted((name for name in runs if name not in ALONE), key=lambda name: -mean[name]):
        cells = []
        for alone, gone in ALONE.items():
            values = [runs[model][seed][f"without_{gone}"] for seed in seeds]
            differences = [value - runs[alone][seed]["accuracy"] for value, seed in zip(values, seeds, strict=True)]
            cells += [f"{np.mean(values):.4f}", points(over_seeds(differences))]
        lines.append(f"| {model} | {' | '.join(cells)} |")
    lines += ["", f"{machine['cpu']}, {machine['threads']} thread, PyTorch {machine['torch']}, {machine['date']}.", ""]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
