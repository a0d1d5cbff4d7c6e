"""Which rows `omnifuse annotate` works on: those of a recipe, a dataset, a run, or of a table beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from omnifuse.core.atomic import read_json
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema

if TYPE_CHECKING:
    from omnifuse.data.annotate.rows import Chunk
    from omnifuse.data.dataset import Dataset
    from omnifuse.pipeline.pipeline import Pipeline


@dataclass
class OpenedRows:
    """Rows, their schema, and the model that knows them.

    Attributes:
        schema: the columns.
        dataset: the prepared dataset, where there is one.
        pipeline: of a run, where one is given.
        table: rows that are not in the dataset, where they are given.
        root: folder of relative media paths of the table.
        bad: what is wrong with rows of the table that could not be read.
    """

    schema: Schema
    dataset: Dataset | None
    pipeline: Pipeline | None
    table: Path | None
    root: Path
    bad: list[str] = field(default_factory=list)

    def chunks(self) -> Iterator[Chunk]:
        """The rows, a few at a time; from the first on, whenever it is called."""
        from omnifuse.data.annotate.rows import dataset_chunks, table_chunks
        from omnifuse.data.table import read_table

        if self.table is None:
            assert self.dataset is not None, "there is a table or a dataset"
            return dataset_chunks(self.dataset)
        self.bad.clear()
        processors = self.pipeline.processors if self.pipeline else None
        return table_chunks(read_table(self.table), self.schema, self.root, processors, self.bad)

    def labels(self, columns: Sequence[str], more: Sequence[str]) -> dict[str, list[str]]:
        """By column that is asked for, the labels to choose from: those of the dataset and those that are named."""
        from omnifuse.data.annotate.label_studio import known_labels

        known = {}
        for name in columns:
            if self.schema[name].modality in ("category", "set"):
                values = [] if self.dataset is None or name not in self.dataset.schema.used else self.dataset.present(name)
                known[name] = known_labels(self.schema[name], list(dict.fromkeys(values)), more)
        return known


def open_rows(source: Path, table: Path | None, run: Path | None, root: Path | None) -> OpenedRows:
    """Find rows, schema and model.

    Args:
        source: a recipe, a prepared dataset, or a trained run.
        table: rows in place of those of the dataset.
        run: a trained run.
        root: folder of relative media paths of the table.

    Raises:
        OmnifuseError: the source is none of these, or the run was trained on other columns.
    """
    from omnifuse.data.dataset import Dataset

    dataset, schema, pipeline = None, None, None
    if (source / "manifest.json").exists():
        dataset = Dataset.open(source)
        schema = dataset.schema
    elif (source / "config.json").exists():
        about = read_json(source / "config.json", "trained run")
        schema = Schema.parse(about["columns"])
        dataset = _of_run(about.get("dataset"), table)
        root = root or (Path(about["root"]) if about.get("root") else None)
        run = run or source
    elif source.is_file():
        schema, dataset, root = _of_recipe(source, table, root)
    else:
        raise OmnifuseError(f"{source}: is no recipe, no prepared dataset (manifest.json) and no trained run (config.json)")
    if run is not None:
        from omnifuse.pipeline.pipeline import Pipeline

        pipeline = Pipeline.load(run)
        _check_columns(schema, pipeline.schema, run)
    if table is None and dataset is None:
        raise OmnifuseError(f"{source}: its dataset is no longer there; give the rows by --table")
    return OpenedRows(schema, dataset, pipeline, table, root or (table.parent if table else Path.cwd()))


def _of_run(folder: str | None, table: Path | None) -> Dataset | None:
    """The dataset a run was trained on, if it is still there; beside a table, also none if it cannot be read any more."""
    from omnifuse.data.dataset import Dataset

    if not folder or not Path(folder).is_dir():
        return None
    try:
        return Dataset.open(folder)
    except OmnifuseError:
        if table is None:
            raise
        return None


def _of_recipe(path: Path, table: Path | None, root: Path | None) -> tuple[Schema, Dataset | None, Path | None]:
    """Schema and dataset of a recipe; without any labels yet, a table is enough."""
    from omnifuse.cli.progress import console, counting
    from omnifuse.train.fit import prepare_recipe
    from omnifuse.train.recipe import Recipe

    recipe = Recipe.load(path)
    root = root or (path.parent / recipe.data.root if recipe.data.root else None)
    try:
        with counting("reading") as progress:
            return recipe.columns, prepare_recipe(recipe, path.parent, progress=progress), root
    except OmnifuseError as error:
        if table is None:
            raise
        console.print(f"No labels of the recipe's own data are offered: {error}")
        return recipe.columns, None, root


def _check_columns(schema: Schema, trained: Schema, run: Path) -> None:
    for name in trained.inputs:
        if name not in schema or schema[name].modality != trained[name].modality:
            raise OmnifuseError(f"{run}: was trained on a column {name} ({trained[name].modality}) that these rows do not have")
