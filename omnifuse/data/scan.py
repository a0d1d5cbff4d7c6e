"""Reading rows once: every value made canonical, every file examined once, bad values told."""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig
from omnifuse.data.fetch import BadValue, fetch, is_address, shown
from omnifuse.data.modalities.config import MODALITIES, ModalityConfig, column_config
from omnifuse.data.modalities.processor import Facts, MediaProcessor, Processor
from omnifuse.data.runner import Runner
from omnifuse.data.store import Store, media_key, reader_of
from omnifuse.data.table import READ_FROM, Table, iterate_rows

CHUNK_ROWS, CHUNK_BYTES = 2048, 64_000_000
TASK_FILES, TASK_BYTES = 32, 16_000_000
MISSING = (-2, -2)  # size and time of a file that is not there
LIGHT = (float, int, bool, type(None))
MOST_KNOWN, SHORT = 50_000, 100  # words of a column that are remembered, and letters of each
QUARANTINE = ("source", "row", "column", "value", "reason")


@dataclass
class Counts:
    """What became of the rows of one source."""

    read: int = 0
    kept: int = 0
    quarantined: int = 0
    without_target: int = 0
    unreadable: int = 0
    absent_cells: int = 0
    absent_words: Counter[tuple[str, str]] = field(default_factory=Counter)
    first_fault: str = ""

    def dump(self) -> dict[str, Any]:
        """As the manifest tells it."""
        words: dict[str, dict[str, int]] = {}
        for (column, word), count in sorted(self.absent_words.items()):
            words.setdefault(column, {})[word] = count
        counts = {"read": self.read, "rows": self.kept, "quarantined": self.quarantined, "without target": self.without_target}
        return counts | {"unreadable": self.unreadable, "bad cells read as absent": self.absent_cells, "words read as absent": words}


@dataclass(frozen=True)
class Reference:
    """A file that a cell names, or its bytes, and what reads it."""

    column: str
    value: str | bytes
    key: str | None = None
    stat: tuple[int, int] | None = None


@dataclass(frozen=True)
class Examined:
    """A file after it was fetched and decoded once."""

    key: str | None
    data: bytes
    facts: Facts
    reason: str | None


class Examine:
    """Fetches files and decodes each once; runs in threads or on other machines.

    Args:
        configs: options of the media columns.
        root: folder of relative paths.
        max_bytes: larger files are refused unread.
        allow_private: whether addresses may lead into a private network.
    """

    def __init__(self, configs: Mapping[str, ModalityConfig], root: Path, max_bytes: int, allow_private: bool) -> None:
        """Store what is needed; processors are made where the work is done."""
        self.configs, self.root, self.max_bytes, self.allow_private = dict(configs), root, max_bytes, allow_private
        self._processors: dict[str, MediaProcessor[Any]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_processors": None}

    def __call__(self, references: Sequence[Reference]) -> list[Examined]:
        """What became of each file."""
        if self._processors is None:
            self._processors = {name: MODALITIES.build(config) for name, config in self.configs.items()}
        return [self._one(reference, self._processors[reference.column]) for reference in references]

    def _one(self, reference: Reference, processor: MediaProcessor[Any]) -> Examined:
        value = reference.value
        try:
            data = fetch(value, self.root, self.max_bytes, allow_private=self.allow_private) if isinstance(value, str) else value
        except BadValue as error:
            return Examined(None, b"", Facts(), str(error))
        key = reference.key or media_key(data)
        try:
            return Examined(key, data, processor.inspect(data), None)
        except BadValue as error:
            return Examined(key, b"", Facts(), str(error))
        except OmnifuseError:  # something that the user can mend, such as a package that is missing
            raise
        except Exception as error:  # what damage led a decoder to; not remembered, for the next version may read it
            fault = " ".join(str(error).split())[:120]
            return Examined(None, b"", Facts(), f"cannot be read ({type(error).__name__}: {fault})")


class Scanner:
    """Turns the rows of tables into batches of canonical rows.

    Args:
        schema: the columns.
        config: the `data` section.
        store: where media go.
        runner: what examines files.
        quarantine: the CSV file of bad values, made when there is one.
    """

    def __init__(self, schema: Schema, config: DataConfig, store: Store, runner: Runner, quarantine: Path) -> None:
        """Make the processors; nothing is fitted."""
        self.schema, self.config, self.store, self.runner = schema, config, store, runner
        configs = {name: column_config(schema[name]) for name in schema.stored}
        self.processors: dict[str, Processor[Any]] = {name: MODALITIES.build(options) for name, options in configs.items()}
        self.media = {name: options for name, options in configs.items() if self.processors[name].is_media}
        self.readers = {name: reader_of(options) for name, options in self.media.items()}
        self.files: dict[str, tuple[int, int]] = {}
        self.keys: set[str] = set()
        self._quarantine = quarantine
        self._max_bytes = int(config.max_file_mb * 1e6)
        self._known: dict[tuple[str, str, str], str | BadValue] = {}
        self._read: dict[str, dict[str, Any]] = {name: {} for name in self.processors}
        self._places: list[str] = []

    def scan(self, table: Table, name: str, root: Path, counts: Counts) -> Iterator[dict[str, list[Any]]]:
        """Chunks of canonical rows, by column.

        The columns that splits look at are there as they were read, under `("split", name)`, and under `READ_FROM`
        where each row was read.
        """
        sources = {self.schema[column].source for column in self.schema.stored}
        windows = self.config.windows
        self._places = [*windows.by, windows.number_column] if windows else []
        wanted = list(dict.fromkeys([*sources, *self.config.split.columns, *self._places]))
        examine = Examine(self.media, root, self._max_bytes, self.config.allow_private)
        for chunk in _chunks(iterate_rows(table, [*wanted, READ_FROM])):
            yield self._chunk(chunk, name, root, examine, counts)

    def _chunk(self, chunk: list[dict[str, Any]], name: str, root: Path, examine: Examine, counts: Counts) -> dict[Any, list[Any]]:
        columns = {
            column: self._canonical(column, [row[self.schema[column].source] for row in chunk], counts) for column in self.processors
        }
        self._fetch(columns, root, examine)
        bad: set[int] = set()
        faults: list[tuple[int, str, str, str]] = []  # place in the chunk, column, value, reason
        for column, values in columns.items():
            for place in [place for place, value in enumerate(values) if isinstance(value, BadValue)]:
                faults.append((place, column, self._shown(chunk[place], column), str(values[place])))
                values[place] = None
                bad.add(place)
        if faults:
            faults.sort(key=lambda fault: fault[0])
            self._tell([(*_place(name, chunk[place][READ_FROM]), *fault) for place, *fault in faults], counts)
        if self.config.bad_values == "absent":
            counts.absent_cells += len(faults)
            bad = set()
        targets = [columns[column] for column in self.schema.targets]
        kept = []
        for place in range(len(chunk)):
            if place in bad:
                counts.quarantined += 1
            elif targets and all(values[place] is None for values in targets):
                counts.without_target += 1
            else:
                kept.append(place)
        counts.read += len(chunk)
        counts.kept += len(kept)
        result: dict[Any, list[Any]] = {column: [values[place] for place in kept] for column, values in columns.items()}
        result[READ_FROM] = [chunk[place][READ_FROM] for place in kept]
        for column in self.config.split.columns:
            result["split", column] = [chunk[place][column] for place in kept]
        return result

    def _canonical(self, column: str, raws: list[Any], counts: Counts) -> list[Any]:
        """Canonical values, `BadValue` where there is none; media stay what the cell names."""
        processor = self.processors[column]
        absent = frozenset(processor.config.absent)
        known = self._read[column]
        if len(known) > MOST_KNOWN:
            known.clear()
        values = []
        for raw in raws:
            if isinstance(raw, str):
                if (word := raw.strip()) in absent:
                    counts.absent_words[column, word] += 1
                if raw in known:
                    values.append(known[raw])
                    continue
            try:
                value = processor.read(raw)
            except BadValue as error:
                value = error
            if isinstance(raw, str) and len(raw) <= SHORT:
                known[raw] = value
            values.append(value)
        return values

    def _fetch(self, columns: dict[str, list[Any]], root: Path, examine: Examine) -> None:
        """Put the key of its content in the place of every file, or why it is bad."""
        waiting: dict[tuple[str, Any], Reference] = {}
        found: dict[tuple[str, Any], str | BadValue] = {}
        for column in self.media:
            for value in set(columns[column]) - {None}:
                if not isinstance(value, BadValue):
                    known = self._look_up(column, value, root)
                    if isinstance(known, Reference):
                        waiting[column, value] = known
                    else:
                        found[column, value] = known
        tasks = list(_tasks(waiting.values()))
        for task, done in zip(tasks, self.runner.map(examine, tasks), strict=True):
            for reference, examined in zip(task, done, strict=True):
                found[reference.column, reference.value] = self._keep(reference, examined, root)
        self.keys.update(value for value in found.values() if isinstance(value, str))
        for column in self.media:
            columns[column] = [value if value is None or isinstance(value, BadValue) else found[column, value] for value in columns[column]]

    def _look_up(self, column: str, value: str | bytes, root: Path) -> str | BadValue | Reference:
        """The key of a file that is known, or what has to be examined."""
        reader = self.readers[column]
        if isinstance(value, bytes):
            key = media_key(value)
            return self._known_key(key, reader) if self.store.has(key, reader) else Reference(column, value, key)
        known = self._known.get((reader, str(root), value))
        if known is not None:
            return known
        stat = _stat(root, value)
        path = _full(root, value)
        if stat is not None:
            self.files[path] = stat
        if stat == MISSING:
            return Reference(column, value)
        if stat is not None and stat[0] <= self._max_bytes:  # which may be less than when it was stored
            key = self.store.key_of(path, *stat)
            if key is not None and self.store.has(key, reader):
                known = self._known[reader, str(root), value] = self._known_key(key, reader)
                return known
        return Reference(column, value, None, stat)

    def _known_key(self, key: str, reader: str) -> str | BadValue:
        reason = self.store.reason(key, reader)
        return key if reason is None else BadValue(reason)

    def _keep(self, reference: Reference, examined: Examined, root: Path) -> str | BadValue:
        reader = self.readers[reference.column]
        if examined.key is not None:
            self.store.add(examined.key, reader, examined.reason, examined.facts, examined.data)
            if isinstance(reference.value, str) and reference.stat is not None:
                self.store.remember(_full(root, reference.value), *reference.stat, examined.key)
        result = BadValue(examined.reason) if examined.reason is not None or examined.key is None else examined.key
        if isinstance(reference.value, str):
            self._known[reader, str(root), reference.value] = result
        return result

    def _tell(self, rows: list[tuple[str, ...]], counts: Counts) -> None:
        """Write bad values to the quarantine table, or stop at the first."""
        name, number, column, value, reason = rows[0]
        counts.first_fault = counts.first_fault or f"{name}: row {number}, column {column}: {value}: {reason}"
        if self.config.bad_values == "error":
            raise OmnifuseError(f"{counts.first_fault} (mend it, or set data.bad_values: quarantine)")
        self._write(rows)

    def _shown(self, row: Mapping[str, Any], column: str) -> str:
        """A value in a few words: the word of the table, or which window it is."""
        value = row[self.schema[column].source]
        if isinstance(value, str | int | float | Path):
            return shown(str(value))[:200]
        place = ", ".join(f"{name}={row[name]}" for name in self._places)
        return place or f"<{type(value).__name__}>"

    def set_aside(self, bad_rows: list[dict[str, Any]], counts: Counts) -> None:
        """Tell of the rows that a source could not read."""
        if not bad_rows:
            return
        counts.unreadable += len(bad_rows)
        first = bad_rows[0]
        counts.first_fault = counts.first_fault or f"{first['source']}: row {first['row']}: {first['reason']}"
        self._write([tuple(row.get(field, "") for field in QUARANTINE) for row in bad_rows])

    def _write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        is_new = not self._quarantine.exists()
        with self._quarantine.open("a", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([QUARANTINE, *rows] if is_new else rows)


def _place(source: str, origin: str) -> tuple[str, str]:
    """The name of the source, or of its file where it has several, and the number of the row."""
    file, _, number = origin.rpartition(":")
    return source if source.endswith(file) else file, number


def row_ids(rows: Mapping[str, list[Any]], names: Sequence[str]) -> list[str]:
    """An id for each row that depends on its values alone."""
    ordered = sorted(names)
    return [
        hashlib.blake2b(repr(list(zip(ordered, values, strict=True))).encode(), digest_size=12).hexdigest()
        for values in zip(*(rows[name] for name in ordered), strict=True)
    ]


def _chunks(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        chunk.append(row)
        for value in row.values():
            if type(value) is str:
                size += len(value)
            elif type(value) not in LIGHT:
                size += _weight(value)
        if len(chunk) >= CHUNK_ROWS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _weight(value: Any) -> int:
    """About how many bytes a value takes: files and long texts as they are, series by their numbers, which are objects here."""
    if isinstance(value, bytes | str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_weight, value.values()))
    return 32 * len(value) if isinstance(value, list | tuple) else getattr(value, "nbytes", 0)


def _tasks(references: Iterable[Reference]) -> Iterator[list[Reference]]:
    """A few files at a time, fewer where they are large."""
    task: list[Reference] = []
    size = 0
    for reference in references:
        task.append(reference)
        size += reference.stat[0] if reference.stat else len(reference.value) if isinstance(reference.value, bytes) else TASK_BYTES // 8
        if len(task) >= TASK_FILES or size >= TASK_BYTES:
            yield task
            task, size = [], 0
    yield from chain([task] if task else [])


def _full(root: Path, reference: str) -> str:
    """What a file is remembered by; an address without its credentials and query, which a hash stands for."""
    if is_address(reference):
        return f"{shown(reference)}#{hashlib.blake2b(reference.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"
    return os.path.abspath(root / reference)


def _stat(root: Path, reference: str) -> tuple[int, int] | None:
    """Size and time of a file; an address is taken to hold what it held, a file that is not there is looked for again."""
    if is_address(reference):
        return (-1, -1)
    try:
        stat = os.stat(root / reference)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except (OSError, ValueError):
        return None
    return stat.st_size, stat.st_mtime_ns
