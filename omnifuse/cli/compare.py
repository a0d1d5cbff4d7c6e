"""`omnifuse compare`: does fusion help, which one, and what does it cost?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omnifuse.cli.options import RecipeFile, Settings
from omnifuse.core.errors import OmnifuseError

if TYPE_CHECKING:
    from omnifuse.study.compare.comparison import Comparison

Words = Annotated[list[str], typer.Option("--encoder", metavar="COLUMN=NAME,…", help="Encoders to try in a column. May be repeated.")]


def compare(
    recipe: RecipeFile,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="OUT", help="Folder; runs/compare-NAME by default.")] = None,
    fusion: Annotated[
        str, typer.Option("--fusion", metavar="NAME,…", help="Fusions, or all; the recipe's own and a handful by default.")
    ] = "",
    encoder: Words = [],  # noqa: B006 (typer copies it)
    columns: Annotated[
        list[str], typer.Option("--columns", metavar="COLUMN,…", help="Also fuse these columns without the others. May be repeated.")
    ] = [],  # noqa: B006
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many trainings of each contender.")] = 3,
    divide: Annotated[bool, typer.Option("--divide", help="Divide the rows anew with each seed.")] = False,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Train fusions, and each input column alone, on the same rows with the same seeds; say whether fusion helps.

    Writes compare.json and compare.html. Stopped, it goes on when it is started again; what is finished is not trained again.
    """
    from omnifuse.cli.progress import console, counting, runs_bar
    from omnifuse.study.compare.comparison import check_folder
    from omnifuse.study.compare.comparison import compare as run
    from omnifuse.study.compare.contenders import gather
    from omnifuse.train.fit import prepare_recipe
    from omnifuse.train.recipe import Recipe

    loaded = Recipe.load(recipe, settings)
    folder = out or Path("runs") / f"compare-{loaded.name}"
    chosen: dict[str, Any] = {
        "fusions": _parts(fusion, "--fusion") or None,
        "encoders": _encoders(encoder),
        "subsets": [_names(word, loaded.columns.inputs) for word in columns],
    }
    loaded.columns.check_trainable()
    gather(loaded, **chosen)  # a misspelt name is told before anything is read
    check_folder(folder)
    with counting("reading") as progress:
        prepare_recipe(loaded, recipe.parent, progress=progress)
    with runs_bar() as bar:
        comparison = run(loaded, folder, base=recipe.parent, seeds=seeds, divide=divide, observer=bar, **chosen)
    _show(comparison)
    console.print(f"\nReport: {comparison.page}")


def _show(comparison: Comparison) -> None:
    """The ranked table of each target, and the answer."""
    from rich.table import Table

    from omnifuse.cli.progress import console
    from omnifuse.study.compare.page import table_of

    for target, outcome in comparison.outcomes.items():
        head, rows = table_of(outcome, comparison.about)
        words = [head, *([cell if isinstance(cell, str) else cell.shown for cell in row] for row in rows)]
        places = _fitting(words, console.width)
        table = Table(title=f"{target}: {outcome.measure.metric} on {outcome.rows:,} test rows", title_justify="left", box=None)
        for place in places:
            table.add_column(head[place], justify="left" if place == 1 else "right", no_wrap=place != 1, overflow="fold")
        for row in words[1:]:
            table.add_row(*(row[place] for place in places))
        console.print(table)
        console.print()
    for entry in comparison.about["left_out"]:
        console.print(f"left out: {entry['name']}, {entry['reason']}")
    for sentence in comparison.sentences:
        console.print(sentence, style="bold")


def _fitting(rows: list[list[str]], width: int) -> list[int]:
    """Places of the columns that a terminal has room for; what is least asked for is dropped first, the page has it all."""
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    least = ["memory", "FLOP a row", "one row", "95 % interval", "weights", "training"]
    places = list(range(len(widths)))
    for name in least:
        if sum(widths[place] for place in places) > width:
            places.remove(rows[0].index(name))
    return places


def _parts(text: str, where: str) -> list[Any]:
    """Names of parts, or mappings with options: `concat,{name: low_rank, rank: 4}`.

    >>> _parts("concat, {name: low_rank, rank: 4}", "--fusion")
    ['concat', {'name': 'low_rank', 'rank': 4}]
    """
    import yaml

    from omnifuse.core.yaml_text import read_yaml

    try:
        found = read_yaml(f"[{text}]")
    except (yaml.YAMLError, ValueError):
        found = None
    if not isinstance(found, list):
        raise OmnifuseError(f"{where} {text}: write names with commas between them, such as concat,product")
    return [word for word in found if word is not None]


def _encoders(words: list[str]) -> dict[str, list[Any]]:
    """By column, what `COLUMN=NAME,…` names; a column that is named twice gets both."""
    found: dict[str, list[Any]] = {}
    for word in words:
        column, equals, names = word.partition("=")
        if not equals or not names.strip():
            raise OmnifuseError(f"--encoder {word}: write it as COLUMN=NAME, such as image=cnn,vit")
        found.setdefault(column.strip(), []).extend(_parts(names, "--encoder"))
    return found


def _names(text: str, inputs: list[str]) -> list[str]:
    """Columns with commas between them; the name of a column may hold a comma itself."""
    if text.strip() in inputs:
        return [text.strip()]
    return [name.strip() for name in text.split(",") if name.strip()]
