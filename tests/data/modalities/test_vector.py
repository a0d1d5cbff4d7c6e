"""Vectors: a fixed number of numbers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import VectorConfig
from omnifuse.data.modalities.vector import VectorProcessor


def _read(value: Any, **options: Any) -> tuple[float, ...] | None:
    return VectorProcessor(VectorConfig(**options)).canonical(value)


@pytest.mark.parametrize(
    "value",
    [
        [1, 2.5, -3],
        (1, 2.5, -3),
        np.array([1, 2.5, -3]),
        torch.tensor([1, 2.5, -3]),
        pd.Series([1, 2.5, -3]),
        ["1", "2.5", "-3"],
        "[1, 2.5, -3]",
        "(1,2.5,-3)",
        "1 2.5 -3",
        "1;2.5;-3",
        "1, 2.5, -3",
        "[ 1.   2.5\n -3. ]",
    ],
    ids=repr,
)
def test_the_forms_of_a_vector_are_one(value: Any):
    assert _read(value) == (1.0, 2.5, -3.0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, None, 3], "number 2 of 3 is missing"),
        ([1, float("nan")], "number 2 of 2 is missing"),
        ("[1, nan]", "number 2 of 2 is missing"),
        ([float("inf"), 1], "number 1 of 2 is too large"),
        ([1e200], "number 1 of 1 is too large"),
        ("1,,2", "'' is not a number"),
        ("a b", "'a' is not a number"),
        ([1, "x"], "'x' is not a number"),
        ([], "a vector without numbers"),
        ("[]", "a vector without numbers"),
        (np.zeros((2, 2)), r"an array of shape \(2, 2\) is not a vector"),
        ([[1, 2]], "is not a number"),
        (5.0, "float is not a vector"),
        (b"12", "bytes is not a vector"),
        ({"a": 1}, "dict is not a vector"),
        ({1.0, 2.0}, "set is not a vector"),
    ],
)
def test_what_is_no_whole_vector_is_refused_and_never_filled(value: Any, message: str):
    with pytest.raises(BadValue, match=message):
        _read(value)


def test_a_given_size_sets_other_vectors_aside_when_they_are_read():
    assert _read([1, 2, 3], size=3) == (1.0, 2.0, 3.0)
    with pytest.raises(BadValue, match="2 numbers, not 3"):
        _read([1, 2], size=3)
    assert VectorConfig.reads == ("size",)


def test_without_a_size_vectors_of_another_length_are_refused_with_a_hint():
    processor = VectorProcessor(VectorConfig())
    with pytest.raises(BadValue, match=r"a vector of 3 numbers among vectors of 2; .*`size: 2`"):
        processor.fit([(1.0, 2.0), (1.0, 2.0, 3.0)])
    with pytest.raises(BadValue, match="a vector of 1 numbers among vectors of 2"):
        processor.item((1.0,))


def test_vectors_are_standardised_place_by_place_and_come_back():
    raws = [tuple(row) for row in np.random.default_rng(0).normal([0, 100, -5], [1, 30, 0.01], (50, 3)).tolist()]
    processor = VectorProcessor(VectorConfig())
    processor.fit(raws)
    values = processor.encode([*raws, None])
    assert values.data.dtype == torch.float32
    assert values.data[:50].mean(0).abs().max() < 1e-5
    assert torch.allclose(values.data[:50].std(0, correction=0), torch.ones(3), atol=1e-4)
    assert not values.data[50].any()
    assert np.allclose(processor.decode(values.data[:50]), raws, atol=1e-4)
    assert processor.spec.shape == (3,)


def test_vectors_may_stay_as_they_are():
    processor = VectorProcessor(VectorConfig(standardise=False))
    processor.fit([(3.0, 4.0), (5.0, 6.0)])
    assert processor.encode([(3.0, 4.0)]).data.tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize("raws", [[(0.1, 5.0)] * 3, [(1e90, -1e90), (1.0, 2.0)], [(1e-200, 0.0), (2e-200, 0.0)]])
def test_constant_and_extreme_vectors_become_finite_tensors(raws: list[tuple[float, ...]]):
    processor = VectorProcessor(VectorConfig())
    processor.fit(raws)
    assert torch.isfinite(processor.encode([*raws, (1e99, -1e99)]).data).all()


def test_what_was_learned_survives_json():
    first, second = VectorProcessor(VectorConfig()), VectorProcessor(VectorConfig())
    first.fit([(1.0, 2.0), (3.0, 5.0)])
    second.load_state(json.loads(json.dumps(first.state())))
    assert torch.equal(first.encode([(7.0, 8.0)]).data, second.encode([(7.0, 8.0)]).data)
