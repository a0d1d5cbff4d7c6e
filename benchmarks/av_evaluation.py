"""Does the evaluation find what was planted in the noisy digits, and do conformal sets hold what they promise where columns are absent?

    OMNIFUSE_DATA=FOLDER python -m benchmarks.av_evaluation [--threads 2] [--divisions 20]

Trains the recipe av_digits_degraded (two minutes), then: subsets, contributions and curves under damage on its 2,000 test pairs; and
coverage by what a row has: of the test pairs a quarter loses its picture and a quarter its sound, then they are divided at random into
rows to calibrate with and rows to test, twenty times; how many are independent is told by pictures, sounds and clips. Writes
docs/results/av_evaluation.md.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

import omnifuse as of
from benchmarks.results import keep, kept
from omnifuse.data.dataset import GROUP, Dataset
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.calibration.calibration import calibrate, judge_calibration, patterns_and_groups
from omnifuse.evaluation.collect import collect
from omnifuse.evaluation.config import EvaluateConfig
from omnifuse.evaluation.evaluation import as_dataset, evaluate
from omnifuse.evaluation.intervals import clusters_of
from omnifuse.evaluation.kinds import kind_of
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.recipes import write_recipe
from omnifuse.study.quality.material import raw_values
from omnifuse.train.fit import prepare_recipe, train

NAME, TARGET = "av_evaluation", "digit"
PAGE = Path(__file__).parents[1] / "docs" / "results" / f"{NAME}.md"
LEVELS = ("0.8", "0.9", "0.95")


def main() -> None:
    """Train, evaluate, divide, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--divisions", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if not kept(NAME):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            recipe = of.Recipe.load(write_recipe("av_digits_degraded", folder))
            pipeline = train(recipe, folder / "run", base=folder)
            test = prepare_recipe(recipe, folder).split("test")
            config = EvaluateConfig(robustness=True, robustness_rows=1000, explain=False, slices=False)
            details = evaluate(pipeline, test, config=config).details
            found = {key: details[key][TARGET] for key in ("subsets", "shuffle", "robustness", "calibration")}
            keep(NAME, {**found, "divisions": divided(pipeline, test, folder, arguments.divisions)})
    write_page()


def divided(pipeline: Pipeline, test: Dataset, folder: Path, divisions: int) -> list[dict[str, Any]]:
    """For each division at random of the test pairs, some without a picture or a sound, the coverage by what a row has."""
    columns = pipeline.schema.inputs
    values = {name: raw_values(test, name, np.arange(len(test))) for name in (*columns, TARGET)}
    lost = np.random.default_rng(0).choice(len(columns) + 2, len(test))  # a quarter without each of both columns
    rows = [
        {name: None if name in columns and columns.index(name) == lost[row] else each[row] for name, each in values.items()}
        for row in range(len(test))
    ]
    data = as_dataset(rows, pipeline.schema, folder / "store")
    answers = collect(pipeline, data, batch_size=512)
    patterns, groups = (each[TARGET] for each in patterns_and_groups(pipeline, data, answers))
    given = [int(origin.rpartition(":")[2]) - 1 for origin in data.origins(answers[TARGET].rows)]  # which test pair each row was
    clips = clusters_of(test.take(given, [GROUP])[GROUP], len(given))
    groups = [*groups, clips]
    kind, found = kind_of(pipeline.head_config(TARGET)), []
    for division in range(divisions):
        order = np.random.default_rng(division).permutation(len(answers[TARGET].rows))
        halves = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
        parts: list[tuple[Answers, list[Any], list[Any]]] = [
            (answers[TARGET].at(half), [patterns[row] for row in half], [code[half] for code in groups]) for half in halves
        ]
        said, own_patterns, own_groups = parts[0]
        known = calibrate(pipeline, {TARGET: said}, {TARGET: own_patterns}, {TARGET: own_groups})
        said, own_patterns, own_groups = parts[1]
        found.append(judge_calibration(known, TARGET, kind, said, own_patterns, own_groups)["coverage"])
    return found


def write_page() -> None:
    """Write docs/results/av_evaluation.md from what is kept."""
    [entry] = kept(NAME)[-1:]
    subsets, robustness = entry["subsets"], entry["robustness"]
    lines = [
        "# The evaluation on noisy digits",
        "",
        "A noisy written digit and a noisy spoken one, planted so that each alone tells it to about 0.83 and both together to 0.97",
        "([how](av_digits.md)). What the evaluation says of one model of both (seed 0). Made by",
        f"`OMNIFUSE_DATA=FOLDER python -m benchmarks.av_evaluation`; {entry['threads']} threads, {entry['cpu']}, PyTorch {entry['torch']},",
        f"{entry['date']}.",
        "",
        f"## What each column contributes, {subsets['rows']:,} pairs",
        "",
        "| known | accuracy | 95 % interval |",
        "|---|---|---|",
    ]
    lines += [f"| {' + '.join(each['known']) or 'none'} | {each['value']:.3f} | {_ends(each['interval'])} |" for each in subsets["subsets"]]
    lines += ["", "| column | contribution | 95 % interval |", "|---|---|---|"]
    lines += [f"| {name} | {each['value']:.3f} | {_ends(each['interval'])} |" for name, each in subsets["contributions"].items()]
    for pair in subsets["pairs"]:
        told = ", ".join(f"{key.replace('_', ' ')} {pair[key]:.2f}" for key in ("redundancy", "unique_first", "unique_second", "synergy"))
        lines += ["", f"Of {' and '.join(pair['columns'])}, in bits (exploratory): {told}."]
    lines += ["", f"## Under damage, {robustness['rows']:,} pairs", "", f"{robustness['intact']:.3f} as it is.", ""]
    lines += ["| column | damage | levels | accuracy | what is left of what is above the floor |", "|---|---|---|---|---|"]
    for column, each in robustness["columns"].items():
        for name, curve in each["curves"].items():
            levels, values = (
                ", ".join(form.format(value) for value in curve[key]) for key, form in (("levels", "{:g}"), ("values", "{:.3f}"))
            )
            lines.append(f"| {column} | {name} ({curve['unit']}) | {levels} | {values} | {curve['relative']:.2f} |")
    lines += _coverage(entry["divisions"])
    lines += [
        "",
        "## In words",
        "",
        *(f"- {line}" for key in ("subsets", "shuffle", "robustness", "calibration") for line in entry[key]["sentences"]),
    ]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _coverage(divisions: list[dict[str, Any]]) -> list[str]:
    """Of each level and pattern, the mean coverage over divisions and how often it lay where it was expected."""
    lines = ["", f"## Do conformal sets hold what they promise? {len(divisions)} divisions of one pool", ""]
    lines += ["| asked | what the row has | pairs to test | independent | held, mean | expected in 95 of 100 (first division) | inside |"]
    lines += ["|---|---|---|---|---|---|---|"]
    inside: Counter[bool] = Counter()
    for level in LEVELS:
        first = divisions[0][level]
        for place in ("overall", *(tuple(each["columns"]) for each in first["patterns"])):
            each = [_part(division[level], place) for division in divisions]
            told = "all rows" if place == "overall" else " + ".join(place)
            held = np.mean([part["covered"] for part in each])
            times = [bool(part["inside"]) for part in each]
            if place != "overall":
                inside.update(times)
            lines.append(
                f"| {level} | {told} | {each[0]['rows']:,} | {each[0]['effective_rows']:.0f} | {held:.3f} | {_ends(each[0]['expected'])} |"
                f" {sum(times)} of {len(times)} |"
            )
    total = sum(inside.values())
    return [*lines, "", f"By what a row has: inside in {inside[True]} of {total} ({inside[True] / total:.1%}); 95 % are expected."]


def _part(table: dict[str, Any], place: Any) -> dict[str, Any]:
    return table["overall"] if place == "overall" else next(each for each in table["patterns"] if tuple(each["columns"]) == place)


def _ends(interval: list[float]) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


if __name__ == "__main__":
    main()
