"""`omnifuse demo`: the main job on real data, from nothing to a report."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from omnifuse.cli.options import Settings
from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.recipes import RECIPES, write_recipe

FIRST = "easy_vqa"
SHOWN_ROWS, SHOWN_SAMPLES = 10, 8


def demo(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help=f"Which: {', '.join(RECIPES)}.")] = FIRST,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="RUN", help="Folder of the run.")] = Path("runs/demo"),
    settings: Settings = [],  # noqa: B006 (typer copies it)
) -> None:
    """Prepare, train and evaluate on real data, and show where the reports are.

    The recipe and its tables are put beside the run, in RUN-data; a run of an earlier demo in RUN is replaced. All but
    easy_vqa and textbook read their data from the folder that the variable OMNIFUSE_DATA names.
    """
    from omnifuse.cli.evaluate import evaluate_run, summary
    from omnifuse.cli.prepare import describe, show_report
    from omnifuse.cli.progress import console, counting, training_bar
    from omnifuse.train.fit import prepare_recipe
    from omnifuse.train.fit import train as run
    from omnifuse.train.recipe import Recipe

    if name not in RECIPES:
        raise unknown("demo", name, RECIPES)
    folder = out.parent / f"{out.name}-data"
    _make_room(out, folder)
    recipe_file = write_recipe(name, folder)
    recipe = Recipe.load(recipe_file, settings)
    console.rule(f"1. prepare {recipe_file}")
    with counting("reading") as progress:
        dataset = prepare_recipe(recipe, folder, progress=progress)
    console.print(describe(dataset), markup=False)
    show_report(dataset)
    if not recipe.columns.targets:
        return
    console.rule(f"2. train → {out}")
    with training_bar() as bar:
        pipeline = run(recipe, out, base=folder, observer=bar)
    console.rule("3. evaluate")
    evaluation, report = evaluate_run(out)
    console.print(summary(evaluation))
    drawn = [target for target in recipe.columns.targets if pipeline.head_config(target).tells == "sample"]
    if drawn:
        console.rule("4. generate")
        for page in _samples(pipeline, dataset, drawn, out):
            console.print(f"Look at what it makes: {page.resolve()}")
    if name == FIRST:
        console.rule("4. use")
        row = _first_row(folder / "test.csv")
        answer = pipeline.predict([{"image": row["image"], "question": row["question"]}])[0]
        console.print(f"{row['question']} → {answer['answer']} ({answer['answer_probability']:.1%}); the picture: {row['image']}")
        console.print(f'Ask it yourself: omnifuse predict {out} --input image={row["image"]} --input question="what color is the shape?"')
    console.print(f"\nReport: {report.resolve()}")


def _samples(pipeline: Any, dataset: Any, targets: list[str], out: Path) -> Iterator[Path]:
    """Contact sheets of what is drawn for test rows that differ in what they give, in a folder of the run; yields the pages."""
    from omnifuse.pipeline.generation import given_rows
    from omnifuse.pipeline.samples import Made, given_words, write_samples

    for target in targets:
        rows, modality = given_rows(pipeline, dataset.split("test"), target, SHOWN_ROWS), pipeline.schema[target].modality
        made = []
        for place, answer in enumerate(pipeline.generate_each(rows, [target], num_samples=SHOWN_SAMPLES)):
            row, sample = divmod(place, SHOWN_SAMPLES)
            made.append(Made(row + 1, sample + 1, given_words(rows[row]), target, modality, answer[target]))
        yield write_samples(made, out / "samples" / target, f"{target} made by {out.name}", {"rows": f"{len(rows)}"})[-1]


def _make_room(out: Path, data: Path) -> None:
    """Remove the run of an earlier demo; anything else in the folder is left alone, a run of the user's own by such a name too."""
    from omnifuse.core.atomic import read_json
    from omnifuse.train.run_folder import RUN

    if not out.exists() or not any(out.iterdir()):
        return
    known = read_json(out / RUN, "demo run") if (out / RUN).exists() else {}
    if known.get("recipe", {}).get("name") not in RECIPES or not (data / "recipe.yaml").exists():
        raise OmnifuseError(f"{out}: holds something that is not a demo; choose another --out")
    shutil.rmtree(out)


def _first_row(table: Path) -> dict[str, str]:
    import csv

    with table.open(newline="", encoding="utf-8") as file:
        return next(csv.DictReader(file))
