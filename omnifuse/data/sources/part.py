"""One file of a table, and many of them as one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.sources.bad_rows import BadRows
from omnifuse.data.table import READ_FROM, Table

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Part:
    """A file of rows.

    Attributes:
        path: the file.
        name: what it is called where rows are said to come from it.
        names: its columns.
        rows: begins to read; given names, it may leave out other columns.
        types: Arrow types of its columns where they are known.
        arrow: begins to read columns as Arrow batches, where they lie in such.
        added: columns whose one value the whole file has.
        is_fixed: every file of the table must have the same columns; else what a file does not have is absent.
    """

    path: Path
    name: str
    names: list[str]
    rows: Callable[[Sequence[str] | None], Iterator[Mapping[str, Any]]]
    types: pa.Schema | None = None
    arrow: Callable[[Sequence[str]], Iterator[pa.RecordBatch]] | None = None
    added: Mapping[str, str | None] | None = None
    is_fixed: bool = True


def joined(parts: Sequence[Part], bad: BadRows) -> Table:
    """Files one after another as one table.

    Raises:
        OmnifuseError: their columns differ, or one is called like a column that is added.
    """
    first = parts[0]
    for part in parts:
        if part.is_fixed and set(part.names) != set(first.names):
            name = sorted(set(part.names) ^ set(first.names))[0]
            has, lacks = (part, first) if name in part.names else (first, part)
            raise OmnifuseError(f'{has.path} has a column "{name}" that {lacks.path} does not have; make them alike, or join them')
        for name in part.added or {}:
            if name in part.names:
                raise OmnifuseError(f'{part.path}: already has a column "{name}"; choose another name for what is added')
    own = list(dict.fromkeys(name for part in parts for name in part.names))
    added = list(dict.fromkeys(name for part in parts for name in part.added or {}))

    def rows(columns: Sequence[str] | None = None) -> Iterator[Mapping[str, Any]]:
        bad.begin()
        for part in parts:
            wanted = None if columns is None else [name for name in part.names if name in columns]
            found = part.rows(wanted)
            if extra := dict(part.added or {}):
                found = ({**row, **extra} for row in found)
            yield from _numbered(found, part.name, bad) if columns is not None and READ_FROM in columns else found

    return Table([*own, *added], rows, bad.all, bad.counts, _types(parts), rows, _arrow(parts), has_origins=True)


def _arrow(parts: Sequence[Part]) -> Callable[[Sequence[str]], Iterator[pa.RecordBatch]] | None:
    if any(part.added or part.arrow is None for part in parts):
        return None
    return lambda columns: (batch for part in parts if part.arrow for batch in part.arrow(columns))


def _numbered(rows: Iterator[Mapping[str, Any]], name: str, bad: BadRows) -> Iterator[Mapping[str, Any]]:
    """Rows with their numbers in the file, those that were set aside counted too."""
    before = len(bad.found)
    for number, row in enumerate(rows, start=1):
        yield {**row, READ_FROM: f"{name}:{number + len(bad.found) - before}"}


def _types(parts: Sequence[Part]) -> pa.Schema | None:
    import pyarrow as pa

    known = [part.types for part in parts if part.types is not None]
    try:
        return pa.unify_schemas(known, promote_options="permissive") if known else None
    except pa.ArrowException:
        return None
