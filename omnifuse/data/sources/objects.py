"""Tables that are Python objects: lists, dicts, pandas, PyArrow and Daft tables, Hugging Face datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.table import LocalTable, Table


def read_object(source: Any) -> Table:
    """A table of an object that holds rows.

    Raises:
        OmnifuseError: it holds none, or two columns of one name.
    """
    kind = f"{type(source).__module__}.{type(source).__name__}"
    if kind.startswith("datasets."):
        from omnifuse.data.sources.datasets import read_dataset

        return read_dataset(source)
    if isinstance(source, LocalTable):
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
        import daft

        return daft.from_arrow(source)
    if kind.startswith("daft."):
        return source
    raise OmnifuseError(f"cannot read a table from {kind}; give a path, a list of dicts, a pandas or PyArrow table")


def _listed(rows: Sequence[Mapping[Any, Any]], names: list[Any]) -> LocalTable:
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

    return LocalTable(words, each)
