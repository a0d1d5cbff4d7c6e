"""easy-VQA against Ludwig 0.11, one after the other on the same machine.

    python -m benchmarks.ludwig --python RIVAL/bin/python --script RIVAL_SCRIPT

RIVAL is a virtual environment with Ludwig (`pip install ludwig==0.11.0`, then `pip install torch==2.11.0
torchvision==0.26.0 torchaudio==2.11.0`, for the plain install does not import). RIVAL_SCRIPT trains a small CNN + GRU +
concatenation for 8 epochs at batch 128 on the folder it is given, and prints `train total s N` and `eval s N ACCURACY`.
Ours is the demo's recipe: seconds until the validation accuracy passes 0.97, seconds in all, and seconds inside
`of.evaluate` over the 9,673 test questions, without the shuffle test and the report.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from benchmarks.loop import RECIPE
from benchmarks.results import keep
from omnifuse.core.atomic import read_json
from omnifuse.evaluation.config import EvaluateConfig
from omnifuse.evaluation.evaluation import evaluate
from omnifuse.recipes.easy_vqa.tables import write_tables
from omnifuse.train.fit import prepare_recipe, train
from omnifuse.train.recipe import Recipe
from omnifuse.train.tracking import Silent


class Watch(Silent):
    """Notes when the validation accuracy first passes 0.97."""

    def __init__(self) -> None:
        """Start the clock."""
        self.began, self.passed = time.perf_counter(), None

    def validated(self, entry: dict) -> None:
        """Look at the accuracy."""
        if self.passed is None and entry["metrics"]["answer"]["accuracy"] >= 0.97:
            self.passed = time.perf_counter() - self.began


def ours(folder: Path) -> dict[str, float | None]:
    """Train and evaluate the demo's recipe, from tables to figures."""
    write_tables(folder)
    (folder / "recipe.yaml").write_text(RECIPE.read_text(encoding="utf-8"), encoding="utf-8")
    recipe = Recipe.load(folder / "recipe.yaml")
    watch = Watch()
    dataset = prepare_recipe(recipe, folder)
    pipeline = train(recipe, folder / "run", base=folder, observer=watch)
    total = time.perf_counter() - watch.began
    began = time.perf_counter()
    result = evaluate(pipeline, dataset, config=EvaluateConfig(shuffle=False))
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    evaluate(pipeline, dataset)
    shuffled = time.perf_counter() - began
    loop = read_json(folder / "run" / "config.json", "run")["trained"]["seconds"]
    return {
        "prepare_and_train_s": round(total, 1),
        "train_s": loop,
        "until_0.97_s": watch.passed and round(watch.passed, 1),
        "evaluate_s": round(seconds, 2),
        "evaluate_with_shuffle_test_s": round(shuffled, 2),
        "accuracy": round(result.metrics["answer"]["accuracy"], 4),
    }


def rival(python: str, script: str) -> dict[str, float]:
    """Run the rival's script in its own environment."""
    spec = find_spec("easy_vqa")
    assert spec is not None and spec.origin is not None, "pip install easy-vqa"
    with tempfile.TemporaryDirectory() as folder:
        command = [python, str(Path(script).resolve()), str(Path(spec.origin).parent / "data")]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    train_s = re.search(r"train total s ([\d.]+)", done.stdout)
    evaluated = re.search(r"eval s ([\d.]+) ([\d.]+)", done.stdout)
    assert train_s is not None and evaluated is not None, done.stdout[-2000:]
    return {"train_s": float(train_s[1]), "evaluate_s": float(evaluated[1]), "accuracy": float(evaluated[2])}


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", required=True, help="interpreter of the rival's environment")
    parser.add_argument("--script", required=True, help="the rival's script")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        mine = ours(Path(folder))
    theirs = rival(arguments.python, arguments.script)
    assert mine["until_0.97_s"] is not None and mine["evaluate_s"] is not None, "0.97 was not reached"
    ratios = {
        "time_to_0.97": round(mine["until_0.97_s"] / theirs["train_s"], 3),
        "evaluate": round(mine["evaluate_s"] / theirs["evaluate_s"], 3),
    }
    keep("ludwig", {"ours": mine, "ludwig": theirs, "ratios": ratios})


if __name__ == "__main__":
    main()
