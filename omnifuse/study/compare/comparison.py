"""`of.compare`: many models, the same rows, the same budget, the same seeds; then one sentence."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omnifuse.core.atomic import is_leftover, read_json, remove_leftovers, write_json
from omnifuse.core.errors import OmnifuseError
from omnifuse.data.dataset import Dataset
from omnifuse.study.compare.contenders import Contender, gather
from omnifuse.study.compare.dump import dump_comparison
from omnifuse.study.compare.judging import JUDGED, Measure, measure_of
from omnifuse.study.compare.page import write_comparison_page
from omnifuse.study.compare.runs import Failure, Result, Runs, Unwatched, Watcher
from omnifuse.study.compare.standing import Field, Outcome, outcome_of
from omnifuse.train.fit import prepare_recipe
from omnifuse.train.recipe import Recipe
from omnifuse.train.run_folder import differences, run_identity

STUDY, ANSWER, PAGE = "study.json", "compare.json", "compare.html"


@dataclass(frozen=True)
class Comparison:
    """Who is better, and whether fusion helps.

    Attributes:
        out: its folder, with `compare.json`, `compare.html` and `runs/`.
        outcomes: by target.
        about: everything, as `compare.json` has it.
    """

    out: Path
    outcomes: dict[str, Outcome]
    about: dict[str, Any]

    @property
    def sentences(self) -> list[str]:
        """The answer for each target; its name stands before it where there are several."""
        return list(self.about["sentences"])

    @property
    def page(self) -> Path:
        """The page that shows it."""
        return self.out / PAGE

    def __str__(self) -> str:
        return "\n".join(self.sentences)


def compare(
    recipe: Recipe,
    out: str | Path,
    *,
    base: str | Path | None = None,
    fusions: Sequence[Any] | None = None,
    encoders: Mapping[str, Sequence[Any]] | None = None,
    subsets: Sequence[Sequence[str]] = (),
    seeds: int = 3,
    divide: bool = False,
    observer: Watcher | None = None,
) -> Comparison:
    """Train every contender with every seed for the same number of steps, judge all on the same rows, and tell them apart.

        comparison = of.compare(of.Recipe.load("recipe.yaml"), "runs/compare", fusions=["concat", "product"], seeds=3)
        print(comparison)  # fusion helps: +6.1 ± 0.8 points over the best single modality (image)

    Each input column alone is always among the contenders. A comparison that was interrupted goes on when it is started
    again, and takes in further fusions, encoders, subsets and seeds.

    Args:
        recipe: data, training, and the model that is varied.
        out: folder of the comparison.
        base: folder that the recipe's paths are relative to; the working directory by default.
        fusions: names or options of fusions, or `all`; by default the recipe's own and a handful.
        encoders: by input column, encoders to try beside the recipe's own, in all combinations.
        subsets: sets of input columns that are fused without the others.
        seeds: how many; they are the recipe's seed and those that follow it.
        divide: divide the rows anew with each seed, in place of once with the recipe's.
        observer: told what happens.

    Raises:
        OmnifuseError: `out` holds another comparison, or anything in the recipe or the words that cannot be used.
    """
    if seeds < 1:
        raise OmnifuseError(f"seeds: {seeds}; it takes at least one")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise OmnifuseError("compare trains its models one after another in one process; start it without a launcher")
    recipe.columns.check_trainable()
    out, base, observer = Path(out), Path(base or Path.cwd()), observer or Unwatched()
    taking_part = gather(recipe, fusions, encoders, subsets)
    datasets = _prepare(recipe, base, seeds, divide, observer)
    _claim(out, recipe, datasets, divide)
    runs = Runs(out, recipe, base, datasets, observer)
    left_out = dict(taking_part.left_out)
    contenders, results = taking_part.contenders, dict[int, dict[str, Result]]()
    comparison: Comparison | None = None
    for number, seed in enumerate(datasets):
        total = len(contenders) * len(datasets)
        ended = runs.round(contenders, seed, total, number * len(contenders))
        results[seed] = {key: end for key, end in ended.items() if isinstance(end, Result)}
        failed = [(each.name, end) for each in contenders if isinstance(end := ended[each.key], Failure)]
        left_out |= {name: f"with seed {end.seed}: {end.reason}" for name, end in failed}
        contenders = [contender for contender in contenders if contender.key in results[seed]]
        if not contenders:
            reasons = dict.fromkeys(end.reason for _, end in failed)
            raise OmnifuseError(f"{out}: no contender could be trained: {'; '.join(reasons)}")
        comparison = _tell(runs, contenders, results, left_out, len(datasets))
    assert comparison is not None, "there is at least one seed"
    return comparison


def check_folder(out: Path) -> None:
    """Raise when `out` holds something that is not a comparison."""
    if out.exists() and not out.is_dir():
        raise OmnifuseError(f"{out}: is a file; --out names a folder")
    if out.is_dir() and not (out / STUDY).exists() and any(not is_leftover(path) for path in out.iterdir()):
        raise OmnifuseError(f"{out}: holds files that are not a comparison; choose another --out")


def _prepare(recipe: Recipe, base: Path, seeds: int, divide: bool, observer: Watcher) -> dict[int, Dataset]:
    """The dataset of each seed; the same one for all where rows are divided once."""
    first = _prepared(recipe, base)
    chosen = [recipe.seed + number for number in range(seeds)]
    if not divide:
        return dict.fromkeys(chosen, first)
    others = {seed: _prepared(recipe.model_copy(update={"seed": seed}), base) for seed in chosen[1:]}
    if any(other.manifest["content"] == first.manifest["content"] for other in others.values()):
        observer.said("the recipe says itself which rows are in which split: every seed has the same division")
    return {recipe.seed: first, **others}


def _prepared(recipe: Recipe, base: Path) -> Dataset:
    dataset = prepare_recipe(recipe, base)
    for split in JUDGED:
        rows = dataset.split(split)
        for target in recipe.columns.targets:
            if rows.absent(target) == len(rows):
                what = "the best are chosen on them" if split == "validation" else "they tell who is better"
                raise OmnifuseError(f"data.split.{split}: there are no {split} rows with a value in {target}; {what}, so hold some out")
    return dataset


def _claim(out: Path, recipe: Recipe, datasets: Mapping[int, Dataset], divide: bool) -> None:
    """Make `out` the folder of this comparison, or check that it is."""
    identity = {**run_identity(recipe, datasets[recipe.seed]), "divide": divide}
    check_folder(out)
    if not (out / STUDY).exists():
        write_json(out / STUDY, identity)
        return
    remove_leftovers(out)
    known = read_json(out / STUDY, "comparison")
    for path, old, new in differences(known["recipe"], identity["recipe"]):
        raise OmnifuseError(f"{out}: holds a comparison with {path} = {old!r}, now it is {new!r}; undo the change or choose another --out")
    if known["data"] != identity["data"]:
        raise OmnifuseError(f"{out}: the data have changed since this comparison began; choose another --out")
    if known["divide"] != divide:
        how = "anew with each seed" if known["divide"] else "once"
        raise OmnifuseError(f"{out}: holds a comparison whose rows were divided {how}; choose another --out")


def _tell(
    runs: Runs,
    contenders: Sequence[Contender],
    results: Mapping[int, Mapping[str, Result]],
    left_out: Mapping[str, str],
    seeds: int,
) -> Comparison:
    """What follows from the runs so far, written to the folder."""
    overlap = _overlap([runs.datasets[seed] for seed in results])
    measures: dict[str, Measure] = {target: measure_of(runs.recipe, target) for target in runs.recipe.columns.targets}
    outcomes = {}
    for target, measure in measures.items():
        scores = {each.key: [results[seed][each.key].scores[target] for seed in results] for each in contenders}
        outcomes[target] = outcome_of(target, measure, Field(contenders, scores, overlap))
    about = dump_comparison(runs, contenders, results, left_out, outcomes, seeds)
    write_json(runs.out / ANSWER, about)
    write_comparison_page(runs.out / PAGE, about, outcomes)
    return Comparison(runs.out, outcomes, about)


def _overlap(datasets: Sequence[Dataset]) -> float:
    """Test rows / training rows, where each seed has test rows of its own; else 0."""
    first = datasets[0]
    if len(datasets) < 2 or all(other.manifest["content"] == first.manifest["content"] for other in datasets):
        return 0.0
    tested = set(first.split("test").ids())
    if all(set(other.split("test").ids()) == tested for other in datasets[1:]):
        return 0.0
    return len(tested) / len(first.split("train"))
