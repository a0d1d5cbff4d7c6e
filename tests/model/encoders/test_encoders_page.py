"""The page about encoders names all of them and counts their weights and costs rightly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.model import ENCODERS

PAGE = (Path(__file__).parents[3] / "docs" / "encoders.md").read_text(encoding="utf-8")
IMAGE = ValueSpec(modality="image", shape=(3, 64, 64))
TEXT = ValueSpec(modality="text", shape=(None,), size=8192, max_length=256)
# The rows that the page speaks of: spec and number of steps.
ROWS: dict[str, tuple[ValueSpec, int]] = {
    "cnn": (IMAGE, 0),
    "vit": (IMAGE, 0),
    "transformer": (TEXT, 20),
    "ngram": (TEXT, 20),
    "embedding": (ValueSpec(modality="category", size=10), 0),
    "periodic": (ValueSpec(modality="number"), 0),
    "mel_cnn": (ValueSpec(modality="audio", shape=(1, None), rate_hz=16_000, max_length=480_000), 16_000),
    "frames": (ValueSpec(modality="video", shape=(8, 3, 64, 64)), 0),
    "conv1d": (ValueSpec(modality="series", shape=(None, 6), max_length=4096), 100),
    "pointnet": (ValueSpec(modality="points", shape=(None, 4), max_length=2048), 2048),
    "bag": (ValueSpec(modality="set", shape=(10,)), 0),
    "mlp": (ValueSpec(modality="vector", shape=(100,)), 0),
}


def table(heading: str) -> dict[str, list[str]]:
    """Rows of the table whose head begins like this, by encoder."""
    text = PAGE[PAGE.index(heading) :]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", text[: text.index("\n\n")], re.MULTILINE)
    return {name: rest.split(" | ") for name, rest in rows}


def test_every_encoder_is_explained() -> None:
    rows = table("| encoder | reads |")
    assert set(rows) == set(ENCODERS) == set(ROWS)
    for name, cells in rows.items():
        modalities = cells[0].partition(" (")[0].split(", ")
        assert set(modalities) == set(getattr(ENCODERS[name].config, "modalities", ())), name


@pytest.mark.parametrize("name", ROWS)
def test_weights_and_costs_are_those_of_the_encoder(name: str) -> None:
    spec, steps = ROWS[name]
    _, weights, megaflop = table("| encoder | one row |")[name]
    encoder = ENCODERS.build(ENCODERS.parse(name), spec, 64).eval()
    assert sum(weight.numel() for weight in encoder.parameters()) == int(weights.replace(",", ""))
    shape = [steps if length is None else length for length in spec.shape]
    data = torch.zeros(1, *shape, dtype=torch.int64 if spec.size else torch.float32)
    mask = torch.ones(1, steps, dtype=torch.bool) if steps else None
    with FlopCounterMode(display=False) as counter:
        encoder(Values(data, torch.ones(1, dtype=torch.bool), mask))
    assert counter.get_total_flops() / 1e6 == pytest.approx(float(megaflop), abs=0.051)
