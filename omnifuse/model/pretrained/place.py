"""Where a pretrained network lies: a folder, or a name on the Hugging Face hub. Its small files are read without PyTorch.

Nothing is asked of the hub for a folder, no code of a network is run, and no pickle is read.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from omnifuse.core.errors import OmnifuseError, first_line

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
NO_CONVERSION = "DISABLE_SAFETENSORS_CONVERSION"  # else a server is asked to convert the weights of some networks


def need(package: str, where: str) -> Any:
    """Import an optional package.

    Raises:
        OmnifuseError: it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package.partition(".")[0]:
            raise
        raise OmnifuseError(f"{where}: needs {package.partition('.')[0]}; pip install 'omnifuse[pretrained]'") from None


@dataclass(frozen=True)
class Place:
    """A folder, or where there is none a name on the hub; `where` is the option that names it, for messages."""

    name: str
    where: str

    @classmethod
    def find(cls, name: str, where: str) -> Place:
        """What a user wrote as `model`.

        Raises:
            OmnifuseError: nothing, or a path that leads nowhere.
        """
        if not name:
            raise OmnifuseError(f"{where}: name a network, by its folder or its name on the Hugging Face hub")
        path = Path(name).expanduser()
        if path.exists():
            if not path.is_dir():
                raise OmnifuseError(f"{where}: {name} is a file; name the folder it lies in")
            return cls(str(path), where)
        if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or "\\" in name:
            raise OmnifuseError(f"{where}: there is no folder {name}")
        return cls(name, where)

    @property
    def is_folder(self) -> bool:
        """Whether nothing may be asked of the hub."""
        return Path(self.name).is_dir()

    def file(self, name: str) -> Path | None:
        """The path of a small file, fetched from the hub where there is no folder; `None` if there is no such file."""
        if self.is_folder:
            path = Path(self.name) / name
            return path if path.is_file() else None
        hub = need("huggingface_hub", self.where)
        errors = need("huggingface_hub.errors", self.where)
        try:
            with quiet():
                return Path(hub.hf_hub_download(self.name, name))
        except errors.LocalEntryNotFoundError as error:  # not reached; that there is no such file may be known from before
            if hub.try_to_load_from_cache(self.name, name) is not hub._CACHED_NO_EXIST:
                self.refuse(error)
        except errors.EntryNotFoundError:
            pass
        except (OSError, ValueError) as error:
            self.refuse(error)
        return None

    def read(self, name: str) -> dict[str, Any] | None:
        """A JSON file of the network; `None` if there is no such file.

        Raises:
            OmnifuseError: it is damaged.
        """
        path = self.file(name)
        if path is None:
            return None
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise OmnifuseError(f"{self.where}: {path} cannot be read ({first_line(error)})") from None
        if not isinstance(value, dict):
            raise OmnifuseError(f"{self.where}: {path} does not hold a mapping of options")
        return value

    def check_weights(self) -> None:
        """Raise an `OmnifuseError` unless a folder holds a whole network as safetensors."""
        if not self.is_folder:
            return
        folder = Path(self.name)
        if (folder / "adapter_config.json").is_file():
            raise OmnifuseError(f"{self.where}: {folder} holds low-rank additions to another network; merge them (merge_and_unload) first")
        if not any(folder.glob("*.safetensors")):
            if any(path for pattern in PICKLES for path in folder.glob(pattern)):
                raise OmnifuseError(
                    f"{self.where}: {folder} holds its weights as a pickle, which could run code; load it where you trust it and"
                    " save it again with save_pretrained, which writes safetensors"
                )
            raise OmnifuseError(f"{self.where}: {folder} holds no weights (*.safetensors); use weights: random for the architecture alone")

    def refuse(self, error: BaseException) -> NoReturn:
        """Raise what a library says of this place as one line that tells what to do.

        Raises:
            OmnifuseError: always.
        """
        said = first_line(error)
        if self.is_folder:
            raise OmnifuseError(f"{self.where}: {self.name} cannot be loaded ({said})") from None
        raise OmnifuseError(
            f'{self.where}: there is no folder "{self.name}", and the Hugging Face hub did not give a network of that name ({said});'
            f" check the name, or fetch it where there is a network and name the folder: hf download {self.name} --local-dir FOLDER"
        ) from None


@contextmanager
def quiet() -> Iterator[None]:
    """What the libraries report of their loading is held back, and afterwards reported as before; errors are raised anyway."""
    talkers = [module for module in map(_imported, ("transformers.utils.logging", "huggingface_hub.utils.logging")) if module]
    bars = bool(talkers) and hasattr(talkers[0], "is_progress_bar_enabled") and talkers[0].is_progress_bar_enabled()
    verbosity, conversion = [module.get_verbosity() for module in talkers], os.environ.get(NO_CONVERSION)
    for module in talkers:
        module.set_verbosity_error()
    if bars:
        talkers[0].disable_progress_bar()
    os.environ[NO_CONVERSION] = "1"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for module, level in zip(talkers, verbosity, strict=True):
            module.set_verbosity(level)
        if bars:
            talkers[0].enable_progress_bar()
        if conversion is None:
            del os.environ[NO_CONVERSION]
        else:
            os.environ[NO_CONVERSION] = conversion


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return None
