"""`omnifuse prepare`: sources → dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omnifuse.cli.options import RecipeFile, Settings

if TYPE_CHECKING:
    from omnifuse.data.dataset import Dataset


def prepare(recipe: RecipeFile, settings: Settings = []) -> None:  # noqa: B006 (typer copies it)
    """Turn the sources of a recipe into a prepared dataset."""
    from omnifuse.cli.progress import console, counting
    from omnifuse.train.fit import prepare_recipe
    from omnifuse.train.recipe import Recipe

    loaded = Recipe.load(recipe, settings)
    with counting("reading") as progress:
        dataset = prepare_recipe(loaded, recipe.parent, progress=progress)
    console.print(describe(dataset))
    console.print(f"Dataset: {dataset.path}")


def describe(dataset: Dataset) -> str:
    """Counts of a dataset in a few lines."""
    manifest = dataset.manifest
    splits = ", ".join(f"{name} {count:,}" for name, count in manifest["splits"].items())
    lines = [f"{manifest['rows']:,} rows: {splits}; {manifest['media']:,} different media files"]
    absent = {name: count for name, count in manifest["absent"].items() if count}
    if absent:
        lines.append("absent: " + ", ".join(f"{name} {count:,} ({count / manifest['rows']:.1%})" for name, count in absent.items()))
    for source, counts in manifest["sources"].items():
        if counts["quarantined"]:
            lines.append(f"{source}: {counts['quarantined']:,} rows set aside, see {dataset.path / 'quarantine.json'}")
        if counts["without target"]:
            lines.append(f"{source}: {counts['without target']:,} rows left out, for they have no target")
    return "\n".join(lines)
