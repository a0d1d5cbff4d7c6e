"""Every kind of network can be frozen: its features are the same alone and in company, and survive the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from omnifuse.core.values import Features
from omnifuse.model import ENCODERS
from omnifuse.model.pretrained.config import TunedConfig
from omnifuse.pipeline.frozen import FeatureLoader, features_key
from tests.conformance.conformance_parts import DIM, TINY, fitted, raws_of
from tests.model.pretrained.tiny_models import folder_of


class Rows:
    """Canonical values of one column and their files, as a dataset in a store gives them."""

    def __init__(self, store: Path, raws: list[Any], is_media: bool) -> None:
        self.store = store
        self.files = {f"{place:040x}": raw for place, raw in enumerate(raws)} if is_media else {}
        self.values = list(self.files) if is_media else raws

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: Any, columns: Any = None) -> dict[str, list[Any]]:
        return {"x": [self.values[place] for place in index]}

    def media(self, keys: Any) -> list[bytes]:
        return [self.files[key] for key in keys]


FREEZABLE = [name for name in ENCODERS if issubclass(ENCODERS[name].config, TunedConfig)]  # a table of words has nothing to keep


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in FREEZABLE for kind in TINY[name]], ids=lambda word: word)
def test_features_of_every_network(name: str, kind: str, tmp_path: Path) -> None:
    config = ENCODERS[name].config.parse({"name": name, "model": str(folder_of(kind)), "pool": "tokens"})
    modality = config.modalities[0]  # pyright: ignore[reportAttributeAccessIssue]
    processor = fitted(modality, config.input_spec())  # pyright: ignore[reportAttributeAccessIssue]
    encoder = ENCODERS.build(config, processor.spec, DIM).train()
    rows = Rows(tmp_path, raws_of(modality), processor.is_media)

    def loader() -> FeatureLoader:
        return FeatureLoader(rows, {"x": processor}, ["x"], encoders={"x": encoder}, kept={}, max_bytes=1e9)

    first = loader()
    with torch.no_grad():
        fresh = encoder(processor.encode([*raws_of(modality), None]))
        computed = first.encode("x", [*rows.values, None])
        first.flush()
        read = loader().encode("x", [None, *rows.values[::-1]])
        kept = encoder(computed)
    assert isinstance(read, Features)
    assert (tmp_path / "features" / features_key(encoder, processor)).is_dir()
    assert torch.equal(read.data.flip(0), computed.data)
    assert torch.equal(read.present.flip(0), computed.present)
    longest = int(fresh.mask.sum(1).max())
    assert torch.equal(kept.mask[:, :longest], fresh.mask[:, :longest])
    assert torch.allclose(kept.values[:, :longest], fresh.values[:, :longest], atol=1e-4)
