"""A prepared dataset on disk: rows in one Lance table, media in another, a manifest beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa

from omnifuse.core.atomic import is_leftover, read_json, write_json
from omnifuse.core.errors import OmnifuseError, first_line, unknown
from omnifuse.core.schema import Schema
from omnifuse.data.modalities.config import column_config
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.data.modalities.processor import Facts
from omnifuse.data.store import MediaReader, reader_of

ID, SPLIT, GROUP, ORIGIN = "__id__", "__split__", "__group__", "__from__"
FORMAT = 3
_TYPES = {
    "string": pa.string(),
    "double": pa.float64(),
    "long": pa.int64(),
    "strings": pa.list_(pa.string()),
    "doubles": pa.list_(pa.float64()),
}


class WrittenRows(Protocol):
    """Rows on their way into a dataset, sorted by id."""

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def batches(self) -> Iterator[dict[str, pa.Array]]:
        """Their marks (`__id__`, `__split__`, `__group__`, `__from__`) and values, a few rows at a time, by column."""
        ...


class Dataset:
    """Rows of a prepared dataset, or of one split of it.

    Values are canonical raw values; media columns hold keys, and `media` gives the files. Opening is lazy and
    reads a few rows at a time, so a dataset may be larger than memory.

        dataset = of.Dataset.open("reviews.dataset/3f2a…")
        train = dataset.split("train")
        train.take([0, 5])                # {"text": [...], "rating": [...]}
    """

    def __init__(self, path: Path, manifest: dict[str, Any], split: str | None = None) -> None:
        """Use `Dataset.open` and `split`."""
        import lance

        self.path, self.manifest, self.split_name = path, manifest, split
        self.schema = Schema.parse(manifest["columns"])
        try:
            self._rows = lance.dataset(str(path / "rows.lance"))
            names = self._rows.to_table(columns=[SPLIT]).column(SPLIT).to_numpy(zero_copy_only=False)
        except (ValueError, OSError) as error:
            raise OmnifuseError(f"{path}: this dataset is damaged; remove it and prepare it again ({first_line(error)})") from None
        self._media = MediaReader(path.parent)
        self._index = np.arange(len(names)) if split is None else np.flatnonzero(names == split)

    @classmethod
    def open(cls, path: str | Path) -> Dataset:
        """Open a prepared dataset: a version, or the newest version in a store.

        Raises:
            OmnifuseError: there is none, or a newer omnifuse wrote it.
        """
        path = Path(path)
        if not (path / "manifest.json").exists():
            versions = [file for file in path.glob("*/manifest.json") if not is_leftover(file.parent)]
            versions.sort(key=lambda file: file.stat().st_mtime_ns)
            path = versions[-1].parent if versions else path
        manifest = read_json(path / "manifest.json", "prepared dataset")
        if manifest.get("format") != FORMAT:
            raise OmnifuseError(
                f"{path}: this dataset has format {manifest.get('format')}, this omnifuse reads {FORMAT}; prepare it again, and train"
                " again what was trained on it (which still predicts, and is judged on a table with --data)"
            )
        return cls(path, manifest)

    @staticmethod
    def write(folder: Path, rows: WrittenRows, schema: Schema, report: dict[str, Any]) -> None:
        """Write rows and the manifest into `folder`."""
        import lance

        stored = {name: f"c{position}" for position, name in enumerate(schema.stored)}  # Lance refuses some names, such as `a.b`
        marks = [(name, pa.string()) for name in (ID, SPLIT, GROUP, ORIGIN)]
        types = pa.schema([*marks, *((stored[name], type_) for name, type_ in arrow_types(schema).items())])
        absent = dict.fromkeys(schema.stored, 0)
        digest = hashlib.blake2b(repr(list(schema.used)).encode(), digest_size=16)

        def batches() -> Iterator[pa.RecordBatch]:
            for part in rows.batches():
                for name in absent:
                    absent[name] += part[name].null_count
                for pair in zip(part[ID].to_pylist(), part[SPLIT].to_pylist(), strict=True):
                    digest.update("\x1f".join(pair).encode() + b"\x1e")
                yield pa.record_batch([part[name] for name in (*dict(marks), *stored)], schema=types)

        lance.write_dataset(pa.RecordBatchReader.from_batches(types, batches()), str(folder / "rows.lance"))
        columns = {name: schema[name].dump() for name in schema.stored}
        counts = {"rows": len(rows), "absent": absent, "content": digest.hexdigest()}
        write_json(folder / "manifest.json", {"format": FORMAT, "columns": columns, "stored": stored, **counts, **report})

    def reading(self, schema: Schema) -> Dataset:
        """The same rows, with the options of these columns: how they become tensors is not kept with them."""
        columns = {name: schema[name].dump() for name in schema.stored}
        return Dataset(self.path, {**self.manifest, "columns": columns}, self.split_name)

    def split(self, name: Literal["train", "validation", "test"] | str) -> Dataset:
        """The rows of one split."""
        if name not in self.manifest["splits"]:
            raise unknown("split", name, self.manifest["splits"])
        return Dataset(self.path, self.manifest, name)

    @property
    def store(self) -> Path:
        """The folder that all versions of this dataset stand in."""
        return self.path.parent

    def __len__(self) -> int:
        return len(self._index)

    def __repr__(self) -> str:
        part = f", split={self.split_name}" if self.split_name else ""
        return f"Dataset({self.path}{part}, {len(self)} rows, columns={list(self.schema)})"

    def take(self, index: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
        """Canonical values of the rows at `index`, in that order, by column."""
        names = list(columns) if columns is not None else list(self.schema)
        rows = self._index[np.asarray(index, dtype=np.int64)]
        unique, back = np.unique(rows, return_inverse=True)
        stored = self.manifest["stored"]
        table = self._rows.take(unique.tolist(), columns=[stored.get(name, name) for name in names])
        values = {name: _hashable(table.column(stored.get(name, name))) for name in names}
        return {name: [values[name][i] for i in back] for name in names}

    def media(self, keys: Sequence[str]) -> list[bytes]:
        """The files that keys of media columns stand for."""
        return self._media.read(keys)

    def facts(self, name: str, keys: Sequence[str]) -> list[Facts]:
        """What decoding the files of a media column once has told: sizes, lengths, fingerprints."""
        return self._media.facts(reader_of(column_config(self.schema[name])), keys)

    def ids(self) -> list[str]:
        """The stable id of every row, in order."""
        return self.take(range(len(self)), [ID])[ID]

    def origins(self, index: Sequence[int] | np.ndarray | None = None) -> list[str]:
        """Where rows stood when they were read, such as `train.csv:17` for the 17th row; of every row by default."""
        return self.take(range(len(self)) if index is None else index, [ORIGIN])[ORIGIN]

    def present(self, name: str) -> Iterator[Any]:
        """Values of a column that are there, in order; files for media columns."""
        is_media = processor_class(self.schema[name].modality).is_media
        for start in range(0, len(self), 1024):
            values = self.take(range(start, min(start + 1024, len(self))), [name])[name]
            there = [value for value in values if value is not None]
            if not is_media:
                yield from there
            else:
                for at in range(0, len(there), 64):
                    yield from self.media(there[at : at + 64])

    def report(self) -> Path:
        """The page about this dataset, `data.html` in its folder; written when it is not there yet."""
        path = self.path / "data.html"
        if not path.exists():
            from omnifuse.data.report.report import write_data_report

            write_data_report(Dataset.open(self.path), path)
        return path

    def export(self, folder: str | Path, kind: str = "parquet") -> Path:
        """Write the rows with their files for other programs: `parquet`, `webdataset` or `datasets`; see `omnifuse.data.export`."""
        from omnifuse.data.export import export

        return export(self, folder, kind)

    def absent(self, name: str) -> int:
        """How many rows have no value in the column."""
        if self.manifest["absent"][name] == 0:
            return 0
        return len(self) - sum(
            value is not None
            for start in range(0, len(self), 4096)
            for value in self.take(range(start, min(start + 4096, len(self))), [name])[name]
        )


def arrow_types(schema: Schema) -> dict[str, pa.DataType]:
    """How the columns are kept."""
    return {name: _TYPES[processor_class(schema[name].modality).stored_as] for name in schema.stored}


def _hashable(column: pa.ChunkedArray) -> list[Any]:
    values = column.to_pylist()
    return [None if value is None else tuple(value) for value in values] if pa.types.is_list(column.type) else values
