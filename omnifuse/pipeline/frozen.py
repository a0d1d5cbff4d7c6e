"""What a frozen network makes of a value depends on nothing that is trained, so each different value goes through it once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

import omnifuse
from omnifuse.core.values import Features, Values
from omnifuse.data.loader import Loader, RawRows
from omnifuse.data.modalities.fitting import Processors
from omnifuse.data.modalities.processor import Processor, padded
from omnifuse.model.encoders.encoder import Encoder
from omnifuse.pipeline.kept_features import KeptFeatures, value_key

FORMAT = 1
FOLDER = "features"
COMPANY = 32
_digests: WeakKeyDictionary[nn.Module, tuple[Any, str]] = WeakKeyDictionary()


class FeatureLoader(Loader):
    """A loader that gives `Features` for the columns whose encoder is frozen, and `Values` for all others.

    The states of a value are looked up where they are kept, and computed where they are not. Without a place to keep them
    they are computed for each batch anew, once for each different value in it, and come out the same: on the CPU a value
    goes through the network alone, so no bit depends on its company (and nothing is padded). On an accelerator 32
    values of similar length go together, for one alone would leave it idle; there the last bits may depend on the company.

    Args:
        rows, processors, columns, targets, cache_mb: as of `Loader`.
        encoders: of the columns, those that read a target among them; those that are not frozen are left alone.
        kept: folders of features that are open, by their path; new ones are added.
        max_bytes: disk space for the features of one network; 0 keeps none.
    """

    def __init__(
        self,
        rows: RawRows,
        processors: Processors,
        columns: Sequence[str],
        targets: Sequence[str] = (),
        cache_mb: int = 1024,
        *,
        encoders: Mapping[str, nn.Module],
        kept: dict[Path, KeptFeatures],
        max_bytes: float,
    ) -> None:
        """Nothing is computed yet."""
        super().__init__(rows, processors, columns, targets, cache_mb)
        self.frozen = {name: e for name, e in encoders.items() if name in self.columns and isinstance(e, Encoder) and e.is_frozen}
        self._store: Path | None = getattr(rows, "store", None) if max_bytes else None
        self._open, self._max_bytes = kept, max_bytes
        self._kept: dict[str, KeptFeatures | None] = {}
        self._widths: dict[str, int] = {}

    def encode(self, name: str, raws: Sequence[Any]) -> Values:
        """Canonical values of one column → `Features` where its encoder is frozen."""
        if name not in self.frozen:
            return super().encode(name, raws)
        raws = self.known(name, raws)
        different = [raw for raw in dict.fromkeys(raws) if raw is not None]
        states = dict(zip(different, self._states(name, different), strict=True))
        made = padded([None if raw is None else states[raw] for raw in raws], (self._width(name, states),), np.float32)
        return Features(made.data, made.present, made.mask)

    def flush(self) -> None:
        """Write what waits to be kept."""
        for kept in self._kept.values():
            if kept is not None:
                kept.flush()

    @property
    def trouble(self) -> str | None:
        """Why features are no longer kept; `None` where all is well."""
        return next((kept.trouble for kept in self._kept.values() if kept is not None and kept.trouble), None)

    def _states(self, name: str, raws: Sequence[Any]) -> list[np.ndarray]:
        """(T, H) of each of some different values."""
        kept = self._place(name)
        if kept is None:
            return self._compute(name, raws)
        keys = [value_key(raw) for raw in raws]
        found = kept.find(keys)
        missing = [place for place, states in enumerate(found) if states is None]
        for at in range(0, len(missing), COMPANY):  # a few at a time, so that a kill loses little
            part = missing[at : at + COMPANY]
            for place, states in zip(part, self._compute(name, [raws[place] for place in part]), strict=True):
                found[place] = states
                kept.add(keys[place], states)
        return [states for states in found if states is not None]

    def _width(self, name: str, states: Mapping[Any, np.ndarray]) -> int:
        """H of the states; where every row is absent, as the network itself tells of an absent one."""
        for each in states.values():
            return each.shape[1]
        if name not in self._widths:
            encoder = self.frozen[name]
            absent = self.processors[name].collate([None]).to(next(encoder.parameters()).device)
            with torch.no_grad():
                self._widths[name] = encoder.features(absent).data.shape[2]
        return self._widths[name]

    def _compute(self, name: str, raws: Sequence[Any]) -> list[np.ndarray]:
        """Run the network."""
        encoder, processor = self.frozen[name], self.processors[name]
        device = next(encoder.parameters()).device
        items = list(self.items(name, raws).values())
        order = sorted(range(len(items)), key=lambda place: items[place].size)
        company = 1 if device.type == "cpu" else COMPANY
        made: dict[int, np.ndarray] = {}
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            for at in range(0, len(order), company):
                part = order[at : at + company]
                features = encoder.features(processor.collate([items[place] for place in part]).to(device))
                assert features.mask is not None, "features have a mask"
                states, mask = features.data.float().cpu().numpy(), features.mask.cpu().numpy()
                made.update((place, states[row][mask[row]]) for row, place in enumerate(part))
        return [made[place] for place in range(len(items))]

    def _place(self, name: str) -> KeptFeatures | None:
        """Where the features of a column are kept; columns that are read alike by one network share a place."""
        if name not in self._kept:
            kept = None
            if self._store is not None:
                folder = self._store / FOLDER / features_key(self.frozen[name], self.processors[name])
                kept = self._open.setdefault(folder, KeptFeatures(folder, self._max_bytes))
            self._kept[name] = kept
        return self._kept[name]


def features_key(encoder: Encoder, processor: Processor[Any]) -> str:
    """A word for all that features depend on beside the value: the network with its weights, and how it is fed."""
    options, network = encoder.frozen_part()
    fed = processor.config.model_dump(mode="json", exclude={"absent", *processor.config.reads})
    state = {name: value for name, value in processor.state().items() if name != "optional"}
    about = [FORMAT, omnifuse.__version__, str(torch.__version__), type(encoder).__qualname__, options, fed, state]
    word = json.dumps(about, sort_keys=True, default=str) + _weights(network)
    return hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _weights(network: nn.Module) -> str:
    """A hash of the weights, computed again only where they have been written to since."""
    tensors = network.state_dict()
    marks = tuple((name, tensor.data_ptr(), tensor._version) for name, tensor in tensors.items())
    known = _digests.get(network)
    if known is None or known[0] != marks:
        digest = hashlib.blake2b(digest_size=16)
        for name in sorted(tensors):
            tensor = tensors[name].detach().cpu().contiguous()
            digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
            digest.update(tensor.flatten().view(torch.uint8).numpy())
        known = _digests[network] = (marks, digest.hexdigest())
    return known[1]
