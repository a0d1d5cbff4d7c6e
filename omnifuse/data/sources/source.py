"""A source, in whichever way it is given: what it is, its table, its folder, its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig
from omnifuse.data.fetch import is_address, shown
from omnifuse.data.sources.config import (
    SOURCES,
    DatasetsSourceConfig,
    FolderSourceConfig,
    LanceSourceConfig,
    SqlSourceConfig,
    TableSourceConfig,
    WebDatasetSourceConfig,
    parse_source,
)
from omnifuse.data.sources.formats import printable
from omnifuse.data.sources.places import fixed_folder, local_path
from omnifuse.data.table import Table
from omnifuse.page.words import shorten

TARS = (".tar", ".tar.gz", ".tgz")


def read_source(value: Any, base: Path) -> Table:
    """Open a source without reading its rows.

    Args:
        value: what `data.source` takes (a path, an address, a mapping, a config), or an object that holds rows: a list of
            dicts, a dict of lists, a pandas, PyArrow or Daft table, a Hugging Face dataset.
        base: folder of relative paths.

    Raises:
        OmnifuseError: it is not there, cannot be read, or is of no known kind.
    """
    config = resolve(value, base)
    if config is None:
        from omnifuse.data.sources.objects import read_object

        return read_object(value)
    return SOURCES[config.name].load()(config, base)


def resolve(value: Any, base: Path) -> PartConfig | None:
    """The options that a source stands for; a path alone is what lies there. `None` for an object that holds rows."""
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, Mapping) and not isinstance(value.get("name", value.get("path")), str):
        return None
    if not isinstance(value, str | Mapping | PartConfig):
        return None
    config = parse_source(dict(value) if isinstance(value, Mapping) else value)
    if isinstance(config, TableSourceConfig) and config.model_fields_set <= {"name", "path"}:
        return _what_lies_there(config, base)
    return config


def source_base(value: Any, base: Path) -> Path:
    """The folder that relative paths of media in a source are relative to: that of its files, or `base`."""
    config = resolve(value, base)
    if isinstance(config, FolderSourceConfig):
        return local_path(config.path, base)
    if isinstance(config, DatasetsSourceConfig):
        folder = local_path(config.path, base)
        return folder if _is_folder(folder) else base
    if isinstance(config, SqlSourceConfig):
        from omnifuse.data.sources.sql import database_file

        file = database_file(config, base)
        return file.parent if file else base
    path = getattr(config, "path", None)  # a source of the user's own may have none
    return fixed_folder(path, base) if isinstance(path, str) else base


def source_name(value: Any) -> str:
    """A name for reports and messages; it shows no credentials."""
    if isinstance(value, str | Path):
        return printable(shown(value) if isinstance(value, str) else value)
    config = resolve(value, Path())
    if isinstance(config, SqlSourceConfig):
        return f"{shown(config.connection)}: {' '.join(config.query.split())[:60]}"
    path = getattr(config, "path", None)
    return "the given table" if config is None else printable(shown(path)) if isinstance(path, str) else config.name


def _what_lies_there(config: TableSourceConfig, base: Path) -> PartConfig:
    text = config.path
    ending = text.split("?")[0].lower() if is_address(text) else text.lower()
    if ending.endswith(TARS):
        return WebDatasetSourceConfig(path=text)
    if is_address(text):
        return config
    path = local_path(text, base)
    if not _is_folder(path):
        return config
    if (path / "_versions").is_dir():
        return LanceSourceConfig(path=text)
    if any((path / name).is_file() for name in ("dataset_dict.json", "state.json")):
        return DatasetsSourceConfig(path=text)
    return FolderSourceConfig(path=text)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise OmnifuseError(f"{shorten(str(path), 200)}: cannot be read ({error.strerror})") from None
