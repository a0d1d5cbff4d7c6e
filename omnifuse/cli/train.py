"""`omnifuse train`: recipe → trained run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from omnifuse.cli.options import RecipeFile, Settings


def train(
    recipe: RecipeFile,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="RUN", help="Folder of the run; made anew.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, from its last checkpoint.")] = False,
    settings: Settings = [],  # noqa: B006 (typer copies it)
) -> None:
    """Train a model; the data are prepared when needed."""
    from omnifuse.cli.progress import counting, training_bar
    from omnifuse.train.fit import prepare_recipe
    from omnifuse.train.fit import train as run
    from omnifuse.train.recipe import Recipe
    from omnifuse.train.run_folder import check_run

    loaded = Recipe.load(recipe, settings)
    loaded.columns.check_trainable()
    check_run(out, resume)
    if os.environ.get("RANK", "0") == "0":  # the other ranks of a distributed run find it done
        with counting("reading") as progress:
            prepare_recipe(loaded, recipe.parent, progress=progress)
    with training_bar() as bar:
        run(loaded, out, base=recipe.parent, resume=resume, observer=bar)
        bar.said(f"Trained: {out}. Next: omnifuse evaluate {out}")
