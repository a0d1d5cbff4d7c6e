"""`omnifuse prepare`: sources → dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omnifuse.cli.options import RecipeFile, Settings
from omnifuse.core.errors import OmnifuseError, unknown

if TYPE_CHECKING:
    from omnifuse.data.dataset import Dataset


def prepare(
    recipe: RecipeFile,
    settings: Settings = [],  # noqa: B006 (typer copies it)
    runner: Annotated[str | None, typer.Option("--runner", help="native (this process) or ray (a cluster).")] = None,
    address: Annotated[str | None, typer.Option("--address", help="Of the Ray cluster; one is started here when left out.")] = None,
    export: Annotated[Path | None, typer.Option("--export", metavar="FOLDER", help="Also write the dataset there.")] = None,
    export_format: Annotated[str, typer.Option("--format", help="Of the export: parquet, webdataset or datasets.")] = "parquet",
) -> None:
    """Turn the sources of a recipe into a prepared dataset, with a report (data.html)."""
    from omnifuse.cli.progress import console, counting
    from omnifuse.data.export import FORMATS
    from omnifuse.train.fit import prepare_recipe
    from omnifuse.train.recipe import Recipe

    if export_format not in FORMATS:
        raise unknown("format", export_format, FORMATS, where="--format")
    if export is not None and export.exists():
        raise OmnifuseError(f"--export {export}: is already there; choose another folder")
    chosen = [f"data.runner={runner}"] if runner else []
    chosen += [f"data.ray_address={address}"] if address else []
    loaded = Recipe.load(recipe, [*settings, *chosen])
    with counting("reading") as progress:
        dataset = prepare_recipe(loaded, recipe.parent, progress=progress)
    console.print(describe(dataset), markup=False)
    console.print(f"Dataset: {dataset.path}", markup=False)
    show_report(dataset)
    if export is not None:
        dataset.export(export, export_format)
        console.print(f"Export:  {export} ({export_format})", markup=False)


def show_report(dataset: Dataset) -> None:
    """Write the data report where there is none yet, and say which problems it found."""
    from omnifuse.cli.progress import console
    from omnifuse.data.report.report import write_data_report

    path = dataset.path / "data.html"
    if not path.exists():
        for finding in write_data_report(dataset, path):
            if finding.level == "stop":
                console.print(f"Problem: {finding.text}", style="yellow", markup=False)
    console.print(f"Report:  {path}", markup=False)


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
            lines.append(f"{source}: {counts['quarantined']:,} rows set aside, see {dataset.path / 'quarantine.csv'}")
        if counts["bad cells read as absent"]:
            bad = counts["bad cells read as absent"]
            lines.append(f"{source}: {bad:,} bad values read as absent, see {dataset.path / 'quarantine.csv'}")
        if counts["without target"]:
            lines.append(f"{source}: {counts['without target']:,} rows left out, for they have no target")
    return "\n".join(lines)
