"""Columns and schemas: what the user's data are, and what is to be learned from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from omnifuse.core.errors import OmnifuseError, nearest, unknown

Role = Literal["input", "target", "both", "meta", "ignore"]
ROLES: tuple[str, ...] = get_args(Role)


@dataclass(frozen=True, init=False)
class Column:
    """One column of the user's data.

    Args:
        name: its name in the table.
        modality: what one value of it is (`image`, `text`, `category`, `number`, …).
        role: `input`, `target`, `both` (given or asked for), `meta` (kept beside the rows, for evaluation and splits; the model
            neither reads nor answers it) or `ignore`.
        source: the column of the table that it reads, its own name by default; so a `video` and an `audio` column can
            read the pictures and the sound of one file.
        options: options of that modality, such as `size=64` for an image; checked by the modality.

    >>> Column("photo", "image", size=64)
    Column('photo', 'image', 'input', size=64)
    """

    name: str
    modality: str
    role: Role = "input"
    source: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def __init__(self, name: str, modality: str, role: Role = "input", source: str | None = None, **options: Any) -> None:
        """Store the parts; an unknown role is refused."""
        if role not in ROLES:
            raise OmnifuseError(f'columns.{name}.role: unknown role "{role}"; {nearest(role, ROLES)}')
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "modality", modality)
        object.__setattr__(self, "role", role)
        object.__setattr__(self, "source", source or name)
        object.__setattr__(self, "options", options)

    def __repr__(self) -> str:
        source = "" if self.source == self.name else f", source={self.source!r}"
        options = "".join(f", {option}={value!r}" for option, value in self.options.items())
        return f"Column({self.name!r}, {self.modality!r}, {self.role!r}{source}{options})"

    @classmethod
    def parse(cls, name: str, value: Any) -> Column:
        """Read a column of a recipe: `image`, or `{modality: image, role: input, size: 64}`."""
        if isinstance(value, Column):
            return value
        if isinstance(value, str):
            return cls(name, value)
        if not isinstance(value, Mapping):
            raise OmnifuseError(f"columns.{name}: expected a modality or a mapping, got {value!r}")
        if "modality" not in value:
            raise OmnifuseError(f"columns.{name}: `modality` is missing (one of text, image, category, number, …)")
        if any(not isinstance(key, str) for key in value):
            raise OmnifuseError(f"columns.{name}: option names must be words, got {list(value)!r}")
        options = dict(value)
        modality, role = str(options.pop("modality")), options.pop("role", "input")
        source = options.pop("source", None)
        if source is not None and not isinstance(source, str):
            raise OmnifuseError(f"columns.{name}.source: expected the name of a column of the table, got {source!r}")
        for option in ("name", "self"):
            if option in options:
                raise OmnifuseError(f"columns.{name}: there is no option `{option}`; the column is named by its key")
        return cls(name, modality, role, source, **options)

    def dump(self) -> dict[str, Any]:
        """The column as a recipe writes it."""
        source = {} if self.source == self.name else {"source": self.source}
        return {"modality": self.modality, "role": self.role, **source, **self.options}

    @property
    def is_input(self) -> bool:
        """Whether the model reads it."""
        return self.role in ("input", "both")

    @property
    def is_target(self) -> bool:
        """Whether the model learns to answer it."""
        return self.role in ("target", "both")


class Schema(Mapping[str, Column]):
    """An ordered set of columns; iterating gives their names.

    >>> schema = Schema([Column("image", "image"), Column("answer", "category", "target")])
    >>> schema.inputs, schema.targets
    (['image'], ['answer'])
    """

    def __init__(self, columns: Iterable[Column]) -> None:
        """Store the columns in order; two of one name are refused."""
        self._columns: dict[str, Column] = {}
        for column in columns:
            if column.name in self._columns:
                raise OmnifuseError(f'columns: "{column.name}" is there twice')
            self._columns[column.name] = column

    @classmethod
    def parse(cls, value: Any) -> Schema:
        """Read the `columns` section of a recipe (name → modality or mapping), or take a schema."""
        if isinstance(value, Schema):
            return value
        if not isinstance(value, Mapping) or not value:
            raise OmnifuseError("columns: name at least one column, such as `columns: {text: text}`")
        return cls(Column.parse(str(name), spec) for name, spec in value.items())

    def dump(self) -> dict[str, dict[str, Any]]:
        """The schema as a recipe writes it."""
        return {name: column.dump() for name, column in self._columns.items()}

    def __getitem__(self, name: str) -> Column:
        if name not in self._columns:
            raise unknown("column", name, self._columns)
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"Schema({list(self._columns.values())!r})"

    @property
    def inputs(self) -> list[str]:
        """Names of the columns the model reads."""
        return [c.name for c in self._columns.values() if c.is_input]

    @property
    def targets(self) -> list[str]:
        """Names of the columns the model learns to answer."""
        return [c.name for c in self._columns.values() if c.is_target]

    @property
    def sources(self) -> dict[str, str]:
        """The column of the table that each column reads that is kept."""
        return {name: self._columns[name].source for name in self.stored}

    @property
    def used(self) -> list[str]:
        """Names of the columns that the model reads or answers."""
        return [c.name for c in self._columns.values() if c.is_input or c.is_target]

    @property
    def meta(self) -> list[str]:
        """Names of the columns that are kept beside the rows; the model neither reads nor answers them."""
        return [c.name for c in self._columns.values() if c.role == "meta"]

    @property
    def stored(self) -> list[str]:
        """Names of the columns that a dataset keeps: those in use, and those beside them."""
        return [c.name for c in self._columns.values() if c.role != "ignore"]

    @property
    def questions(self) -> list[tuple[list[str], list[str]]]:
        """Targets that are answered together, and what is hidden for it: nothing for those of role `target`, each of role `both` itself."""
        alone = [c.name for c in self._columns.values() if c.role == "target"]
        return [*([(alone, [])] if alone else []), *(([c.name], [c.name]) for c in self._columns.values() if c.role == "both")]

    def inputs_for(self, target: str) -> list[str]:
        """The input columns that a target is answered from: one of role `both` is not among its own."""
        hidden = next(hidden for targets, hidden in self.questions if target in targets)
        return [name for name in self.inputs if name not in hidden]

    def check_trainable(self) -> None:
        """Raise unless there is something to read and something to learn."""
        if not self.targets:
            raise OmnifuseError("columns: no column has `role: target`; say which one is to be learned")
        if not self.inputs:
            raise OmnifuseError("columns: no column has `role: input`; the model needs something to read")
