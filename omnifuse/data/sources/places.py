"""What a path in a recipe stands for: variables of the environment, the recipe's folder, patterns, addresses."""

from __future__ import annotations

import atexit
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.fetch import download, is_address, listing, stamp

MAX_DOWNLOAD_BYTES = 64_000_000_000
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
WILD = re.compile(r"[*?\[]")
_downloaded: dict[tuple[str, str], Path] = {}


def expand(text: str, quoted: Callable[[str], str] = str) -> str:
    """Fill in `$NAME` and `${NAME}` from the environment.

    Raises:
        OmnifuseError: a variable that is not set; it is never taken for an empty word.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        if name not in os.environ:
            raise OmnifuseError(f"{text}: the environment variable {name} is not set; set it, or write the path out")
        return quoted(os.environ[name])

    return VARIABLE.sub(value, text)


def local_path(text: str, base: Path) -> Path:
    """The path of a recipe; a name that is there as it stands is taken as it stands."""
    as_written = Path(base, text)
    if "$" in text and not _exists(as_written):
        return Path(base, expand(text)).expanduser()
    return as_written.expanduser() if text.startswith("~") else as_written


def files_of(text: str, base: Path) -> list[Path]:
    """The files that a path, a pattern or an address stands for, sorted; addresses are downloaded.

    Raises:
        OmnifuseError: there is none, with those that are near.
    """
    if is_address(text):
        return [downloaded(address) for address in addresses_of(expand(text))]
    path = local_path(text, base)
    if not _exists(path) and WILD.search(str(path)):
        found = sorted(Path(name) for name in glob.glob(str(path), recursive=True) if Path(name).is_file())
        if not found:
            raise OmnifuseError(f"{path}: no file has such a name")
        return found
    if not _exists(path):
        raise OmnifuseError(f"{path}: no such file{_neighbours(path)}")
    if not path.is_dir() and not path.is_file():
        raise OmnifuseError(f"{path}: is not a regular file")
    return [path]


def addresses_of(address: str) -> list[str]:
    """An address itself, or those that a pattern of s3:// finds."""
    if not address.startswith("s3://") or not WILD.search(address):
        return [address]
    found = listing(address)
    if not found:
        raise OmnifuseError(f"{address}: no object has such a name")
    return found


def downloaded(address: str) -> Path:
    """A copy of what an address leads to, made once while it does not change and removed when this process ends."""
    mark = stamp(address)
    if (address, mark) in _downloaded and mark:
        return _downloaded[address, mark]
    name = re.split(r"[?#]", address, maxsplit=1)[0].rstrip("/").rpartition("/")[2][-80:] or "table"
    path = temporary_folder() / re.sub(r"[^\w.-]", "_", name)
    download(address, path, MAX_DOWNLOAD_BYTES)
    _downloaded[address, mark] = path
    return path


def temporary_folder() -> Path:
    """A folder that is removed when this process ends; `TMPDIR` says where."""
    folder = Path(tempfile.mkdtemp(prefix="omnifuse-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def fixed_folder(text: str, base: Path) -> Path:
    """The folder that all files of a path or pattern lie in, and that what they name is relative to."""
    if is_address(text):
        return base
    path = local_path(text, base)
    if _exists(path) or not WILD.search(str(path)):
        return path.parent
    fixed = path.parts[: next(i for i, part in enumerate(path.parts) if WILD.search(part))]
    return Path(*fixed)


def _neighbours(path: Path) -> str:
    from omnifuse.data.sources.formats import FORMATS

    near = sorted(p.name for p in path.parent.glob("*") if p.suffix.lower() in FORMATS)[:5] if path.parent.is_dir() else []
    return f"; this folder holds {', '.join(near)}" if near else ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
