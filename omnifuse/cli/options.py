"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe, such as recipe.yaml; `omnifuse init` makes one.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a trained run.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="PATH=VALUE", help="Change the recipe, such as train.epochs=3. May be repeated.")
]
