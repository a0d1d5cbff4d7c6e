"""The page about encoders names all of them and counts their weights and costs rightly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.model import ENCODERS
from omnifuse.model.config import ModelConfig
from omnifuse.model.encoders.config import NativeConfig

PAGE = (Path(__file__).parents[3] / "docs" / "encoders.md").read_text(encoding="utf-8")
IMAGE = ValueSpec(modality="image", shape=(3, 64, 64))
TEXT = ValueSpec(modality="text", shape=(None,), size=8192, max_length=256)
# The rows that the page speaks of: spec and number of steps.
ROWS: dict[str, tuple[ValueSpec, int]] = {
    "cnn": (IMAGE, 0),
    "vit": (IMAGE, 0),
    "transformer": (TEXT, 20),
    "ngram": (TEXT, 20),
    "embedding": (ValueSpec(modality="category", size=1000), 0),
    "periodic": (ValueSpec(modality="number"), 0),
    "mel_cnn": (ValueSpec(modality="audio", shape=(1, None), rate_hz=16_000, max_length=480_000), 16_000),
    "frames": (ValueSpec(modality="video", shape=(8, 3, 64, 64)), 0),
    "conv1d": (ValueSpec(modality="series", shape=(None, 6), max_length=4096), 100),
    "pointnet": (ValueSpec(modality="points", shape=(None, 4), max_length=2048), 2048),
    "bag": (ValueSpec(modality="set", shape=(1000,)), 0),
    "mlp": (ValueSpec(modality="vector", shape=(100,)), 0),
}


def table(heading: str) -> dict[str, list[str]]:
    """Rows of the table whose head begins like this, by encoder."""
    text = PAGE[PAGE.index(heading) :]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", text[: text.index("\n\n")], re.MULTILINE)
    return {name: rest.split(" | ") for name, rest in rows}


def costs(name: str, capacity: str) -> tuple[int, float]:
    """Weights, and multiplications and additions of a forward pass in millions."""
    spec, steps = ROWS[name]
    encoder = ENCODERS.build(ENCODERS.parse({"name": name, "capacity": capacity}), spec, 64).eval()
    shape = [steps if length is None else length for length in spec.shape]
    data = torch.zeros(1, *shape, dtype=torch.int64 if spec.size else torch.float32)
    mask = torch.ones(1, steps, dtype=torch.bool) if steps else None
    # only attention that is written out is counted on every version of PyTorch
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        encoder(Values(data, torch.ones(1, dtype=torch.bool), mask))
    return sum(weight.numel() for weight in encoder.parameters()), counter.get_total_flops() / 1e6


def test_every_encoder_is_explained() -> None:
    rows = table("| encoder | reads |")
    assert set(rows) == set(ENCODERS)
    for name, cells in rows.items():
        modalities = cells[0].partition(" (")[0].split(", ")
        assert set(modalities) == set(getattr(ENCODERS[name].config, "modalities", ())), name


@pytest.mark.parametrize("name", ROWS)
def test_weights_and_costs_are_those_of_the_encoder(name: str) -> None:
    cells = table("| encoder | one row |")[name]
    for capacity, weights, megaflop in zip(("tiny", "small", "base"), cells[1::2], cells[2::2], strict=True):
        found = costs(name, capacity)
        assert found == (int(weights.replace(",", "")), pytest.approx(float(megaflop), abs=0.051)), capacity


def test_every_native_encoder_has_three_capacities_each_larger_than_the_last() -> None:
    native = {name for name, entry in ENCODERS.items() if issubclass(entry.config, NativeConfig)}
    assert native == set(ROWS)
    for name in native:
        tiny, small, base = (costs(name, capacity)[0] for capacity in ("tiny", "small", "base"))
        assert tiny < small < base, name


def test_capacity_fills_in_numbers_and_what_is_written_wins() -> None:
    config = ENCODERS.parse({"name": "transformer", "capacity": "base", "depth": 2})
    assert config.model_dump() == {"name": "transformer", "capacity": "base", "width": 128, "depth": 2, "heads": 4, "dropout": 0.0}
    assert ENCODERS.parse(config.model_dump()) == config
    for name in ROWS:
        assert ENCODERS.parse({"name": name, "capacity": "small"}) == ENCODERS.parse(name), "the defaults are the small ones"


def test_a_capacity_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(OmnifuseError, match=r'capacity: did you mean "base"\?'):
        ENCODERS.parse({"name": "cnn", "capacity": "bas"}, "model.encoders.photo")
    with pytest.raises(OmnifuseError, match=r"photo\.capacity: known: tiny, small, base"):
        ENCODERS.parse({"name": "cnn", "capacity": 64}, "model.encoders.photo")
    with pytest.raises(
        OmnifuseError, match=r"model\.encoders\.note\.heads: 5 attention heads do not divide model\.encoders\.note\.width = 32"
    ):
        ModelConfig.parse({"encoders": {"note": {"name": "transformer", "capacity": "tiny", "heads": 5}}}, "model")


@pytest.mark.parametrize("name", ["transformer", "vit"])
def test_a_width_that_is_not_a_multiple_of_the_heads_is_refused_where_the_width_of_the_model_is_one(name: str) -> None:
    part = {"name": name, "width": 30, "heads": 4}
    with pytest.raises(OmnifuseError, match="4 attention heads do not divide"):
        ModelConfig.parse({"dim": 64, "encoders": {"note": part}}, "model")
    assert ModelConfig.parse({"dim": 30, "fusion": "concat", "encoders": {"note": {**part, "width": 32}}}, "model").dim == 30
