"""From sources to one dataset on disk: canonical values, media stored once, splits, a manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omnifuse.core.atomic import replacing, write_json
from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.schema import Schema
from omnifuse.data.config import SPLITS, DataConfig, Split
from omnifuse.data.dataset import FORMAT, GROUP, ID, SPLIT, Dataset
from omnifuse.data.fetch import BadValue
from omnifuse.data.media import Media
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.data.modalities.processor import is_absent
from omnifuse.data.split import assign_splits, check_splits, read_splits
from omnifuse.data.table import Table, fingerprint, iterate_rows, read_table

Progress = Callable[[int], None]


@dataclass
class Rows:
    """Canonical rows of one source, ready to be split."""

    values: list[dict[str, Any]] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    dropped: int = 0


def prepare(
    sources: Any | Mapping[Split, Any],
    schema: Schema,
    config: DataConfig,
    *,
    store: Path,
    root: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Dataset:
    """Turn one table, or one for each split, into a dataset; reuse it when nothing has changed.

    Every preparation gets a folder of its own in `store`, named by a fingerprint of everything it depends on, and
    appears there only when it is complete: a killed preparation leaves nothing, two at once do not disturb each other.

    Args:
        sources: what `read_table` takes, or a mapping from split to it.
        schema: the columns; those with role `ignore` are not stored.
        config: the `data` section of the recipe.
        store: folder of prepared datasets.
        root: folder of relative media paths; by default the folder of each table.
        seed: seed of the splits.
        progress: called with the number of rows read since the last call.

    Raises:
        OmnifuseError: unknown column, unreadable value (with row and column), empty split, too many bad rows.
    """
    by_split = dict(sources) if isinstance(sources, Mapping) and set(sources) <= set(SPLITS) else {None: sources}
    tables = {split: read_table(source) for split, source in by_split.items()}
    for split, table in tables.items():
        _check_columns(table, schema, config, split)
    version = _version(by_split, schema, config, root, seed)
    target = store / version
    if target.is_dir():
        return Dataset.open(target)
    with replacing(target) as folder:
        folder.mkdir(parents=True)
        rows: list[dict[str, Any]] = []
        quarantined: list[dict[str, Any]] = []
        report: dict[str, Any] = {"sources": {}}
        with Media(folder / "media.lance", int(config.max_file_mb * 1e6)) as media:
            for split, source in by_split.items():
                part = _canonical_rows(tables[split], schema, config, media, _base(source, root), source, progress)
                for row in part.values:
                    row[SPLIT] = split
                rows += part.values
                quarantined += part.quarantined
                counts = {"rows": len(part.values), "quarantined": len(part.quarantined), "without target": part.dropped}
                report["sources"][split or "all"] = counts
        dropped = sum(counts["without target"] for counts in report["sources"].values())
        _check_quarantine(quarantined, len(rows), dropped, config)
        rows.sort(key=lambda row: (row[ID], row[GROUP] or "", row[SPLIT] or ""))  # equal rows of different groups too
        _number_duplicates(rows, by_column=config.split.column is not None)
        _split(rows, config, seed, set(by_split))
        sizes: dict[Split, int] = {split: sum(row[SPLIT] == split for row in rows) for split in SPLITS}
        check_splits(sizes, config.split)
        Dataset.write(folder, rows, schema, report | {"splits": sizes, "seed": seed, "media": len(media)})
        if quarantined:
            write_json(folder / "quarantine.json", quarantined)
    return Dataset.open(target)


def _check_columns(table: Table, schema: Schema, config: DataConfig, split: str | None) -> None:
    names = table.column_names
    where = f" in the {split} table" if split else ""
    for name in schema.used:
        if name not in names:
            raise unknown(f"column{where}", name, names, where="columns")
    for option in ("by", "column"):
        name = getattr(config.split, option)
        if name and name not in names:
            raise unknown(f"column{where}", name, names, where=f"data.split.{option}")


def _version(by_split: Mapping[Any, Any], schema: Schema, config: DataConfig, root: Path | None, seed: int) -> str:
    columns = [(name, schema[name].modality, schema[name].is_target) for name in schema.used]
    settings = config.model_dump(mode="json", include={"root", "split", "bad_values", "quarantine_share", "max_file_mb"})
    prints = [(split, fingerprint(source), _files(source, schema, root)) for split, source in by_split.items()]
    return hashlib.blake2b(repr((FORMAT, columns, sorted(settings.items()), prints, seed)).encode(), digest_size=8).hexdigest()


def _files(source: Any, schema: Schema, root: Path | None) -> str:
    """A word that changes when a media file that the table names is replaced: its size or time differs."""
    names = [name for name in schema.used if processor_class(schema[name].modality).is_media]
    if not names:
        return ""
    base, digest = _base(source, root), hashlib.blake2b(digest_size=16)
    rows = iterate_rows(read_table(source), names)
    for path in sorted({value.strip() for row in rows for value in row.values() if isinstance(value, str) and value.strip()}):
        try:
            stat = (base / path).stat()
            digest.update(f"{path}\x1f{stat.st_size}\x1f{stat.st_mtime_ns}\x1e".encode())
        except (OSError, ValueError):
            digest.update(f"{path}\x1e".encode())
    return digest.hexdigest()


def _base(source: Any, root: Path | None) -> Path:
    """Folder of relative media paths."""
    return root or (Path(source).parent if isinstance(source, str | Path) else Path.cwd())


def _canonical_rows(
    table: Table, schema: Schema, config: DataConfig, media: Media, root: Path, source: Any, progress: Progress | None
) -> Rows:
    """Read a table once, in order; a bad value stops the run or sets its row aside."""
    classes = {name: processor_class(schema[name].modality) for name in schema.used}
    extra = [name for name in (config.split.by, config.split.column) if name and name not in classes]
    name_of_source = str(source) if isinstance(source, str | Path) else "the given table"
    rows = Rows()
    number = 0
    for number, raw in enumerate(iterate_rows(table, [*classes, *extra]), start=1):
        row: dict[str, Any] = {}
        fault: dict[str, Any] | None = None
        for name, cls in classes.items():
            try:
                value = cls.canonical(raw[name])
                row[name] = media.add(value, root, cls) if cls.is_media and value is not None else value
            except BadValue as error:
                shown = raw[name] if isinstance(raw[name], str | int | float) else f"<{type(raw[name]).__name__}>"
                fault = {"source": name_of_source, "row": number, "column": name, "value": shown, "reason": str(error)}
                break
        if progress and number % 500 == 0:
            progress(500)
        if fault is not None:
            if config.bad_values == "error":
                raise OmnifuseError(
                    f"{name_of_source}: row {number}, column {fault['column']}: {fault['value']}: {fault['reason']}"
                    " (mend it, or set data.bad_values: quarantine)"
                )
            rows.quarantined.append(fault)
            continue
        if schema.targets and all(row[name] is None for name in schema.targets):
            rows.dropped += 1
            continue
        row[ID] = hashlib.blake2b(repr(sorted(row.items())).encode(), digest_size=12).hexdigest()
        by = config.split.by or config.split.column
        value = row.get(by, raw.get(by)) if by else None
        row[GROUP] = None if is_absent(value) else str(value).strip() or None
        rows.values.append(row)
    if progress:
        progress(number % 500)
    return rows


def _check_quarantine(quarantined: list[dict[str, Any]], kept: int, dropped: int, config: DataConfig) -> None:
    total = kept + len(quarantined)
    if kept == 0 and dropped:
        raise OmnifuseError(f"data.source: no row is left: none of {dropped + len(quarantined)} has a value in a target")
    if kept == 0:
        first = f"; the first: row {quarantined[0]['row']}, {quarantined[0]['column']}: {quarantined[0]['reason']}" if quarantined else ""
        raise OmnifuseError(f"data.source: no row is left{first}")
    if len(quarantined) > config.quarantine_share * total:
        first = quarantined[0]
        raise OmnifuseError(
            f"data.quarantine_share: {len(quarantined)} of {total} rows are bad, more than {config.quarantine_share:.0%};"
            f" the first: row {first['row']}, column {first['column']}: {first['reason']}"
        )


def _number_duplicates(rows: list[dict[str, Any]], by_column: bool) -> None:
    """Give equal rows (neighbours, for rows are sorted by id) different ids; their group stays one."""
    previous, count = None, 0
    for row in rows:
        base = row[ID]
        if row[GROUP] is None and not by_column:
            row[GROUP] = base
        count = count + 1 if base == previous else 0
        previous = base
        if count:
            row[ID] = f"{base}-{count}"


def _split(rows: list[dict[str, Any]], config: DataConfig, seed: int, given: set[Any]) -> None:
    """Fill in the split of every row that its source does not already say."""
    if config.split.column:
        for row, split in zip(rows, read_splits([row[GROUP] for row in rows], config.split.column), strict=True):
            row[SPLIT] = split
            row[GROUP] = row[ID].partition("-")[0]
        given = given | {row[SPLIT] for row in rows}
    shares: dict[Split, float] = {}
    if "test" not in given:
        shares["test"] = config.split.test
    if "validation" not in given:
        shares["validation"] = config.split.validation
    free = [row for row in rows if row[SPLIT] in (None, "train")]
    for row, split in zip(free, assign_splits([row[GROUP] for row in free], shares, seed), strict=True):
        row[SPLIT] = split
