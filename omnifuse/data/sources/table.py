"""A table of files: one, or all that a pattern finds."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.fetch import is_address
from omnifuse.data.sources.bad_rows import BadRows
from omnifuse.data.sources.config import TableSourceConfig
from omnifuse.data.sources.formats import format_of
from omnifuse.data.sources.part import Part, joined
from omnifuse.data.sources.places import files_of, fixed_folder
from omnifuse.data.table import Table


def read(config: TableSourceConfig, base: Path) -> Table:
    """Open the files as one table; columns of Parquet that are not asked for are not read."""
    files = files_of(config.path, base)
    if files[0].is_dir():
        raise OmnifuseError(f"{files[0]}: is a folder; give the table inside it, or `name: folder` with options of that kind")
    kinds = {file: config.format or format_of(file) for file in files}
    if len(set(kinds.values())) > 1:
        one, other = (next(file for file in files if kinds[file] == kind) for kind in sorted(set(kinds.values()))[:2])
        raise OmnifuseError(f"{config.path}: {one} is {kinds[one]} and {other} is {kinds[other]}; give them as sources of their own")
    root = None if is_address(config.path) else fixed_folder(config.path, base)
    bad = BadRows()
    return joined([_part(file, kinds[file], config, root, bad) for file in files], bad)


def groups_of(pattern: str, name: str, option: str) -> dict[str, str | None]:
    """What the named groups of a pattern find in a path.

    Raises:
        OmnifuseError: the pattern has no named group or is none, or it does not match.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise OmnifuseError(f"{option}: {pattern} is not a regular expression ({error})") from None
    if not expression.groupindex:
        raise OmnifuseError(f"{option}: {pattern} has no named group, such as (?P<speaker>[a-z]+)")
    match = expression.search(name)
    if match is None:
        raise OmnifuseError(f'{option}: {pattern} does not match "{name}"; mend it, or narrow which files are read')
    return match.groupdict()


def _part(file: Path, kind: str, config: TableSourceConfig, root: Path | None, bad: BadRows) -> Part:
    from omnifuse.data.sources import arrow_file, csv_file, jsonl_file, ts_file

    name = file.name if root is None else file.relative_to(root).as_posix()
    added = {config.file_column: name} if config.file_column else {}
    if config.pattern:
        added |= groups_of(config.pattern, name, "pattern")
    if kind in ("csv", "tsv"):
        part = csv_file.open_csv(file, config.delimiter or ("\t" if kind == "tsv" else ","), config, bad)
    elif kind == "jsonl":
        part = jsonl_file.open_jsonl(file, config, bad)
    elif kind == "ts":
        part = ts_file.open_ts(file, config, bad)
    else:
        part = arrow_file.open_parquet(file) if kind == "parquet" else arrow_file.open_arrow(file)
    return replace(part, name=name, added=added)
