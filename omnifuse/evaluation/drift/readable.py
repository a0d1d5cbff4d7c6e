"""Plain figures of single values, which say in words what has changed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from omnifuse.data.loader import Loader
from omnifuse.data.modalities.processor import Processor

AT_ONCE = 64


def readable_figures(loader: Loader, name: str, raws: Sequence[Any]) -> dict[str, np.ndarray]:
    """By what it says, a figure (N,) of each of some present values of a column; NaN where a value has none.

    Of pictures and films the mean and deviation of their pixels, from 0 for black to 1 for white; of sounds the length, the mean
    and the deviation; of series and points their number of steps or points, and of each channel mean and deviation in the user's
    unit; of texts the number of letters. None of what is a number or a label itself.
    """
    processor = loader.processors[name]
    modality = processor.config.name
    if modality == "text":
        return {"letters": np.array([len(raw) for raw in raws], dtype=np.float64)}
    if not processor.is_media:
        return {}
    known: dict[Any, dict[str, float]] = {}
    for at in range(0, len(raws), AT_ONCE):
        for raw, item in loader.items(name, raws[at : at + AT_ONCE]).items():
            known[raw] = _of_item(modality, processor, item)
    names = dict.fromkeys(figure for figures in known.values() for figure in figures)
    return {figure: np.array([known[raw].get(figure, np.nan) for raw in raws]) for figure in names}


def _of_item(modality: str, processor: Processor[Any], item: np.ndarray) -> dict[str, float]:
    if modality in ("image", "video"):
        return {"brightness": float(item.mean()) / 255, "contrast": float(item.std()) / 255}
    if modality == "audio":
        return {"seconds": item.shape[1] / processor.spec.rate_hz, "mean": float(item.mean()), "loudness": float(item.std())}
    if modality not in ("series", "points"):
        return {}
    values = processor.decode(torch.from_numpy(item)[None])[0]
    channels = getattr(processor, "channels_", None) or processor.spec.names
    figures = {"steps" if modality == "series" else "points": float(len(values))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a channel that is missing throughout has no mean
        for channel, mean, deviation in zip(channels, np.nanmean(values, axis=0), np.nanstd(values, axis=0), strict=True):
            figures |= {f"mean of {channel}": float(mean), f"deviation of {channel}": float(deviation)}
    return figures
