"""Arrow types of the values of JSON, found chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
            self._found[name] = united(self._found.get(name, pa.null()), _type([row.get(name) for row in rows]))

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


def _type(values: list[Any]) -> pa.DataType:
    import pyarrow as pa

    try:
        return pa.array(values).type
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.string() if all(value is None or isinstance(value, PLAIN) for value in values) else pa.binary()
