"""Hugging Face datasets: objects, folders that `save_to_disk` made, names on the hub. Nothing is decoded here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError, first_line, unknown
from omnifuse.data.sources.config import DatasetsSourceConfig
from omnifuse.data.sources.places import local_path
from omnifuse.data.table import Table

SPLIT = "split"
BATCH_ROWS = 256
MEDIA = ("Image", "Audio", "Video", "Pdf", "Nifti")


def read(config: DatasetsSourceConfig, base: Path) -> Table:
    """Open a folder or a name on the hub; of several splits, each row says its own in the column `split`."""
    return read_dataset(load(config, base))


def load(config: DatasetsSourceConfig, base: Path) -> Any:
    """The dataset as an object of the library.

    Raises:
        OmnifuseError: the library is missing, the folder is not one of its own, the hub has no such name or does not answer.
    """
    try:
        import datasets
    except ImportError:
        raise OmnifuseError(f"{config.path}: reading datasets of Hugging Face needs datasets; pip install 'omnifuse[datasets]'") from None
    folder = local_path(config.path, base)
    try:
        if not folder.is_dir():
            return datasets.load_dataset(config.path, config.config, split=config.split, revision=config.revision)
        found: Any = datasets.load_from_disk(str(folder))
    except Exception as error:  # the library and the hub raise many kinds
        kind = "this folder was not made by `save_to_disk`; if it holds files, use `name: folder`"
        reason = first_line(error)
        raise OmnifuseError(f"{config.path}: {kind if folder.is_dir() else 'cannot be loaded'} ({reason})") from None
    if config.split is None or not isinstance(found, Mapping):
        return found
    if config.split not in found:
        raise unknown("split", config.split, found, where=config.path)
    return found[config.split]


def read_dataset(dataset: Any) -> Table:
    """The rows of a dataset, or of a dictionary of them by split.

    Pictures, sounds and videos stay bytes, or paths; the numbers of class labels become their names.

    Raises:
        OmnifuseError: it has no rows, or its splits have other columns, or a column is called `split` where that is added.
    """
    if not isinstance(dataset, Mapping):
        return Table(_names(dataset), lambda: _rows(dataset), select=lambda columns: _rows(dataset, columns))
    if not dataset:
        raise OmnifuseError("the dataset has no splits")
    names = list(dict.fromkeys(name for part in dataset.values() for name in _names(part)))
    if SPLIT in names:
        raise OmnifuseError(f'the dataset has a column "{SPLIT}", which would be added; rename it, or give one split')

    def rows(columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        for split, part in dataset.items():
            own = None if columns is None else [name for name in columns if name in _names(part)]
            yield from (row | {SPLIT: str(split)} for row in _rows(part, own))

    return Table([*names, SPLIT], rows, select=rows)


def _names(dataset: Any) -> list[str]:
    if dataset.column_names:
        return list(dataset.column_names)
    first = next(iter(dataset), None)  # a stream that does not know its columns
    if first is None:
        raise OmnifuseError("the dataset has no rows")
    return list(first)


def _rows(dataset: Any, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    names = _names(dataset)
    if columns is not None:
        names = [name for name in names if name in columns]
        if not names:
            yield from ({} for _ in dataset)
            return
        dataset = dataset.select_columns(names)
    features = dataset.features
    if features is None:
        yield from dataset
        return
    readers = {name: _reader(feature) for name, feature in features.items()}
    try:
        if hasattr(dataset, "num_rows"):
            rows: Any = (row for batch in dataset.with_format("arrow").iter(BATCH_ROWS) for row in batch.to_pylist())
        else:
            rows = dataset.cast(_undecoded(features))
        for row in rows:
            yield {name: value if (reader := readers.get(name)) is None else reader(value) for name, value in row.items()}
    except Exception as error:
        raise OmnifuseError(f"the dataset cannot be read ({first_line(error)})") from None


def _reader(feature: Any) -> Callable[[Any], Any] | None:
    """What to do with stored values of a feature; `None` where they are as they should be."""
    kind = type(feature).__name__
    if kind == "ClassLabel":
        return lambda value: value if value is None or isinstance(value, str) else feature.int2str(value) if value >= 0 else None
    if kind in MEDIA:
        return _media
    inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) else None)
    if isinstance(feature, Mapping):
        parts = {name: reader for name, each in feature.items() if (reader := _reader(each))}
        return (lambda value: value and {n: parts[n](v) if n in parts else v for n, v in value.items()}) if parts else None
    if inner is not None and not isinstance(inner, Mapping) and (each := _reader(inner)):
        return lambda value: None if value is None else [each(one) for one in value]
    return None


def _media(value: Any) -> Any:
    """The bytes of a file, or its path."""
    if not isinstance(value, Mapping):
        return value
    return value.get("bytes") or value.get("path")


def _undecoded(features: Any) -> Any:
    """The same features, but files stay files."""
    import copy

    def off(feature: Any) -> Any:
        if type(feature).__name__ in MEDIA:
            feature.decode = False
        elif isinstance(feature, Mapping):
            for each in feature.values():
                off(each)
        elif (inner := getattr(feature, "feature", None)) is not None:
            off(inner)
        return feature

    return off(copy.deepcopy(features))
