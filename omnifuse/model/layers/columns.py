"""Modules kept by column name, whatever the user calls the columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from torch import nn


class ColumnModules(nn.Module):
    """A mapping from column names to modules; `values` or `a.b` are good names too.

    `nn.ModuleDict` refuses names with dots and names of its own methods, so weights are kept under `@` + the quoted name.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        """Args: modules: by column."""
        super().__init__()
        self._keys = {name: "@" + quote(name, safe=" ").replace(".", "%2E") for name in modules}
        for name, module in modules.items():
            self.add_module(self._keys[name], module)

    def key(self, name: str) -> str:
        """What the weights of a column are kept under."""
        return self._keys[name]

    def __getitem__(self, name: str) -> nn.Module:
        return getattr(self, self._keys[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
