"""Raw rows in memory, read like a dataset: what a user hands over to be predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.fetch import BadValue, fetch, shown
from omnifuse.data.modalities.fitting import Processors
from omnifuse.data.store import media_key


class MemoryRows:
    """Rows given as dicts, made canonical; files are fetched when they are asked for, each once.

    Args:
        rows: raw rows; a column that a row does not have is absent.
        processors: by column.
        sources: the column of the rows that each column reads, where it is another.
        columns: which columns are read.
        root: folder of relative media paths.
        max_bytes: larger files are refused unread.
        first: number of the first row in messages.

    Raises:
        OmnifuseError: a value that cannot be read, with its row and column.
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        processors: Processors,
        columns: Sequence[str],
        *,
        sources: Mapping[str, str] | None = None,
        root: Path | None = None,
        max_bytes: int = 64_000_000,
        first: int = 1,
    ) -> None:
        """Make every value canonical."""
        self._files: dict[str, bytes] = {}
        self._count = len(rows)
        self._values: dict[str, list[Any]] = {name: [] for name in columns}
        for number, row in enumerate(rows, start=first):
            for name in columns:
                processor, given = processors[name], row.get((sources or {}).get(name, name))
                try:
                    value = processor.read(given)
                    if processor.is_media and value is not None:
                        value = self._keep(value, root or Path.cwd(), max_bytes, processor)
                except BadValue as error:
                    place = f"{shown(str(given))}: " if isinstance(given, str | Path) else ""
                    raise OmnifuseError(f"row {number}, column {name}: {place}{error}") from None
                self._values[name].append(value)

    def __len__(self) -> int:
        return self._count

    def take(self, index: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
        """Canonical values of the rows at `index`, by column."""
        return {name: [self._values[name][i] for i in index] for name in columns or self._values}

    def media(self, keys: Sequence[str]) -> list[bytes]:
        """Files by key."""
        return [self._files[key] for key in keys]

    def _keep(self, value: str | bytes, root: Path, max_bytes: int, processor: Any) -> str:
        data = fetch(value, root, max_bytes) if isinstance(value, str) else value
        key = media_key(data)
        if key not in self._files:
            processor.inspect(data)
            self._files[key] = data
        return key
