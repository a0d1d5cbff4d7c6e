"""A folder of files: a row for each, with what its path and a table beside it say."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.data.sources.bad_rows import BadRows
from omnifuse.data.sources.config import FolderSourceConfig, TableSourceConfig
from omnifuse.data.sources.places import WILD, files_of, local_path
from omnifuse.data.sources.table import groups_of
from omnifuse.data.sources.table import read as read_metadata
from omnifuse.data.table import Table, iterate_rows

TABLE_NAMES = ("file", "file_name", "filename", "path", "image", "audio", "video", "id", "name")


def read(config: FolderSourceConfig, base: Path) -> Table:
    """List the files, sorted; hidden ones are left out, and links that lead in circles are followed once.

    A file without a row in the metadata keeps its row, with those columns absent; a row without a file is set aside. Both are
    counted in the notes of the table.

    Raises:
        OmnifuseError: no folder, no files, no row of the metadata has a file, or a file has two.
    """
    folder = local_path(config.path, base)
    if not folder.is_dir():
        raise OmnifuseError(f"{folder}: {'is a file, not a folder' if folder.exists() else 'no such folder'}")
    own = {path.resolve() for path in metadata_files(config, folder, base)}
    names = [name for name in files_in(config, folder) if (folder / name).resolve() not in own]
    if not names:
        raise OmnifuseError(f"{folder}: is a folder without files such as {config.files}; mend `files` or the path")
    rows = {name: _row(name, config) for name in names}
    if config.label and all(row.get(config.label) is None for row in rows.values()):
        for row in rows.values():  # no class folders
            row.pop(config.label, None)
    columns = list(next(iter(rows.values())))
    bad = BadRows()
    if config.metadata is None:
        return Table(columns, lambda: iter(rows.values()), notes=lambda: {"files": len(rows)})
    table = _metadata(config, folder, base)
    key = _key(table, config, folder, names)
    added = [name for name in table.column_names if name != key]
    if config.label in added and config.label in columns:  # what is written down says more than the folder
        columns.remove(config.label)
    if both := set(added) & set(columns):
        raise OmnifuseError(f'{config.metadata}: has a column "{both.pop()}" that the folder gives too; rename `column` or the groups')

    def joined() -> Iterator[Mapping[str, Any]]:
        bad.begin()
        found = _matched(table, config, key, names, bad)
        bad.notes = {"files": len(rows), "files without metadata": len(rows) - len(found), "rows without a file": len(bad.found)}
        for name, row in rows.items():
            more = found.get(name, {})
            yield row | {column: more.get(column) for column in added}

    return Table([*columns, *added], joined, bad.all, bad.counts)


def files_in(config: FolderSourceConfig, folder: Path) -> list[str]:
    """Relative paths of the files that the pattern finds, sorted."""
    pattern = tuple(config.files.removeprefix("./").split("/"))
    return sorted(name for name in _walk(folder) if _fits(tuple(name.split("/")), pattern))


def metadata_files(config: FolderSourceConfig, folder: Path, base: Path) -> list[Path]:
    """The files of the metadata: relative to the folder, or else to the recipe."""
    if config.metadata is None:
        return []
    return files_of(config.metadata, _metadata_base(config.metadata, folder, base))


def _walk(folder: Path) -> Iterator[str]:
    """Regular files below a folder; a folder that a link leads back to is entered once."""
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        stat = os.stat(place)
        if (stat.st_dev, stat.st_ino) in seen:
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(place).relative_to(folder)
        yield from ((inside / name).as_posix() for name in files if not name.startswith(".") and os.path.isfile(os.path.join(place, name)))


def _fits(steps: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path fits a pattern in which `**` stands for any number of folders."""
    if not pattern:
        return not steps
    if pattern[0] == "**":
        return any(_fits(steps[start:], pattern[1:]) for start in range(len(steps) + 1))
    return bool(steps) and PurePosixPath(steps[0]).match(pattern[0]) and _fits(steps[1:], pattern[1:])


def _row(name: str, config: FolderSourceConfig) -> dict[str, Any]:
    groups = groups_of(config.pattern, name, "data.source.pattern") if config.pattern else {}
    if config.column in groups:
        raise OmnifuseError(f'pattern: a group is called "{config.column}" like the column of paths; rename it, or set `column`')
    row: dict[str, Any] = {config.column: name}
    if config.label and config.label not in groups:
        row[config.label] = PurePosixPath(name).parent.name or None
    return row | groups


def _metadata(config: FolderSourceConfig, folder: Path, base: Path) -> Table:
    assert config.metadata is not None
    return read_metadata(TableSourceConfig(path=config.metadata), _metadata_base(config.metadata, folder, base))


def _metadata_base(metadata: str, folder: Path, base: Path) -> Path:
    return folder if local_path(metadata, folder).exists() or WILD.search(metadata) else base


def _key(table: Table, config: FolderSourceConfig, folder: Path, names: list[str]) -> str:
    """The column of the metadata that names files: the one that is given, or the one that names most."""
    if config.key:
        if config.key not in table.column_names:
            raise unknown("column of the metadata", config.key, table.column_names, where="key")
        return config.key
    spellings = _spellings(names)
    hits: dict[str, int] = defaultdict(int)
    for number, row in enumerate(iterate_rows(table)):
        for column, value in row.items():
            hits[column] += isinstance(value, str) and value.strip() in spellings
        if number == 1000:
            break
    order = {name: place for place, name in enumerate(TABLE_NAMES)}
    best = max(hits, key=lambda name: (hits[name], -order.get(name.lower(), len(order))), default=None)
    if best is None or not hits[best]:
        raise OmnifuseError(f"{config.metadata}: no column names files of {folder}; name it by `key`, or mend the names")
    return best


def _spellings(names: list[str]) -> dict[str, list[str]]:
    """What a file may be called: its relative path, its name, its name without the ending."""
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in names:
        path = PurePosixPath(name)
        for spelling in dict.fromkeys((name, path.name, path.stem, path.with_suffix("").as_posix())):
            spellings[spelling].append(name)
    for name in names:
        spellings[name] = [name]
    return spellings


def _matched(table: Table, config: FolderSourceConfig, key: str, names: list[str], bad: BadRows) -> dict[str, dict[str, Any]]:
    """Rows of the metadata by file."""
    spellings, found = _spellings(names), {}
    for number, row in enumerate(iterate_rows(table), start=1):
        value = "" if row[key] is None else str(row[key]).strip().removeprefix("./")
        places = spellings.get(value, [])
        if len(places) > 1:
            raise OmnifuseError(f'{config.metadata}: row {number}: "{value}" is the name of {" and ".join(places[:2])}; give paths')
        if not places:
            bad.found.append({"source": str(config.metadata), "row": number, "column": key, "value": value[:200], "reason": "no such file"})
            continue
        if places[0] in found:
            raise OmnifuseError(
                f'{config.metadata}: row {number}: "{value}" has a row already; where a file has many rows, give the table as '
                f"`data.source`, with {key} as a column of files"
            )
        found[places[0]] = {name: each for name, each in row.items() if name != key}
    if not found:
        raise OmnifuseError(f"{config.metadata}: no row names a file of the folder; mend `key`, which is {key}")
    return found
