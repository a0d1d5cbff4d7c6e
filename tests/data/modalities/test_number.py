"""Numbers: read from words of every dress, kept in range, standardised and back."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import NumberConfig
from omnifuse.data.modalities.number import NumberProcessor


def _read(value: Any, **options: Any) -> float | None:
    return NumberProcessor(NumberConfig(**options)).canonical(value)


def test_numbers_come_back_and_are_standardised():
    processor = NumberProcessor(NumberConfig())
    raws = [3.0, 7.5, -2.25, 1000.0]
    processor.fit(raws)
    values = processor.encode(raws)
    assert values.data.dtype == torch.float32
    assert values.data.mean().abs() < 1e-6
    assert torch.allclose(values.data.std(correction=0), torch.tensor(1.0))
    assert processor.decode(values.data) == pytest.approx(raws, abs=1e-3)


def test_a_constant_number_comes_back_and_does_not_divide_by_zero():
    processor = NumberProcessor(NumberConfig())
    processor.fit([0.1] * 7)
    assert processor.encode([0.1]).data.tolist() == pytest.approx([0.0], abs=1e-6)
    assert processor.decode(torch.zeros(1)) == pytest.approx([0.1])


def test_large_numbers_that_differ_little_keep_their_difference():
    processor = NumberProcessor(NumberConfig())
    processor.fit([1e9 + i for i in range(10)])
    assert processor.std_ == pytest.approx(np.std(np.arange(10.0)), rel=1e-4)


@pytest.mark.parametrize(
    ("value", "expected"), [("12.5", 12.5), (" 3 ", 3.0), (True, 1.0), (np.int64(4), 4.0), ("1e3", 1000.0), ("nan", None)]
)
def test_words_and_other_kinds_of_numbers_are_read(value: Any, expected: float | None):
    assert NumberProcessor(NumberConfig()).canonical(value) == expected


@pytest.mark.parametrize("value", ["n/a", "12,5", "abc", float("inf"), "-inf", "1e999", [1], 10**400], ids=lambda value: repr(value)[:12])
def test_what_is_no_finite_number_is_refused(value: Any):
    with pytest.raises(BadValue) as caught:
        NumberProcessor(NumberConfig()).canonical(value)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("fitted_on", [[1.0, 2.0], [1e300, -1e300, 1.0], [1e-300, 2e-300]])
def test_numbers_of_any_size_become_finite_tensors(fitted_on: list[float]):
    processor = NumberProcessor(NumberConfig())
    processor.fit(fitted_on)
    assert torch.isfinite(processor.encode([1e300, -1e300, 1.0, None]).data).all()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("$1,083.31", 1083.31),
        ("1083.31", 1083.31),
        ("12 %", 12.0),
        ("-$5", -5.0),
        ("$-5", -5.0),
        ("\u22125.5", -5.5),
        ("(1,234.50)", -1234.5),
        ("1 083.31", 1083.31),
        ("1\u202f083.31", 1083.31),
        ("1'083.31", 1083.31),
        ("12,34,567", 1234567.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("₹ 99", 99.0),
    ],
)
def test_numbers_with_a_decimal_point_are_read_as_people_write_them(word: str, expected: float):
    assert _read(word, format="point") == expected


@pytest.mark.parametrize(
    ("word", "expected"), [("1.083,31 €", 1083.31), ("0,5 %", 0.5), ("1.083", 1083.0), ("1083", 1083.0), ("-7,25", -7.25)]
)
def test_numbers_with_a_decimal_comma_are_read_as_people_write_them(word: str, expected: float):
    assert _read(word, format="comma") == expected


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("1,08", "point"),
        ("1,2345", "point"),
        ("1.083,31", "point"),
        ("1.2.3", "point"),
        ("12 34", "point"),
        ("$", "point"),
        ("()", "point"),
        ("(-5)", "point"),
        ("US$ 5", "point"),
        ("1.08", "comma"),
        ("1,083.31", "comma"),
        ("$1,083.31", "plain"),
        ("12 %", "plain"),
        ("12,5", "plain"),
    ],
)
def test_digits_that_are_not_grouped_as_the_format_says_are_refused_not_guessed(word: str, form: Any):
    with pytest.raises(BadValue, match="is not a number"):
        _read(word, format=form)


def test_numbers_that_are_no_words_need_no_format():
    assert _read(1083.31, format="comma") == 1083.31
    assert _read(np.float32(0.5), format="point", unit="cm") == 0.5


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ("180 cm", "cm", 180.0),
        ("1.80 m", "cm", 180.0),
        ("71in", "cm", 180.34),
        ("1.8e3 mm", "cm", 180.0),
        ("180", "cm", 180.0),
        (180, "cm", 180.0),
        ("20 °C", "kelvin", 293.15),
        ("68 degF", "degC", 20.0),
        ("60 km/h", "m/s", 60 / 3.6),
        ("5 mg/dL", "g/L", 0.05),
    ],
)
def test_words_with_a_unit_become_numbers_in_the_unit_of_the_column(value: Any, unit: str, expected: float):
    pytest.importorskip("pint")
    assert _read(value, unit=unit) == pytest.approx(expected)


def test_a_unit_goes_with_a_format():
    pytest.importorskip("pint")
    assert _read("1.083,5 m", unit="km", format="comma") == pytest.approx(1.0835)


@pytest.mark.parametrize("word", ["70 kg", "6 bedrooms", "cm", "1,80 m", "3 m^2", "3 m**999999999", "3 " + "m*" * 5000 + "m"])
def test_units_that_do_not_fit_are_refused_quickly(word: str):
    pytest.importorskip("pint")
    with pytest.raises(BadValue) as caught:
        _read(word, unit="cm")
    assert len(str(caught.value)) < 120


def test_a_unit_of_the_column_that_nobody_knows_is_the_mistake_of_the_recipe_and_not_of_the_rows():
    pytest.importorskip("pint")
    with pytest.raises(OmnifuseError, match="unit: 'centimeeter' is not a unit") as caught:
        _read("1.8 m", unit="centimeeter")
    assert not isinstance(caught.value, BadValue)


def test_numbers_out_of_range_are_bad_values_that_tell_the_range():
    assert _read(30, minimum=30, maximum=45) == 30.0
    with pytest.raises(BadValue, match="212 is outside 30 to 45"):
        _read("212", minimum=30, maximum=45)
    with pytest.raises(BadValue, match="-1 is below the minimum 0"):
        _read(-1, minimum=0)
    with pytest.raises(BadValue, match="101 is above the maximum 100"):
        _read(101, maximum=100)
    assert _read("", minimum=30) is None


def test_the_range_is_in_the_unit_of_the_column():
    pytest.importorskip("pint")
    assert _read("1.8 m", unit="cm", maximum=250) == pytest.approx(180)
    with pytest.raises(BadValue, match="above the maximum"):
        _read("18 m", unit="cm", maximum=250)


def test_a_range_that_holds_nothing_is_refused():
    with pytest.raises(OmnifuseError, match="minimum 5 lies above maximum 3"):
        NumberConfig.parse({"minimum": 5, "maximum": 3}, "columns.x")


def test_the_logarithm_spreads_small_numbers_and_comes_back_exactly():
    raws = [0.0, 1.0, 3.0, 10.0, 100.0, 1e6, -50.0]
    plain, log = NumberProcessor(NumberConfig()), NumberProcessor(NumberConfig(log=True))
    plain.fit(raws)
    log.fit(raws)
    assert plain.encode([3.0]).data - plain.encode([1.0]).data < 1e-4
    assert log.encode([3.0]).data - log.encode([1.0]).data > 0.1
    assert log.encode(raws).data.mean().abs() < 1e-6
    assert log.decode(log.encode(raws).data) == pytest.approx(raws, rel=1e-4, abs=1e-5)
    other = NumberProcessor(NumberConfig(log=True))
    other.load_state(json.loads(json.dumps(log.state())))
    assert torch.equal(other.encode(raws).data, log.encode(raws).data)


def test_a_wild_answer_of_a_model_comes_back_finite():
    processor = NumberProcessor(NumberConfig(log=True))
    processor.fit([1.0, 10.0])
    assert all(math.isfinite(number) for number in processor.decode(torch.tensor([1e30, -1e30])))


def test_only_how_numbers_are_read_prepares_the_data_anew():
    assert set(NumberConfig.reads) == {"format", "unit", "minimum", "maximum"}
    for value in ("$5.00", "", None):
        assert _read(value, format="point", log=True) == _read(value, format="point")
