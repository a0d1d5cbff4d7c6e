"""What a column of Python objects holds: files, pictures, lists, moments."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from omnifuse.data import clues
from omnifuse.data.fetch import BadValue

Answer = tuple[str | None, str, dict[str, Any]]
PICTURES = "pictures"


def guess_object(values: Sequence[Any]) -> Answer:
    """Modality (`None`: leave the column out), reason, and options, by the first few values."""
    first, some = values[0], values[:50]
    if isinstance(first, bytes | bytearray):
        modality = clues.media_of_bytes(bytes(first))
        if modality == "image" and not _is_picture(first):
            modality = None
        return modality, PICTURES if modality == "image" else f"{modality} files" if modality else "bytes of no known kind", {}
    if all(isinstance(value, datetime.date | np.datetime64) for value in some):
        return "datetime", f"moments such as {first}", {}
    if all(isinstance(value, Decimal | int | float) for value in some):
        return "number", f"numbers such as {first}", {}
    if isinstance(first, Mapping):
        return _mapping(some)
    if hasattr(first, "__array__") or isinstance(first, list | tuple | set | frozenset):
        return _several(values)
    return ("image", PICTURES, {}) if _is_picture(first) else _unread(first)


def _mapping(values: Sequence[Any]) -> Answer:
    """Sounds as Hugging Face datasets hand them out, and series by channel."""
    if all(isinstance(value, Mapping) and {"array", "sampling_rate"} <= set(value) for value in values):
        return "audio", "sounds", {}
    if all(isinstance(value, Mapping) and value and all(_are_numbers(channel) for channel in value.values()) for value in values):
        return "series", f"series of {len(values[0])} channels", {}
    return _unread(values[0])


def _several(values: Sequence[Any]) -> Answer:
    arrays = [np.asarray(value) for value in values[:50]] if _even(values) else []
    if arrays and all(array.ndim == 3 or (array.ndim == 2 and array.dtype == np.uint8) for array in arrays) and _is_picture(values[0]):
        return "image", PICTURES, {}
    if arrays and all(array.ndim == 2 for array in arrays):
        return "series", f"series of {arrays[0].shape[1]} channels", {}
    if all(_are_numbers(value) for value in values[:50]):
        return _lists_of_numbers(values)
    if all(_are_words(value) for value in values[:50]):
        return _lists_of_words(values)
    return _unread(values[0])


def _lists_of_numbers(values: Sequence[Any]) -> Answer:
    size = clues.vector_size([value if not isinstance(value, set | frozenset) else list(value) for value in values])
    if size:
        return "vector", f"{size} numbers each", {}
    counts = Counter(str(number) for value in values for number in value)
    codes = all(isinstance(number, int | np.integer) for value in values for number in value)
    if codes and clues.repeats(counts) and all(len(set(value)) == len(value) for value in values):
        return "set", f"lists of {len(counts)} different codes", {}
    if any(isinstance(value, set | frozenset) for value in values[:50]):
        return _unread(values[0])
    longest = max(len(value) for value in values)
    return ("series", f"series of up to {longest} steps", {}) if longest > 1 else _unread(values[0])


def _lists_of_words(values: Sequence[Any]) -> Answer:
    counts = Counter(word for value in values for word in value)
    if not counts:
        return None, "empty lists", {}
    if clues.repeats(counts):
        return "set", f"lists of {len(counts)} different labels", {}
    return "text", f"lists of words, {len(counts)} different", {}


def _unread(value: Any) -> Answer:
    return None, f"{type(value).__name__} values are not read", {}


def _even(values: Sequence[Any]) -> bool:
    """Whether NumPy can make arrays of the first values: nothing ragged inside, no words."""
    try:
        for value in values[:50]:
            np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _are_numbers(value: Any) -> bool:
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__"):
        return False
    return all(number is None or (isinstance(number, int | float | np.number) and not isinstance(number, bool)) for number in value)


def _are_words(value: Any) -> bool:
    return not isinstance(value, str | bytes | Mapping) and hasattr(value, "__len__") and all(isinstance(word, str) for word in value)


def _is_picture(value: Any) -> bool:
    from omnifuse.data.modalities.config import ImageConfig
    from omnifuse.data.modalities.image import ImageProcessor

    processor = ImageProcessor(ImageConfig())
    try:
        processor.inspect(processor.canonical(value))
    except (BadValue, TypeError, ValueError):
        return False
    return True
