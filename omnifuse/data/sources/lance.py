"""A Lance table, a few rows at a time and only the columns that are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError, first_line
from omnifuse.data.fetch import is_address
from omnifuse.data.sources.config import LanceSourceConfig
from omnifuse.data.sources.places import local_path
from omnifuse.data.table import Table

BATCH_ROWS = 256


def read(config: LanceSourceConfig, base: Path) -> Table:
    """Open one version of the table; later versions do not change what is read."""
    opened = _open(config, base)

    def rows(columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        scanner = opened.scanner(columns=None if columns is None else list(columns), batch_size=BATCH_ROWS, batch_readahead=2)
        if columns is not None and not columns:
            yield from ({} for _ in range(opened.count_rows()))
            return
        try:
            for batch in scanner.to_batches():
                yield from batch.to_pylist()
        except Exception as error:  # Lance raises many kinds
            raise _unreadable(config.path, error) from None

    return Table(opened.schema.names, rows, types=opened.schema, select=rows)


def version_of(config: LanceSourceConfig, base: Path) -> str:
    """Place and number of the version that is read, and when it was made."""
    opened = _open(config, base)
    made = next((each["timestamp"] for each in opened.versions() if each["version"] == opened.version), "")
    return f"{local_path(config.path, base).resolve()}:{opened.version}:{made}"


def _open(config: LanceSourceConfig, base: Path) -> Any:
    import lance

    if is_address(config.path):
        raise OmnifuseError(f"{config.path}: Lance tables are read from folders; copy it and give its path")
    path = local_path(config.path, base)
    if not path.is_dir():
        raise OmnifuseError(f"{path}: {'is a file, not a Lance table' if path.exists() else 'no such folder'}")
    if not (path / "_versions").is_dir():
        raise OmnifuseError(f"{path}: is not a Lance table (it has no _versions)")
    try:
        return lance.dataset(str(path), version=config.version)
    except Exception as error:  # Lance raises many kinds
        if config.version is not None and "ersion" in str(error):
            known = [each["version"] for each in lance.dataset(str(path)).versions()]
            raise OmnifuseError(f"{path}: has no version {config.version}; it has {known[0]} to {known[-1]}") from None
        raise _unreadable(path, error) from None


def _unreadable(path: object, error: Exception) -> OmnifuseError:
    return OmnifuseError(f"{path}: this Lance table cannot be read ({first_line(error)})")
