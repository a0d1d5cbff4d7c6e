"""Tables that are Python objects: lists, dicts, pandas, PyArrow and Daft tables, Hugging Face datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from omnifuse.core.errors import OmnifuseError, first_line
from omnifuse.data.table import Table

if TYPE_CHECKING:
    import daft
    import pyarrow as pa

BATCH_ROWS = 256


def read_object(source: Any) -> Table:
    """A table of an object that holds rows.

    Raises:
        OmnifuseError: it holds none, or two columns of one name.
    """
    kind = f"{type(source).__module__}.{type(source).__name__}"
    if kind.startswith("datasets."):
        from omnifuse.data.sources.datasets import read_dataset

        return read_dataset(source)
    if isinstance(source, Table):
        return source
    if isinstance(source, Mapping):
        lengths = {name: len(values) if hasattr(values, "__len__") else 0 for name, values in source.items()}
        if len(set(lengths.values())) > 1:
            raise OmnifuseError(f"the columns have different lengths ({', '.join(f'{n}: {c}' for n, c in lengths.items())})")
        return _listed([dict(zip(source, row, strict=True)) for row in zip(*source.values(), strict=True)], list(source))
    if isinstance(source, Sequence):
        if not source or not all(isinstance(row, Mapping) for row in source):
            raise OmnifuseError("the list of rows is empty or holds something that is not a dict")
        return _listed(source, list(dict.fromkeys(name for row in source for name in row)))
    if kind.startswith("pandas."):
        if not source.columns.is_unique:
            raise OmnifuseError("the data frame has two columns of one name; rename one of them")
        return _listed(source.to_dict("records"), list(source.columns))
    if kind.startswith("pyarrow."):
        return _batched(source.schema, lambda columns: (source if columns is None else source.select(columns)).to_batches(BATCH_ROWS))
    if kind.startswith("daft."):
        return _batched(source.schema().to_pyarrow_schema(), lambda columns: _frame_batches(source, columns))
    raise OmnifuseError(f"cannot read a table from {kind}; give a path, a list of dicts, a pandas or PyArrow table")


def _batched(schema: pa.Schema, batches: Callable[[list[str] | None], Iterable[Any]]) -> Table:
    """Rows of Arrow batches, of which only some columns may be asked for."""
    for name in schema.names:
        if schema.names.count(name) > 1:
            raise OmnifuseError(f'the column "{name}" is there twice; rename one of them')

    def rows(columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        wanted = None if columns is None else [name for name in schema.names if name in columns]
        for batch in batches(wanted):
            yield from batch.to_pylist()

    return Table(schema.names, rows, types=schema, select=rows, arrow=lambda columns: iter(batches(list(columns))))


def _frame_batches(frame: daft.DataFrame, columns: list[str] | None) -> Iterator[Any]:
    try:
        yield from (frame if columns is None else frame.select(*columns)).to_arrow_iter()
    except Exception as error:  # Daft raises many kinds, and finds damage only when it reads
        raise OmnifuseError(f"the table cannot be read ({first_line(error)})") from None


def _listed(rows: Sequence[Mapping[Any, Any]], names: list[Any]) -> Table:
    """Rows of Python objects; column names become words, scalars of NumPy become Python's."""
    words = [str(name) for name in names]
    for word in words:
        if words.count(word) > 1:
            raise OmnifuseError(f'the column "{word}" is there twice; rename one of them')

    def each() -> Iterator[dict[str, Any]]:
        for row in rows:
            yield {
                word: value.item() if isinstance(value := row.get(name), np.generic) else value
                for word, name in zip(words, names, strict=True)
            }

    return Table(words, each)
