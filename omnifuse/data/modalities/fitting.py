"""Processors of a whole schema: made, fitted on the training split, saved and loaded together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from omnifuse.core.atomic import read_json, write_json
from omnifuse.core.errors import OmnifuseError, first_line
from omnifuse.core.schema import Column, Schema
from omnifuse.core.spec import InputSpec, ValueSpec
from omnifuse.data.modalities.config import MODALITIES, column_config
from omnifuse.data.modalities.processor import Processor

Processors = Mapping[str, Processor[Any]]
FILE = "processors.json"


class TrainingRows(Protocol):
    """The training split, as fitting needs it."""

    def present(self, name: str) -> Iterator[Any]:
        """Canonical values of a column that are there, in order."""
        ...

    def absent(self, name: str) -> int:
        """How many rows have no value in the column."""
        ...


def processor_class(modality: str) -> type[Processor[Any]]:
    """The class of a modality."""
    return MODALITIES[modality].load()


def fit_processors(schema: Schema, rows: TrainingRows, demands: Mapping[str, InputSpec]) -> dict[str, Processor[Any]]:
    """Make and fit the processor of every column in use, on the training split alone.

    Args:
        schema: the columns.
        rows: the training split.
        demands: what the encoder of a column dictates, by column.

    Raises:
        OmnifuseError: a column without any value, or a target with fewer than two different values.
    """
    processors = {}
    for name in schema.used:
        column = schema[name]
        processor = _make(column, demands.get(name))
        absent = rows.absent(name)
        try:
            processor.fit(rows.present(name))
        except OmnifuseError as error:
            where = f"columns.{name}"
            raise error if where in str(error) else OmnifuseError(f"{where}: {error}") from None
        processor.optional_ = absent > 0
        _check_informative(column, processor, rows)
        processors[name] = processor
    return processors


def save_processors(processors: Processors, folder: Path) -> None:
    """Write the learned state of every processor as one JSON file, `processors.json`."""
    saved = {name: {"options": p.config.model_dump(mode="json"), "state": p.state()} for name, p in processors.items()}
    write_json(folder / FILE, saved)


def load_processors(schema: Schema, folder: Path) -> dict[str, Processor[Any]]:
    """Read what `save_processors` wrote.

    Raises:
        OmnifuseError: the folder does not hold a processor for every column in use.
    """
    saved = read_json(folder / FILE, "set of processors")
    processors = {}
    for name in schema.used:
        if name not in saved:
            raise OmnifuseError(f'{folder / FILE}: the processor of column "{name}" is missing; the files do not belong together')
        try:
            processor = MODALITIES.build(MODALITIES.parse(saved[name]["options"], f"columns.{name}"))
            processor.load_state(saved[name]["state"])
        except Exception as error:  # whatever a damaged file leads a processor to
            fault = first_line(error)
            raise OmnifuseError(f'{folder / FILE}: the processor of column "{name}" is damaged ({fault})') from None
        processors[name] = processor
    return processors


def specs_of(processors: Processors) -> dict[str, ValueSpec]:
    """What every processor promises about its tensors."""
    return {name: processor.spec for name, processor in processors.items()}


def _make(column: Column, demands: InputSpec | None) -> Processor[Any]:
    return MODALITIES.build(column_config(column, demands))


def _check_informative(column: Column, processor: Processor[Any], rows: TrainingRows) -> None:
    first: list[Any] = []
    for value in rows.present(column.name):
        if value not in first:
            first.append(value)
        if len(first) == 2 or not column.is_target:
            break
    if not first:
        raise OmnifuseError(f"columns.{column.name}: the training split has no value in this column; leave it out (role: ignore)")
    if column.is_target and len(first) == 1:
        shown = "a media file" if processor.is_media else repr(first[0])
        raise OmnifuseError(f"columns.{column.name}: every training row has the same value ({shown}); a target needs at least two")
