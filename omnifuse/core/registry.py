"""Explicit tables of named parts. Listing and validating them loads no PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from omnifuse.core.config import Config
from omnifuse.core.errors import OmnifuseError, unknown

T = TypeVar("T", bound=Callable[..., Any])


class PartConfig(Config):
    """Options of one registered part; `name` says which part they belong to."""

    name: str


@dataclass(frozen=True)
class Entry:
    """A named part: its options, and where its class or function lives (`package.module:Class`, or the object itself)."""

    config: type[PartConfig]
    home: str | Callable[..., Any]

    def load(self) -> Any:
        """Import the class or function of the part."""
        if not isinstance(self.home, str):
            return self.home
        module, _, attribute = self.home.partition(":")
        return getattr(import_module(module), attribute)

    @property
    def summary(self) -> str:
        """First sentence of the options' docstring."""
        return (self.config.__doc__ or "").strip().split("\n")[0]


class Registry(Mapping[str, Entry]):
    """A table of parts of one kind (`encoder`, `fusion`, `head`, `modality`, `optimizer`, `source`).

    Iterating gives the names. Extend it with a decorator:

        class MyConfig(PartConfig):
            name: str = "mine"

        @FUSIONS.register(MyConfig)
        class Mine(Fusion): ...
    """

    def __init__(self, kind: str, entries: Mapping[type[PartConfig], str]) -> None:
        """Args: kind: what one entry is called in messages; entries: options class → import path."""
        self.kind = kind
        self._entries = {_name_of(config): Entry(config, home) for config, home in entries.items()}

    def __getitem__(self, name: str) -> Entry:
        if name not in self._entries:
            raise unknown(self.kind, name, self._entries)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def register(self, config: type[PartConfig]) -> Callable[[T], T]:
        """Add a class of your own under the name its options carry; a taken name is refused."""

        def add(home: T) -> T:
            name = _name_of(config)
            if name in self._entries:
                raise OmnifuseError(f'{self.kind} "{name}" is already registered; give yours another name')
            self._entries[name] = Entry(config, home)
            return home

        return add

    def parse(self, value: Any, where: str = "", default: str | None = None) -> PartConfig:
        """Read a choice of part: its name alone, or a mapping with its options and `name` (or the `default`)."""
        if isinstance(value, PartConfig):
            return value
        options = {"name": value} if isinstance(value, str) else value
        if default and isinstance(options, dict):
            options = {"name": default, **options}
        if not isinstance(options, dict) or not isinstance(options.get("name"), str):
            place = f"{where}: " if where else ""
            raise OmnifuseError(f"{place}expected the name of a {self.kind} or a mapping with `name`, got {value!r}")
        if options["name"] not in self._entries:
            raise unknown(self.kind, options["name"], self._entries, where=where)
        return self._entries[options["name"]].config.parse(options, where)

    def build(self, config: PartConfig, *args: Any, **kwargs: Any) -> Any:
        """Import the class that `config` belongs to and make one: `Class(config, *args, **kwargs)`."""
        return self[config.name].load()(config, *args, **kwargs)


def _name_of(config: type[PartConfig]) -> str:
    name = config.model_fields["name"].default
    assert isinstance(name, str), f"{config.__name__}.name needs a default"
    return name
