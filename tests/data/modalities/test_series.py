"""The series processor: standardised channels, missing values told and never filled, uneven and broken times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import SeriesConfig, column_config
from omnifuse.data.modalities.series import STEP_NAME, SeriesProcessor
from omnifuse.data.modalities.timing import even_steps

NAN = float("nan")


def fitted(files: list[Any], **options: Any) -> tuple[SeriesProcessor, list[bytes]]:
    series = SeriesProcessor(SeriesConfig(**options))
    raws = [series.canonical(file) for file in files]
    series.fit(raws)
    return series, raws


def test_channels_are_standardised_by_the_training_files():
    random = np.random.default_rng(0)
    files = [random.normal([5, -100], [2, 30], (length, 2)) for length in (40, 70, 5)]
    series, raws = fitted(files)
    assert series.spec.shape == (None, 2)
    assert series.spec.names == ("channel_1", "channel_2")
    values = series.encode([*raws, None])
    assert values.data.shape == (4, 70, 2)
    assert values.data.dtype == torch.float32
    assert values.mask is not None
    assert values.mask.sum(1).tolist() == [40, 70, 5, 0]
    seen = values.data[values.mask]
    assert torch.allclose(seen.mean(0), torch.zeros(2), atol=1e-5)
    assert torch.allclose(seen.std(0, correction=0), torch.ones(2), atol=1e-5)
    for found, file in zip(series.decode(values.data), files, strict=False):
        assert np.allclose(found[: len(file)], file, atol=1e-3)


def test_missing_values_are_zero_and_told_by_another_channel():
    series, raws = fitted([{"a": [1, NAN, 3], "b": [10, 20, 30]}, {"a": [5, 7, 9], "b": [NAN, 10, 20]}])
    assert series.spec.names == ("a", "b", "a is measured", "b is measured")
    values = series.encode(raws).data
    assert values[..., 2].tolist() == [[1, 0, 1], [1, 1, 1]]
    assert values[..., 3].tolist() == [[1, 1, 1], [0, 1, 1]]
    assert values[0, 1, 0] == 0
    assert values[1, 0, 1] == 0
    assert series.mean_.tolist() == pytest.approx([5, 18]), "what is missing does not count"
    assert np.array_equal(np.round(series.decode(values)[0], 4), [[1, 10], [NAN, 20], [3, 30]], equal_nan=True)


def test_a_channel_that_a_file_does_not_have_is_missing_in_it():
    series, raws = fitted([{"a": [1, 2], "b": [3, 4]}, {"b": [5, 6]}, {"b": [7, 8], "c": [9, 9]}])
    assert series.channels_ == ["a", "b", "c"]
    item = series.item(raws[1])
    assert item[:, 3:].tolist() == [[0, 1, 0], [0, 1, 0]]
    other = series.canonical({"b": [5, 6], "z": [1, 1]})
    assert np.array_equal(series.item(other), item), "what training never saw is left out"


def test_channels_are_chosen_and_ordered():
    series, raws = fitted([{"a": [1, 2], "b": [NAN, 4], "c": [5, 6]}], channels=("c", "a"))
    assert series.spec.names == ("c", "a"), "the gap in b does not matter"
    assert np.allclose(series.decode(series.encode(raws).data)[0], [[5, 1], [6, 2]])
    with pytest.raises(OmnifuseError, match='no training file has a channel "d"; known: a, b'):
        fitted([{"a": [1, 2], "b": [3, 4]}], channels=("d",))


def test_a_constant_channel_and_wild_values_stay_finite():
    series, _ = fitted([{"a": [7, 7, 7], "b": [1, 2, 3]}])
    item = series.item(series.canonical({"a": [7, 8, 7], "b": [1e90, 2, -1e90]}))
    assert item[:, 0].tolist() == [0, 1, 0]
    assert np.abs(item[:, 1]).max() == 1e6


def test_longer_series_are_cut():
    series, raws = fitted([np.arange(100.0)], max_steps=8)
    assert series.item(raws[0]).shape == (8, 1)
    assert series.mean_[0] == 3.5, "what is never shown is not learned from"
    assert series.spec.max_length == 8


def test_uneven_times_give_a_channel_with_the_steps():
    series, raws = fitted([{"t": [10.0, 11, 13, 17], "a": [1, 2, 3, 4]}], time="t")
    assert series.spec.names == ("a", STEP_NAME)
    item = series.item(raws[0])
    assert item[0, 1] == 0
    steps = item[1:, 1] * series.step_std_ + series.step_mean_
    assert np.allclose(steps, [1, 2, 4], atol=1e-5)
    assert series.inspect(raws[0]).numbers == {"steps": 4, "channels": 1, "missing": 0, "seconds": 7}


def test_times_out_of_order_are_sorted_and_units_are_followed():
    series = SeriesProcessor(SeriesConfig(time="t", time_unit="ms"))
    raw = series.canonical({"a": [3, 1, 2], "t": [2000, 0, 500]})
    assert series.inspect(raw).numbers["seconds"] == 2
    series.fit([raw])
    assert np.allclose(series.decode(series.encode([raw]).data)[0][:, 0], [1, 2, 3])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, 2]}, 'no channel "t"'),
        ([[1, 2], [3, 4]], 'no channel "t"'),
        ({"t": [1, NAN], "a": [1, 2]}, "step 2: the time is missing"),
        ({"t": [1, 2]}, "no channel beside the time"),
    ],
)
def test_a_series_without_its_time_is_refused_at_preparation(value: Any, expected: str):
    series = SeriesProcessor(SeriesConfig(time="t"))
    with pytest.raises(BadValue, match=expected):
        series.inspect(series.canonical(value))


def test_an_even_rate_is_made_by_lines_between_neighbours():
    series, raws = fitted([{"t": [0, 0.5, 1.5, 2.0], "a": [0, 1, 3, 4]}], time="t", rate_hz=4, max_gap_s=1)
    assert series.spec.rate_hz == 4
    assert series.spec.names == ("a",)
    assert np.allclose(series.decode(series.encode(raws).data)[0][:, 0], np.arange(9) / 2, atol=1e-6)


def test_wide_gaps_and_ends_stay_missing():
    times = np.array([0.0, 1, 2, 6, 7])
    column = np.array([[0.0], [1], [2], [6], [7]])
    assert np.array_equal(even_steps(column, times, 1.0, None, 100)[:, 0], [0, 1, 2, NAN, NAN, NAN, 6, 7], equal_nan=True)
    assert np.allclose(even_steps(column, times, 1.0, 4.0, 100)[:, 0], np.arange(8))
    holes = np.array([[NAN], [1], [NAN], [6], [NAN]])
    assert np.array_equal(even_steps(holes, times, 1.0, 5.0, 100)[:, 0], [NAN, 1, 2, 3, 4, 5, 6, NAN], equal_nan=True)
    assert np.isnan(even_steps(np.full((5, 1), NAN), times, 1.0, None, 100)).all()
    assert even_steps(column, times, 1.0, None, 3).shape == (3, 1)
    assert even_steps(column[:1], times[:1], 10.0, None, 3)[:, 0].tolist() == [0]


def test_times_that_are_rounded_still_lie_on_their_steps():
    times = np.round(np.arange(300) / 30, 6)
    column = np.random.default_rng(0).normal(size=(300, 1))
    even = even_steps(column, times, 30.0, None, 10_000)
    assert even.shape == (300, 1)
    assert np.allclose(even, column, atol=1e-3)


@pytest.mark.parametrize(
    "options",
    [{"rate_hz": 10}, {"time": "t", "max_gap_s": 1}, {"channels": []}, {"channels": ["a", "a"]}, {"max_steps": 0}, {"time_unit": "h"}],
)
def test_wrong_options_are_refused(options: dict[str, Any]):
    with pytest.raises(OmnifuseError, match=r"columns\.motion"):
        column_config(Column("motion", "series", **options))


def test_recordings_of_activities_are_brought_to_one_scale(shared_data: Path):
    files = sorted((shared_data / "sensors" / "arem").glob("[clsw]*/*.csv"))
    if not files:
        pytest.skip("the AReM recordings are not there")
    series = SeriesProcessor(SeriesConfig(time="time", time_unit="ms", rate_hz=4))
    raws = [file.read_bytes() for file in files]
    assert all(series.inspect(raw).numbers["channels"] == 6 for raw in raws)
    series.fit(raws)
    assert series.spec.names[:2] == ("avg_rss12", "var_rss12")
    values = series.encode(raws)
    assert values.mask is not None
    seen = values.data[values.mask][:, :6]
    assert torch.allclose(seen.mean(0), torch.zeros(6), atol=0.02)
    assert torch.isfinite(values.data).all()
