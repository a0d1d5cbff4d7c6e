"""What rows give of a target that is retrieved: what each of them is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.dataset import Dataset
from omnifuse.data.loader import RawRows
from omnifuse.data.memory import MemoryRows
from omnifuse.data.sources import source_base
from omnifuse.data.table import iterate_rows, read_table
from omnifuse.evaluation.answers import Candidates
from omnifuse.evaluation.asking import candidates_of
from omnifuse.pipeline.pipeline import Pipeline


def given_targets(pipeline: Pipeline, rows: Any, target: str, root: str | Path | None, batch_size: int) -> tuple[list[Any], Candidates]:
    """The canonical value of the target in each row, `None` where it has none, and the different ones with their vectors.

    Raises:
        OmnifuseError: no row has one, or one cannot be read.
    """
    known: RawRows = rows if isinstance(rows, Dataset) else _read(pipeline, rows, target, root)
    values = known.take(range(len(known)), [target])[target]
    with pipeline.evaluating():
        candidates = candidates_of(pipeline, pipeline.loader(known, [target]), target, values, batch_size)
    if not candidates.values:
        raise OmnifuseError(
            f"{target}: candidates are ranked by it; give the rows their {target}, so that there is something to be near to"
        )
    return values, candidates


def _read(pipeline: Pipeline, rows: Any, target: str, root: str | Path | None) -> MemoryRows:
    source = pipeline.schema.sources[target]
    base = Path(root) if root else source_base(rows, Path.cwd()) if isinstance(rows, str | Path) else Path.cwd()
    if isinstance(rows, Mapping) and not (rows and all(isinstance(value, list) for value in rows.values())):
        rows = [rows]
    if isinstance(rows, Sequence) and not isinstance(rows, str):
        given = [{source: row.get(source)} for row in rows]
    else:
        table = read_table(rows)
        given = list(iterate_rows(table, [source])) if source in table.column_names else [{} for _ in iterate_rows(table)]
    most = int(pipeline.max_file_mb * 1e6)
    return MemoryRows(given, pipeline.processors, [target], sources={target: source}, root=base, max_bytes=most)
