"""A prepared dataset for other programs: Parquet, WebDataset, Hugging Face `datasets`."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from omnifuse.core.atomic import replacing
from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.data.dataset import GROUP, ID, ORIGIN, Dataset, arrow_types
from omnifuse.data.decode.kinds import ending_of
from omnifuse.data.modalities.fitting import processor_class

FORMATS = ("parquet", "webdataset", "datasets")
BATCH_ROWS, SHARD_BYTES = 256, 500_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def export(dataset: Dataset, folder: str | Path, kind: str) -> Path:
    """Write a dataset (all splits, or the one that was taken) into a new folder, a few rows at a time in memory.

    - `parquet`: one file a split, `train.parquet` …; media columns hold `{bytes, path}`, as Hugging Face reads them.
    - `webdataset`: tars of at most 500 MB, `train-000000.tar` …; a row is `ID.COLUMN.ENDING` for each media file and `ID.json`,
      which says its split too.
    - `datasets`: what `datasets.load_from_disk` opens, with Image, Audio and Video features (needs the extra `datasets`).

    Every row carries its id, its split group and where it was read. Absent values are null (Parquet, datasets) or missing (WebDataset).

    Raises:
        OmnifuseError: unknown format, a folder that is already there, or a full disk.
    """
    folder = Path(folder)
    if kind not in FORMATS:
        raise unknown("format", kind, FORMATS, where="export")
    if folder.exists():
        raise OmnifuseError(f"{folder}: is already there; choose another folder")
    write = {"parquet": _parquet, "webdataset": _webdataset, "datasets": _datasets}[kind]
    with replacing(folder) as place:
        place.mkdir(parents=True)
        write(dataset, place)
    return folder


def _parquet(dataset: Dataset, folder: Path) -> None:
    for split in _splits(dataset):
        with pq.ParquetWriter(folder / f"{split}.parquet", _schema(dataset), compression="zstd") as writer:
            for rows in _rows(dataset.split(split)):
                writer.write_table(pa.Table.from_pylist(rows, schema=_schema(dataset)))


def _webdataset(dataset: Dataset, folder: Path) -> None:
    media = _member_names(_media_columns(dataset))
    for split in _splits(dataset):
        number, tar = 0, _open_tar(folder, split, 0)
        for rows in _rows(dataset.split(split)):
            for row in rows:
                if tar.offset > SHARD_BYTES:
                    tar.close()
                    number += 1
                    tar = _open_tar(folder, split, number)
                for name, word in media.items():
                    if row[name] is not None:
                        _add(tar, f"{row[ID]}.{word}{Path(row[name]['path']).suffix}", row[name]["bytes"])
                words: dict[str, Any] = {} if "split" in row else {"split": split}
                words |= {name: _plain(value) for name, value in row.items() if name not in media and value is not None}
                _add(tar, f"{row[ID]}.json", json.dumps(words, ensure_ascii=False).encode())
        tar.close()


def _datasets(dataset: Dataset, folder: Path) -> None:
    try:
        import datasets
    except ImportError:
        raise OmnifuseError("export: Hugging Face datasets is not installed; pip install 'omnifuse[datasets]'") from None
    features = datasets.Features.from_arrow_schema(_schema(dataset))
    kinds = {"image": datasets.Image, "audio": datasets.Audio, "video": datasets.Video}
    for name in _media_columns(dataset):
        kind = kinds.get(dataset.schema[name].modality)
        if kind is not None:
            features[name] = kind(decode=False)
    whole = datasets.DatasetDict()
    for split in _splits(dataset):
        part = dataset.split(split)

        def each(part: Dataset = part) -> Iterator[dict[str, Any]]:
            for rows in _rows(part):
                yield from rows

        made = datasets.Dataset.from_generator(each, features=features, cache_dir=str(folder / "cache"))
        assert isinstance(made, datasets.Dataset)
        whole[split] = made
    whole.save_to_disk(str(folder))
    del whole, made
    shutil.rmtree(folder / "cache", ignore_errors=True)


def _rows(dataset: Dataset) -> Iterator[list[dict[str, Any]]]:
    """Rows with their files, a few at a time."""
    media = _media_columns(dataset)
    names = [ID, GROUP, ORIGIN, *dataset.schema]
    for start in range(0, len(dataset), BATCH_ROWS):
        columns = dataset.take(range(start, min(start + BATCH_ROWS, len(dataset))), names)
        for name in media:
            keys = sorted({key for key in columns[name] if key is not None})
            files = dict(zip(keys, dataset.media(keys), strict=True))
            columns[name] = [None if k is None else {"bytes": files[k], "path": k + ending_of(files[k])} for k in columns[name]]
        for name in dataset.schema:
            if dataset.schema[name].modality == "datetime":
                columns[name] = [None if value is None else EPOCH + timedelta(microseconds=value) for value in columns[name]]
        yield [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _schema(dataset: Dataset) -> pa.Schema:
    media, types = _media_columns(dataset), arrow_types(dataset.schema)
    file = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    moment = pa.timestamp("us", tz="UTC")
    fields = [
        (name, file if name in media else moment if dataset.schema[name].modality == "datetime" else type_) for name, type_ in types.items()
    ]
    return pa.schema([*((mark, pa.string()) for mark in (ID, GROUP, ORIGIN)), *fields])


def _splits(dataset: Dataset) -> list[str]:
    return [split for split, rows in dataset.manifest["splits"].items() if rows and dataset.split_name in (None, split)]


def _media_columns(dataset: Dataset) -> list[str]:
    return [name for name in dataset.schema if processor_class(dataset.schema[name].modality).is_media]


def _open_tar(folder: Path, split: str, number: int) -> tarfile.TarFile:
    return tarfile.open(folder / f"{split}-{number:06d}.tar", "w", format=tarfile.PAX_FORMAT)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _member_names(columns: Iterable[str]) -> dict[str, str]:
    """What columns are called inside of a tar; those that would get the same name are numbered."""
    names: dict[str, str] = {}
    for column in columns:
        word, again = _word(column), 1
        while word in names.values():
            again += 1
            word = f"{_word(column)}_{again}"
        names[column] = word
    return names


def _word(name: str) -> str:
    """A column name as part of a file name: the first dot of a name ends its key."""
    return "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in name)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else list(value) if isinstance(value, tuple) else value
