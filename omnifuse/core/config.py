"""The base of every section of a recipe: strict fields, and errors that name the nearest one."""

from __future__ import annotations

from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from omnifuse.core.errors import OmnifuseError, nearest, unknown


class Config(BaseModel):
    """A section of a recipe. Unknown fields are refused; instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    @classmethod
    def parse(cls, value: Any, where: str = "") -> Self:
        """Validate `value` (a mapping or an instance of this class).

        Args:
            value: what the user wrote.
            where: its path in the recipe, used in messages (`model.fusion`).

        Raises:
            OmnifuseError: one line with the path, the fault and the nearest valid name.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict):
            raise OmnifuseError(f"{where or cls.__name__}: expected a mapping of options, got {value!r}")
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise explain(error, cls, where) from None


def explain(error: ValidationError, config: type[BaseModel], where: str = "") -> OmnifuseError:
    """Turn the first fault that pydantic found into one line for the user."""
    first = error.errors()[0]
    nested = first.get("ctx", {}).get("error")
    path = ".".join([where, *map(str, first["loc"])]).strip(".")
    if isinstance(nested, OmnifuseError):  # a part of the recipe that explained itself
        message = str(nested)
        return OmnifuseError(message if message.startswith(path) else f"{path}: {message}")
    if first["type"] == "extra_forbidden":
        *parents, name = first["loc"]
        fields = _fields_at(config, parents)
        return unknown("option", name, fields, where=".".join([where, *map(str, parents)]).strip("."))
    if first["type"] == "missing":
        return OmnifuseError(f"{path}: this option is required")
    fault = first["msg"].removeprefix("Value error, ")
    fault = fault[:1].lower() + fault[1:]
    if first["type"] in ("tuple_type", "list_type"):
        fault = "expected a list, as [one, two] or a line with `- ` for each"
    if first["type"] == "literal_error":
        expected = [word.strip(" '") for word in str(first.get("ctx", {}).get("expected")).replace(" or ", ",").split(",")]
        fault = nearest(first["input"], expected)
    return OmnifuseError(f"{path}: {fault} (got {first['input']!r})")


def _fields_at(config: type[BaseModel], path: list[int | str]) -> list[str]:
    """Names of the fields of the section that `path` leads to, starting at `config`."""
    for step in path:
        if isinstance(step, int):  # a place in a list of sections
            continue
        field = config.model_fields.get(str(step))
        sections = [] if field is None else _sections_in(field.annotation)
        if not sections:
            return []
        config = sections[0]
    return list(config.model_fields)


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a type stands for: itself, one of a union, the items of a tuple or a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections_in(part)]
