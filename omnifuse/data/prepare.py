"""From sources to one dataset on disk: joined, canonical, cleaned, divided, with a manifest and a report."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from omnifuse.core.atomic import replacing, scratch
from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.schema import Schema
from omnifuse.data.arrange import arrange
from omnifuse.data.config import SPLITS, DataConfig, Split
from omnifuse.data.dataset import FORMAT, GROUP, ID, ORIGIN, SPLIT, Dataset
from omnifuse.data.fetch import is_address, shown
from omnifuse.data.join.config import JoinConfig
from omnifuse.data.modalities.config import column_config
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.data.runner import make_runner
from omnifuse.data.scan import MISSING, Counts, Scanner
from omnifuse.data.sources import read_source, source_base, source_fingerprint, source_name
from omnifuse.data.staging import STRATUM, TIME, Staging
from omnifuse.data.store import Store, reader_of
from omnifuse.data.table import Table, iterate_rows, select_columns, with_absent, with_origins

Progress = Callable[[int], None]
FILES = "files.parquet"


@dataclass
class Part:
    """One source of rows, ready to be read: joined with the others, cut into windows."""

    split: Split | None
    table: Table
    name: str
    root: Path
    opened: list[tuple[str, Table]]
    told: dict[str, Any]


def prepare(
    sources: Any | Mapping[Split, Any],
    schema: Schema,
    config: DataConfig,
    *,
    store: Path,
    base: Path | None = None,
    root: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    lacking: Collection[str] = (),
) -> Dataset:
    """Turn sources into a dataset; reuse what has not changed.

    The store keeps media and what is known of them for all its versions; a version is a folder in it, named by a
    fingerprint of everything it depends on, and appears only when it is complete. A killed preparation goes on with the
    files it has examined, two at once do not disturb each other.

    Args:
        sources: what `data.source` takes, or Python objects; one, or a mapping from split to it.
        schema: the columns; those with role `ignore` are not stored.
        config: the `data` section of the recipe.
        store: folder of the prepared dataset.
        base: folder that paths of sources are relative to; the working directory by default.
        root: folder of relative media paths; by default the folder of each source.
        seed: seed of the splits.
        progress: called with the number of rows read since the last call.
        lacking: columns of the sources that they need not have; they are absent then.

    Raises:
        OmnifuseError: unknown column, media of role `meta`, unreadable value (with row and column), empty split, too many bad rows.
    """
    base = base or Path.cwd()
    by_split = dict(sources) if isinstance(sources, Mapping) and sources and set(sources) <= set(SPLITS) else {None: sources}
    inputs = _fingerprint(by_split, schema, config, base, root, seed)
    _check_meta(schema)
    for version in sorted(store.glob(f"{inputs}-*")):
        if _is_current(version):
            return Dataset.open(version).reading(schema)
    runner = make_runner(config.runner, config.ray_address)
    folders = _folders([source_name(source) for source in by_split.values()])
    parts = [
        _open_part(split, source, folder, schema, config, base, root, lacking)
        for (split, source), folder in zip(by_split.items(), folders, strict=True)
    ]
    for part in parts:
        _check_columns(part, schema, config)
    with scratch(store) as folder:
        with Store(store) as media:
            scanner = Scanner(schema, config, media, runner, folder / "quarantine.csv")
            staging = Staging(folder / "rows.arrow", schema, config.split)
            counts = {part.split: _scan_part(part, scanner, staging, progress) for part in parts}
        _check_counts(counts, config)
        rows, found = arrange(staging.sorted(), schema, config, seed, {part.split for part in parts}, store)
        report = _report(parts, counts, config, seed, found | {"media": len(scanner.keys)})
        version = store / f"{inputs}-{_digest(scanner.files)}"
        with replacing(version) as place:
            place.mkdir(parents=True)
            Dataset.write(place, rows, schema, report)
            _write_files(place / FILES, scanner.files)
            if (folder / "quarantine.csv").exists():
                shutil.copyfile(folder / "quarantine.csv", place / "quarantine.csv")
    return Dataset.open(version)


def _open_part(
    split: Split | None,
    source: Any,
    folder: str,
    schema: Schema,
    config: DataConfig,
    base: Path,
    root: Path | None,
    lacking: Collection[str],
) -> Part:
    """Read a source, cut it into windows, join the others to it."""
    table, told = read_source(source, base), {}
    name = source_name(source)
    opened = [(name, table)]
    table = with_origins(table, name.rstrip("/").rpartition("/")[2], folder)
    if config.windows:
        from omnifuse.data.join.windows import cut_windows

        table, told["windows"] = cut_windows(select_columns(table, _needed(table, schema, config)), config.windows)
    for join in config.join:
        from omnifuse.data.join.join import join_table

        other = join.label or source_name(join.source)
        opened.append((other, read_source(join.source, base)))
        rooted = _rooted(opened[-1][1], join, schema, root or source_base(join.source, base))
        table, report = join_table(table, join, rooted, name=other)
        told.setdefault("joins", []).append(report)
    return Part(split, with_absent(table, lacking), name, root or source_base(source, base), opened, told)


def _folders(names: list[str]) -> list[str]:
    """What tells the folders of several sources apart: `a/` and `b/` for `x/a/rows.csv` and `x/b/rows.csv`, nothing for one folder."""
    folders = [name.rstrip("/").split("/")[:-1] for name in names]
    shared = sum(1 for _ in takewhile(lambda step: len(set(step)) == 1, zip(*folders, strict=False)))
    return ["".join(f"{folder}/" for folder in each[shared:]) for each in folders]


def _needed(table: Table, schema: Schema, config: DataConfig) -> list[str]:
    """The columns of a long table that windows are cut from and that something looks at later."""
    assert config.windows
    windows = config.windows
    wanted = {*schema.sources.values(), *config.split.columns, *windows.by, *windows.columns, *windows.keep, windows.order}
    for join in config.join:
        wanted |= {*join.keys, *(timed.left for timed in (join.asof, join.window) if timed)}
    return [name for name in table.column_names if name in wanted]


def _rooted(table: Table, join: JoinConfig, schema: Schema, root: Path) -> Table:
    """The other table of a join with its paths of media relative to its own folder, not to that of the first."""
    renamed = join.columns if isinstance(join.columns, dict) else {}
    media = {schema[name].source for name in schema.used if processor_class(schema[name].modality).is_media}
    paths = {renamed.get(name, name) for name in media} & set(table.column_names)
    paths -= set(join.keys.values())  # a key has to stay as it is written, or nothing would match
    if not paths:
        return table

    def rows() -> Iterator[dict[str, Any]]:
        for row in iterate_rows(table):
            yield {name: _full(root, value) if name in paths and isinstance(value, str) else value for name, value in row.items()}

    return Table(table.column_names, rows)


def _full(root: Path, path: str) -> str:
    return path if is_address(path) or not path.strip() else str(root / path.strip())


def _scan_part(part: Part, scanner: Scanner, staging: Staging, progress: Progress | None) -> Counts:
    counts = Counts()
    read = 0
    for columns in scanner.scan(part.table, part.name, part.root, counts):
        staging.add(columns, part.split)
        if progress:
            progress(counts.read - read)
        read = counts.read
    for name, table in part.opened:
        scanner.set_aside(table.bad_rows(), counts)
        if notes := table.notes():
            part.told.setdefault("notes", {})[name] = notes
    return counts


def _check_columns(part: Part, schema: Schema, config: DataConfig) -> None:
    names = part.table.column_names
    for name in {ID, SPLIT, GROUP, ORIGIN, STRATUM, TIME} & set(schema.stored):
        raise OmnifuseError(f"columns.{name}: this name is kept for the dataset itself; take another one, with `source: {name}`")
    where = f" in the {part.split} table" if part.split else ""
    for name in schema.stored:
        if schema[name].source not in names:
            raise unknown(f"column{where}", schema[name].source, names, where="columns")
    for option in ("by", "stratify", "time", "column"):
        name = getattr(config.split, option)
        if name and name not in names:
            raise unknown(f"column{where}", name, names, where=f"data.split.{option}")


def _check_meta(schema: Schema) -> None:
    for name in schema.meta:
        if processor_class(schema[name].modality).is_media:
            raise OmnifuseError(
                f"columns.{name}.role: files of the modality {schema[name].modality} are not kept beside the rows as meta;"
                " make it an input, or say what is known of it in a category or a number"
            )


def _check_counts(counts: Mapping[Any, Counts], config: DataConfig) -> None:
    """Stop when nothing is left, or when too much is bad."""
    kept, dropped = sum(c.kept for c in counts.values()), sum(c.without_target for c in counts.values())
    quarantined = sum(c.quarantined for c in counts.values())
    first = next((f"; the first: {c.first_fault}" for c in counts.values() if c.first_fault), "")
    if kept == 0 and dropped:
        raise OmnifuseError(f"data.source: no row is left: none of {dropped + quarantined} has a value in a target{first}")
    if kept == 0:
        read = sum(c.read for c in counts.values())
        raise OmnifuseError(f"data.source: no row is left of the {read} that were read{first}")
    bad = quarantined + sum(c.absent_cells + c.unreadable for c in counts.values())
    total = sum(c.read + c.unreadable for c in counts.values())
    if bad > config.quarantine_share * total:
        raise OmnifuseError(f"data.quarantine_share: {bad} of {total} rows are bad, more than {config.quarantine_share:.0%}{first}")


def _report(parts: list[Part], counts: Mapping[Any, Counts], config: DataConfig, seed: int, found: dict[str, Any]) -> dict[str, Any]:
    """What the manifest tells beside the rows."""
    sources = {part.split or "all": {"name": part.name, **counts[part.split].dump(), **part.told.get("notes", {})} for part in parts}
    windows = [part.told["windows"].dump() for part in parts if "windows" in part.told]
    joins = [report.dump() for part in parts for report in part.told.get("joins", [])]
    options = config.model_dump(mode="json", exclude={"cache_mb", "features_gb", "runner", "ray_address"})
    told = {"sources": sources, "seed": seed, "data": _without_credentials(options)}
    return told | ({"windows": windows} if windows else {}) | ({"joins": joins} if joins else {}) | found


def _without_credentials(value: Any) -> Any:
    """The same options with every address as reports may show it."""
    if isinstance(value, Mapping):
        return {name: _without_credentials(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_credentials(each) for each in value]
    return shown(value) if isinstance(value, str) else value


def _fingerprint(by_split: Mapping[Any, Any], schema: Schema, config: DataConfig, base: Path, root: Path | None, seed: int) -> str:
    """A word for everything that a version depends on, but for the media files that its rows name."""
    options = {name: column_config(schema[name]) for name in schema.stored}
    columns = [(n, schema[n].source, reader_of(o), o.absent, schema[n].is_target) for n, o in options.items()]
    settings = config.model_dump(mode="json", exclude={"source", "store", "cache_mb", "features_gb", "runner", "ray_address"})
    prints = [(split, source_fingerprint(source, base)) for split, source in by_split.items()]
    joined = [source_fingerprint(join.source, base) for join in config.join]
    folders: list[str] = []
    if any(processor_class(schema[name].modality).is_media for name in schema.used):
        sources = [*by_split.values(), *(join.source for join in config.join)]
        folders = [os.path.abspath(root or source_base(source, base)) for source in sources]
    known = (FORMAT, columns, sorted(settings.items()), prints, joined, folders, seed)
    return hashlib.blake2b(repr(known).encode(), digest_size=6).hexdigest()


def _digest(files: Mapping[str, tuple[int, int]]) -> str:
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(files):
        digest.update(f"{path}\x1f{files[path]}\x1e".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _write_files(path: Path, files: Mapping[str, tuple[int, int]]) -> None:
    """Which files the rows name, with size and time, so that a change is seen."""
    names = sorted(name for name in files if not is_address(name))
    columns = {"path": names, "size": [files[name][0] for name in names], "mtime": [files[name][1] for name in names]}
    types = pa.schema([("path", pa.string()), ("size", pa.int64()), ("mtime", pa.int64())])
    pq.write_table(pa.table(columns, schema=types), path, compression="zstd")


def _is_current(version: Path) -> bool:
    """Whether the media files that its rows name are as they were."""
    if not (version / FILES).is_file():
        return False
    try:
        return all(_stands(row) for row in _iterate(version / FILES))
    except (OSError, ValueError):
        raise OmnifuseError(f"{version}: this dataset is damaged; remove it and prepare it again") from None


def _iterate(path: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(65_536):
            yield from batch.to_pylist()


def _stands(row: dict[str, Any]) -> bool:
    try:
        stat = os.stat(row["path"])
    except OSError:
        return (row["size"], row["mtime"]) == MISSING
    return (stat.st_size, stat.st_mtime_ns) == (row["size"], row["mtime"])
