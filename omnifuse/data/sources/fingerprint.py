"""A word that changes when the data of a source do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig
from omnifuse.data.fetch import is_address, stamp
from omnifuse.data.sources.config import (
    DatasetsSourceConfig,
    FolderSourceConfig,
    LanceSourceConfig,
    TableSourceConfig,
    WebDatasetSourceConfig,
)
from omnifuse.data.sources.formats import printable
from omnifuse.data.sources.places import addresses_of, downloaded, expand, files_of, fixed_folder, local_path
from omnifuse.data.sources.source import resolve
from omnifuse.data.table import iterate_rows, read_table


def source_fingerprint(value: Any, base: Path) -> str:
    """A word that changes when the data of a source or its options do.

    Files by path, size and time; a Lance table by its version; addresses by what their server says of them; databases and
    objects by their content, for nothing else tells.
    """
    config = resolve(value, base)
    digest = hashlib.blake2b(digest_size=16)
    if config is None:
        marks = _of_object(value)
    else:
        _check_name(str(getattr(config, "path", "")))
        digest.update(config.model_dump_json().encode() + b"\x1d")
        marks = _of_config(config, base)
    for mark in marks:
        digest.update(mark + b"\x1e")
    return digest.hexdigest()


def _of_config(config: PartConfig, base: Path) -> Iterator[bytes]:
    if isinstance(config, TableSourceConfig | WebDatasetSourceConfig):
        yield from _of_files(config, base)
    elif isinstance(config, FolderSourceConfig):
        from omnifuse.data.sources.folder import files_in, metadata_files

        folder = local_path(config.path, base)
        for path in [*(folder / name for name in files_in(config, folder)), *metadata_files(config, folder, base)]:
            yield _of_file(path)
    elif isinstance(config, LanceSourceConfig):
        from omnifuse.data.sources.lance import version_of

        yield version_of(config, base).encode()
    elif isinstance(config, DatasetsSourceConfig):
        from omnifuse.data.sources.datasets import load

        folder = local_path(config.path, base)
        if folder.is_dir():
            yield from map(_of_file, sorted(path for path in folder.rglob("*") if path.is_file()))
        else:
            yield from _of_object(load(config, base))
    else:  # a database, or a source of the user's own
        from omnifuse.data.sources.source import read_source

        total = 0  # rows of a query come in any order
        for row in iterate_rows(read_source(config, base)):
            total += int.from_bytes(hashlib.blake2b(_content(row), digest_size=16).digest(), "big")
        yield str(total).encode()


def _of_files(config: TableSourceConfig | WebDatasetSourceConfig, base: Path) -> Iterator[bytes]:
    from omnifuse.data.sources.webdataset import shards

    for text in shards(config.path) if isinstance(config, WebDatasetSourceConfig) else [config.path]:
        if not is_address(text):
            folder = fixed_folder(text, base)
            for file in files_of(text, base):
                _check_name(str(file.relative_to(folder)))  # a dataset keeps it beside each row
                yield _of_file(file)
            continue
        for address in addresses_of(expand(text)):
            mark = stamp(address)
            yield f"{address}\x1f{mark}".encode() if mark else hashlib.blake2b(downloaded(address).read_bytes()).digest()


def _check_name(name: str) -> None:
    if printable(name) != name:
        raise OmnifuseError(f"{printable(name)}: this name is not UTF-8, and a dataset cannot keep it; rename the file or its folder")


def _of_file(path: Path) -> bytes:
    stat = path.stat()
    return f"{path.resolve()}\x1f{stat.st_size}\x1f{stat.st_mtime_ns}".encode("utf-8", "surrogateescape")


def _of_object(value: Any) -> Iterator[bytes]:
    mark = getattr(value, "_fingerprint", None)  # Hugging Face keeps one, which changes with every change
    if type(value).__module__.startswith("datasets."):
        if isinstance(value, Mapping):
            for split in value:
                yield str(split).encode()
                yield from _of_object(value[split])
            return
        if isinstance(mark, str):
            yield mark.encode()
            return
    yield from map(_content, iterate_rows(read_table(value)))


def _content(value: Any) -> bytes:
    """Bytes that differ when the value does."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping):
        return b"{" + b"".join(str(k).encode() + b"\x1f" + _content(value[k]) + b"\x1e" for k in sorted(value, key=str)) + b"}"
    if isinstance(value, set | frozenset):  # whose order changes from one process to the next
        return b"(" + b"".join(sorted(_content(each) + b"\x1f" for each in value)) + b")"
    if isinstance(value, list | tuple):
        return b"[" + b"".join(_content(each) + b"\x1f" for each in value) + b"]"
    if hasattr(value, "numpy") and hasattr(value, "detach"):  # a tensor, whose words leave out most of it too
        value = value.detach().cpu().numpy()
    if hasattr(value, "tobytes"):  # an array or a Pillow image, whose words leave out most of it
        kind = f"{type(value).__name__}{getattr(value, 'shape', getattr(value, 'size', ''))}{getattr(value, 'dtype', '')}"
        return kind.encode() + value.tobytes()
    return repr(value).encode()
