"""Every registered modality keeps the same contract."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from conformance_parts import RAWS, batch_of, fitted, raws_of, unfitted

from omnifuse.core.values import Values
from omnifuse.data.modalities import MODALITIES
from omnifuse.data.modalities.processor import Processor

every_modality = pytest.mark.parametrize("modality", list(MODALITIES))


def same(first: Values, second: Values) -> bool:
    masks = (first.mask is None and second.mask is None) or torch.equal(first.mask, second.mask)
    return torch.equal(first.data, second.data) and torch.equal(first.present, second.present) and masks


@every_modality
def test_the_spec_tells_the_truth_about_the_tensors(modality: str) -> None:
    processor = fitted(modality)
    spec, values = processor.spec, batch_of(processor, modality)
    assert spec.modality == modality
    assert values.data.ndim == 1 + len(spec.shape)
    for expected, found in zip(spec.shape, values.data.shape[1:], strict=True):
        assert expected in (None, found)
    if spec.size:
        assert values.data.dtype == torch.int64
        assert values.data.min() >= 0
        assert values.data.max() < spec.size
    else:
        assert values.data.dtype == torch.float32
    if spec.max_length:
        assert values.mask is not None
        assert values.mask.sum(1).max() <= spec.max_length
    assert spec.optional is processor.optional_


@every_modality
def test_absent_rows_are_zeros_and_never_nan(modality: str) -> None:
    values = batch_of(fitted(modality), modality)
    assert values.present.tolist() == [True, False, True, True, True, True, True, False]
    assert not values.data[~values.present].any()
    assert torch.isfinite(values.data.float()).all()
    if values.mask is not None:
        assert torch.equal(values.mask.any(1), values.present)


@every_modality
def test_a_batch_of_absent_rows_alone_can_be_made(modality: str) -> None:
    values = fitted(modality).encode([None, None])
    assert len(values) == 2
    assert not values.present.any()
    assert not values.data.any()


@every_modality
def test_what_was_learned_survives_json(modality: str) -> None:
    processor = fitted(modality)
    saved = json.loads(json.dumps({"options": processor.config.model_dump(mode="json"), "state": processor.state()}))
    other: Processor[Any] = MODALITIES.build(MODALITIES.parse(saved["options"]))
    other.load_state(saved["state"])
    assert other.config == processor.config
    assert other.spec == processor.spec
    assert same(batch_of(other, modality), batch_of(processor, modality))


@every_modality
def test_decoding_gives_back_what_was_encoded(modality: str) -> None:
    processor = fitted(modality)
    decoded = processor.decode(processor.encode(raws_of(modality)).data)
    assert len(decoded) == len(raws_of(modality))
    for value, raw, given in zip(decoded, raws_of(modality), RAWS[modality], strict=True):
        if modality in ("number", "vector"):
            assert value == pytest.approx(raw, abs=1e-3)
        elif modality == "datetime":
            assert abs(processor.canonical(value) - raw) < 120_000_000, "two minutes in sixty years, which is what float32 tells"
        elif modality in ("image", "video"):
            assert np.array_equal(value, processor.item(raw))
        elif modality == "audio":
            item = processor.item(raw)
            assert np.array_equal(value[:, : item.shape[1]], item)
        elif modality == "series":
            expected = np.array(list(given.values()), dtype=float).T
            assert np.allclose(value[: len(expected)], expected, atol=1e-3, equal_nan=True), "in the user's units, the missing one missing"
        elif modality == "points":
            assert np.allclose(value[: len(given)], given, atol=1e-3)
        else:
            assert (value.strip() if isinstance(value, str) else value) == raw


@every_modality
def test_canonical_values_are_stable_and_nothing_is_absent(modality: str) -> None:
    processor = unfitted(modality)
    if modality != "datetime":  # microseconds, which a user would not write
        assert [processor.canonical(raw) for raw in raws_of(modality)] == raws_of(modality)
    assert len({hash(raw) for raw in raws_of(modality)}) == len(raws_of(modality))
    assert processor.canonical(None) is None
    assert processor.canonical("  ") is None


@every_modality
def test_encoding_is_deterministic_and_by_row(modality: str) -> None:
    processor = fitted(modality)
    assert same(batch_of(processor, modality), batch_of(fitted(modality), modality))
    together = processor.encode(raws_of(modality))
    for row, raw in enumerate(raws_of(modality)):
        alone, there = processor.encode([raw]).data[0], together.data[row]
        if together.mask is not None:
            there = there.movedim(processor.spec.shape.index(None), 0)[together.mask[row]]  # the mask runs along what varies
            alone = alone.movedim(processor.spec.shape.index(None), 0)
        assert torch.equal(there, alone)
