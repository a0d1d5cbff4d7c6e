"""How good is what the recipes that generate make, after how long a training?

    OMNIFUSE_DATA=FOLDER python -m benchmarks.generation [--only generate …] [--seeds 1] [--threads 2] [--samples 1000] [--work FOLDER]

Trains each recipe as it is (`--set` changes an option), then draws samples of test rows in every direction and judges them with
`of.quality`. Resumable with --work. Keeps results/generation.jsonl and writes docs/results/generation.md.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

import omnifuse as of
from benchmarks.results import keep, kept
from omnifuse.cli.progress import training_bar
from omnifuse.core.atomic import read_json
from omnifuse.data.decode.series import decode_series
from omnifuse.page.words import counted
from omnifuse.recipes import write_recipe
from omnifuse.study.quality.directions import usual_directions
from omnifuse.study.quality.quality import quality
from omnifuse.train.fit import prepare_recipe, train

PAGE = Path(__file__).parents[1] / "docs" / "results" / "generation.md"
RECIPES = ("generate", "spoken_digits", "digits_any", "emoji_both", "basicmotions_forecast", "basicmotions_gap")


def main() -> None:
    """Measure what is not measured yet, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", default=list(RECIPES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--set", nargs="+", default=[], dest="settings")
    parser.add_argument("--work", type=Path, help="where datasets, runs and judges are kept, so that an interrupted measurement goes on")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as temporary:
        for name in arguments.only:
            for seed in arguments.seeds:
                measure(name, seed, (arguments.work or Path(temporary)) / name, arguments.samples, arguments.settings)
    write_page()


def measure(name: str, seed: int, folder: Path, samples: int, settings: list[str]) -> None:
    """Train one recipe with one seed and judge its samples, unless that is done."""
    if any((entry["recipe"], entry["seed"], entry["settings"]) == (name, seed, settings) for entry in kept("generation")):
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    recipe = of.Recipe.load(path if path.exists() else write_recipe(name, folder), [f"seed={seed}", *settings])
    dataset = prepare_recipe(recipe, folder)
    run = folder / "-".join([f"seed{seed}", *(setting.replace("/", "_") for setting in settings)])
    with training_bar() as bar:
        pipeline = train(recipe, run, base=folder, resume=(run / "run.json").exists(), observer=bar)
    trained = read_json(run / "config.json", "run")["trained"]
    directions = [each for each in usual_directions(pipeline) if len(each.given) > 0]
    found = quality(pipeline, dataset, run, samples=samples, directions=directions)
    weights = sum(p.numel() for p in pipeline.model.parameters())
    about = {
        "recipe": name,
        "seed": seed,
        "settings": settings,
        "train_s": trained["seconds"],
        "steps": trained["steps"],
        "weights": weights,
    }
    simple = {"baselines": guesses} if (guesses := series_baselines(name, pipeline, dataset)) else {}
    keep("generation", {**about, "samples": samples, "directions": found.about["directions"], **simple})


def series_baselines(name: str, pipeline: of.Pipeline, dataset: of.Dataset) -> dict[str, float]:
    """Mean absolute error over all test rows of the last value that was seen, and of a line over the gap; in deviations of each channel.

    A guess that is one value has its absolute error as its CRPS.
    """
    known = {"basicmotions_forecast": ("future", "past", None), "basicmotions_gap": ("gap", "before", "after")}
    if name not in known:
        return {}
    target, before, after = known[name]
    test, deviation = dataset.split("test"), np.asarray(pipeline.processors[target].state()["std"])
    truth = _series(test, target) / deviation
    last = _series(test, before)[:, -1:] / deviation
    errors = {"last value": np.abs(truth - last)}
    if after is not None:
        steps = truth.shape[1]
        way = (np.arange(1, steps + 1) / (steps + 1))[:, None]
        errors["linear interpolation"] = np.abs(truth - (last + way * (_series(test, after)[:, :1] / deviation - last)))
    return {guess: float(error.mean()) for guess, error in errors.items()}


def _series(rows: of.Dataset, name: str) -> np.ndarray:
    """(N, T, C) of a column whose series have one length."""
    keys = rows.take(range(len(rows)), [name])[name]
    return np.stack([np.asarray(decode_series(data).values, dtype=np.float64) for data in rows.media(keys)])


def write_page() -> None:
    """Write docs/results/generation.md from the kept results."""
    entries = kept("generation")
    lines = [
        "# What is generated, measured",
        "",
        "Recipes as they are in the repository. Samples of test rows, drawn with the defaults of the heads, judged by",
        "[networks of our own](../quality.md) that were trained on the training split; their own accuracy on real test values stands",
        "behind *judge*. Intervals are 95 % bootstrap intervals over rows; of several seeds the mean is told, with the figure of each.",
        "Made by `OMNIFUSE_DATA=FOLDER python -m benchmarks.generation`; `omnifuse quality RUN` tells the same of any run.",
        "",
    ]
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        grouped[entry["recipe"], " ".join(entry["settings"])].append(entry)
    for (name, settings), runs in grouped.items():
        seeds = ", ".join(str(run["seed"]) for run in runs)
        minutes = [f"{run['train_s'] / 60:.1f} minutes" + (f" ({run['note']})" if "note" in run else "") for run in runs]
        lines += [f"## {name}{f' with `{settings}`' if settings else ''}", ""]
        lines += [
            f"{' and '.join(minutes)} of training; {runs[0]['steps']:,} steps, {runs[0]['weights']:,} weights, seed {seeds};"
            f" {counted(runs[0]['threads'], 'thread')}, {runs[0]['cpu']}, PyTorch {runs[0]['torch']}, {runs[0]['date']}.",
            "",
        ]
        lines += _table(runs)
        lines += _texts(runs)
        if "baselines" in runs[0]:
            told = ", ".join(f"{guess} **{error:.3f}**" for guess, error in runs[0]["baselines"].items())
            lines += [f"Mean absolute error (and CRPS, for these are single guesses) in the same unit: {told}.", ""]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(lines), encoding="utf-8")


FIGURES = ("accuracy", "recall@1", "recall@10", "frechet", "kernel", "spread_within", "spread", "cepstral", "crps", "mae")


def _table(runs: list[dict[str, Any]]) -> list[str]:
    """One row for each direction, one column for each figure that some direction has."""
    first = runs[0]["directions"]
    names = [name for name in FIGURES if any(name in each["figures"] for each in first.values())]
    lines = ["| direction | samples | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    for direction, each in first.items():
        cells = [_cell([run["directions"][direction]["figures"][name] for run in runs if name in each["figures"]]) for name in names]
        lines.append(f"| {direction} | {each['samples']:,} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _texts(runs: list[dict[str, Any]]) -> list[str]:
    """Metrics of written texts, beside those of the text of the nearest training row, where texts are longer than a word."""
    names = ("chrf", "cider", "bleu", "cer")
    lines = []
    for direction, each in runs[0]["directions"].items():
        for kind, made in (("text", ""), ("text_nearest", ", looked up: the nearest training row's")):
            if kind in each["figures"] and each["figures"]["accuracy"]["value"] < 0.9:
                found = [run["directions"][direction]["figures"][kind] for run in runs]
                lines.append(f"| {direction}{made} | " + " | ".join(f"{mean(one[name] for one in found):.3f}" for name in names) + " |")
    return [f"| text | {' | '.join(names)} |", "|---|" + "---|" * len(names), *lines, ""] if lines else []


def _cell(found: list[dict[str, Any]]) -> str:
    """`**0.984** (0.976 to 0.991); judge 0.988`."""
    if not found:
        return ""
    words = f"**{mean(each['value'] for each in found):.3g}**"
    if len(found) > 1:
        words += " ({})".format(", ".join(f"{each['value']:.3g}" for each in found))
    elif "interval" in found[0]:
        words += " ({:.3g} to {:.3g})".format(*found[0]["interval"])
    beside = [f"{key} {found[0][key]:.3g}" for key in ("judge", "real", "nearest", "floor") if isinstance(found[0].get(key), int | float)]
    return words + (f"; {', '.join(beside)}" if beside else "")


if __name__ == "__main__":
    main()
