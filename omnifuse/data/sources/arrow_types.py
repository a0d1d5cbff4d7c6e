"""Arrow types of rows of Python values, found chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from omnifuse.core.errors import OmnifuseError

if TYPE_CHECKING:
    import pyarrow as pa

PLAIN = (bool, int, float, str)


class Types:
    """Unites the types of a column over all chunks; words take in what else does not go together."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Look at some rows; columns that Arrow cannot hold count as objects (binary)."""
        import pyarrow as pa

        for name in dict.fromkeys(name for row in rows for name in row):
            try:
                found = column_array([row.get(name) for row in rows], name).type
            except OmnifuseError:
                found = pa.binary()
            self._found[name] = united(self._found.get(name, pa.null()), found)

    def add_schema(self, schema: pa.Schema) -> None:
        """Types of rows that are an Arrow table already."""
        import pyarrow as pa

        for field in schema:
            self._found[field.name] = united(self._found.get(field.name, pa.null()), field.type)

    def schema(self, names: Sequence[str]) -> pa.Schema:
        """The types so far; a column that was always absent holds words."""
        import pyarrow as pa

        types = {name: self._found.get(name, pa.null()) for name in names}
        return pa.schema([(name, pa.string() if pa.types.is_null(kind) else kind) for name, kind in types.items()])


def united(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The type that holds values of both: wider numbers, united structs, else words."""
    import pyarrow as pa

    if one == other:
        return one
    try:
        schemas = [pa.schema([("x", one)]), pa.schema([("x", other)])]
        return pa.unify_schemas(schemas, promote_options="permissive").field("x").type
    except pa.ArrowException:
        flat = not any(map(pa.types.is_nested, (one, other))) and pa.binary() not in (one, other)
        return pa.string() if flat else pa.binary()


def column_array(values: list[Any], name: str, kind: pa.DataType | None = None) -> pa.Array:
    """Values of one column as an Arrow array.

    Raises:
        OmnifuseError: objects that Arrow cannot hold, such as pictures, or values of kinds that do not go together.
    """
    import pyarrow as pa

    plain = [_plain(value, name) for value in values]
    if kind is not None and pa.types.is_string(kind):
        plain = [value if value is None or isinstance(value, str) else str(value) for value in plain]
    try:
        return pa.array(plain, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        if all(value is None or isinstance(value, PLAIN) for value in plain):
            return pa.array([None if value is None else str(value) for value in plain], pa.string())
        kinds = sorted({type(value).__name__ for value in plain if value is not None})
        raise OmnifuseError(f'column "{name}": {" and ".join(kinds)} do not fit into one column of a table; make them alike') from None


def _plain(value: Any, name: str) -> Any:
    """A value in the words of Arrow."""
    if value is None or isinstance(value, (*PLAIN, bytes)):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, np.ndarray):
        if value.ndim != 1:
            raise OmnifuseError(f'column "{name}": an array of shape {value.shape} does not fit into a table; save it and give its path')
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(each, name) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, list | tuple):
        return [_plain(each, name) for each in value]
    if type(value).__module__.split(".")[0] in ("datetime", "decimal", "pandas", "uuid"):
        return value if type(value).__module__ != "uuid" else str(value)
    raise OmnifuseError(f'column "{name}": {type(value).__name__} objects do not fit into a table; save them and give their paths')
