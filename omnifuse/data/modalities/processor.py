"""What every modality does: make raw values canonical, learn from the training split, raw → tensor → raw."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import ModalityConfig

C = TypeVar("C", bound=ModalityConfig)


@dataclass(frozen=True)
class Facts:
    """What decoding a file once has told.

    Attributes:
        numbers: by name, with the unit in it: `height`, `width`, `seconds`, `rate_hz`, `channels`, `frames`, `points`, `steps`.
        fingerprint: a perceptual hash, near for files that look or sound alike; empty where the modality has none.
    """

    numbers: Mapping[str, float] = field(default_factory=dict)
    fingerprint: bytes = b""


class Processor(ABC, Generic[C]):
    """Raw value ↔ tensor for one column.

    A raw value goes through three forms: what the user gave → its canonical form (kept in the dataset) →
    an item (an array, worth caching) → a row of `Values`. What was learned has a trailing underscore.

    Attributes:
        is_media: canonical values are encoded files, stored once by content.
        stored_as: how the dataset keeps a canonical value: `string`, `double`, `long` (integers), `strings` or `doubles`
            (tuples). Canonical values are hashable.
    """

    is_media: ClassVar[bool] = False
    stored_as: ClassVar[str] = "string"

    def __init__(self, config: C) -> None:
        """Store the options."""
        self.config = config
        self.optional_ = False

    @abstractmethod
    def canonical(self, value: Any) -> Any:
        """Make what the user gave canonical; `None` for an absent value. Nothing needs to be fitted for it.

        Only options that the config names in `reads` may matter here: another value of one of them prepares the data anew.

        Raises:
            BadValue: the value cannot be read as this modality.
        """

    def read(self, value: Any) -> Any:
        """The canonical value; `None` for an absent one and for the words that the options call absent."""
        if isinstance(value, str) and value.strip() in self.config.absent:
            return None
        return self.canonical(value)

    @abstractmethod
    def fit(self, raws: Iterable[Any]) -> None:
        """Learn from the canonical values that are present in the training split."""

    @abstractmethod
    def item(self, raw: Any) -> np.ndarray:
        """Turn one canonical value into an array of its own shape."""

    @abstractmethod
    def collate(self, items: Sequence[np.ndarray | None]) -> Values:
        """Stack items into a batch; `None` is an absent value and becomes zeros."""

    @abstractmethod
    def decode(self, data: torch.Tensor) -> list[Any]:
        """Turn a batch of tensors (B, …) back into raw values."""

    @property
    @abstractmethod
    def spec(self) -> ValueSpec:
        """What this processor promises about its tensors, once fitted."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What was learned, as JSON."""

    @abstractmethod
    def load_state(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned."""

    def encode(self, raws: Sequence[Any]) -> Values:
        """Canonical values → a batch; `None` is absent."""
        return self.collate([None if raw is None else self.item(raw) for raw in raws])

    def is_known(self, raw: Any) -> bool:
        """Whether the value can be learned as a target (a label that was never seen cannot)."""
        return raw is not None


class MediaProcessor(Processor[C]):
    """A modality whose raw values are encoded files."""

    is_media = True

    @abstractmethod
    def inspect(self, data: bytes) -> Facts:
        """Decode a file once, at preparation, and tell what it is; raises `BadValue` where it is damaged."""

    @abstractmethod
    def serialise(self, value: Any) -> bytes:
        """Encode an object of the Python API (a Pillow image, an array) as a file."""

    def canonical(self, value: Any) -> Any:
        """A path stays a path until it is fetched; bytes stay bytes; other objects are encoded."""
        if is_absent(value):
            return None
        if isinstance(value, Mapping) and set(value) == {"bytes", "path"}:  # as Hugging Face writes files into tables
            value = value["bytes"] if value["bytes"] is not None else value["path"]
            if is_absent(value):
                return None
        if isinstance(value, Path):
            value = str(value)
        if isinstance(value, str):
            return checked_text(value).strip() or None
        return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else self.serialise(value)


def is_absent(value: Any) -> bool:
    """Whether a value stands for nothing: `None`, NaN of any kind, or the marks of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def checked_text(value: Any) -> str:
    """The value as a word that can be stored.

    Raises:
        BadValue: bytes that are not UTF-8, halves of surrogate pairs, and values whose word would be Python's own, not the user's.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            return bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            raise BadValue("is not UTF-8 text") from None
    if isinstance(value, Mapping | list | tuple | set | frozenset | np.ndarray):
        raise BadValue(f"{type(value).__name__} is not text")
    text = str(value)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadValue("not valid Unicode text") from None
    return text


def padded(items: Sequence[np.ndarray | None], width: tuple[int, ...], dtype: type[np.generic]) -> Values:
    """Sequences (T, *width) of different lengths as one batch (B, max T, *width) with a mask (B, max T), at least one place long."""
    longest = max([1, *(len(item) for item in items if item is not None)])
    data = np.zeros((len(items), longest, *width), dtype=dtype)
    mask = np.zeros((len(items), longest), dtype=bool)
    for row, item in enumerate(items):
        if item is not None:
            data[row, : len(item)] = item
            mask[row, : len(item)] = True
    return Values(torch.from_numpy(data), presence(items), torch.from_numpy(mask))


def presence(items: Sequence[np.ndarray | None]) -> torch.Tensor:
    """(B,) bool, which items are there."""
    return torch.tensor([item is not None for item in items], dtype=torch.bool)
