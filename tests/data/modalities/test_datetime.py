"""Moments: read in every form, told apart by time, season, weekday and hour, and back."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import DatetimeConfig
from omnifuse.data.modalities.datetime import FEATURES, DatetimeProcessor


def _read(value: Any, **options: Any) -> str | None:
    """The moment in UTC, as ISO 8601."""
    read = DatetimeProcessor(DatetimeConfig(**options)).canonical(value)
    if read is None:
        return None
    assert type(read) is int
    return (dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=read)).isoformat()


def _fitted(words: list[str], **options: Any) -> DatetimeProcessor:
    processor = DatetimeProcessor(DatetimeConfig(**options))
    processor.fit([processor.canonical(word) for word in words])
    return processor


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-05-31", "2024-05-31T00:00:00"),
        ("2024-05-31T10:20", "2024-05-31T10:20:00"),
        (" 2024-05-31 10:20:30.5Z ", "2024-05-31T10:20:30.500000"),
        ("2024-05-31T10:20:30+02:00", "2024-05-31T08:20:30"),
        ("2024-05-31 10:20:30 -0530", "2024-05-31T15:50:30"),
        ("2024-05-31 10:20 UTC", "2024-05-31T10:20:00"),
        ("2024-05-31T10:20:30.123456789", "2024-05-31T10:20:30.123456"),
        ("2024/5/1 9:30", "2024-05-01T09:30:00"),
        ("20240531", "2024-05-31T00:00:00"),
        ("20240531T0930Z", "2024-05-31T09:30:00"),
        (dt.date(2024, 5, 31), "2024-05-31T00:00:00"),
        (dt.datetime(2024, 5, 31, 10), "2024-05-31T10:00:00"),
        (dt.datetime(2024, 5, 31, 10, tzinfo=dt.timezone(dt.timedelta(hours=2))), "2024-05-31T08:00:00"),
        (pd.Timestamp("2024-05-31 10:00", tz="Europe/Berlin"), "2024-05-31T08:00:00"),
        (np.datetime64("2024-05-31"), "2024-05-31T00:00:00"),
        (np.datetime64("2024-05-31T10:00:00.123456789", "ns"), "2024-05-31T10:00:00.123456"),
        (pd.NaT, None),
        (np.datetime64("NaT"), None),
        ("1969-07-20T20:17:40Z", "1969-07-20T20:17:40"),
        ("0044-03-15", "0044-03-15T00:00:00"),
    ],
    ids=repr,
)
def test_moments_in_every_form(value: Any, expected: str | None):
    assert _read(value) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("03/04/2021", r"may begin with the day or the month; give the column the `format` %d/%m/%Y or %m/%d/%Y"),
        ("3.4.21 10:00", r"%d\.%m\.%y %H:%M or"),
        ("31/12/2021", "give the column the `format`"),
        ("May 1, 2024", "give the column a `format`"),
        ("2024-05", "give the column a `format`"),
        ("1609459200", "give the column a `format`"),
        ("2024-02-30", "is not a moment"),
        ("2024-13-01", "is not a moment"),
        ("2024-05-31T24:00", "is not a moment"),
        ("2024-05-31 10:00+25:00", "is not a moment"),
        (1609459200, "is a number; say what it counts, such as `format: unix_s`"),
        (True, "bool 'True' is not a moment"),
        (dt.time(3), "time '03:00:00' is not a moment"),
        (["2024-05-31"], "is not a moment"),
        ("0001-01-01", "outside the years 1 to 9999"),
        ("9999-12-31T23:59:59", "outside the years 1 to 9999"),
        (np.datetime64("300000-01-01"), "outside the years 1 to 9999"),
    ],
    ids=repr,
)
def test_what_is_no_moment_or_could_be_two_is_refused_with_a_way_out(value: Any, message: str):
    with pytest.raises(BadValue, match=message):
        _read(value)


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        ("03/04/2021", "%d/%m/%Y", "2021-04-03T00:00:00"),
        ("03/04/2021", "%m/%d/%Y", "2021-03-04T00:00:00"),
        (20240531, "%Y%m%d", "2024-05-31T00:00:00"),
        (20240531.0, "%Y%m%d", "2024-05-31T00:00:00"),
        ("Fri, 31 May 2024 10:00:00 +0200", "%a, %d %b %Y %H:%M:%S %z", "2024-05-31T08:00:00"),
        (1609459200.5, "unix_s", "2021-01-01T00:00:00.500000"),
        ("1609459200123", "unix_ms", "2021-01-01T00:00:00.123000"),
        (np.int64(1609459200), "unix_s", "2021-01-01T00:00:00"),
        (1609459200123456, "unix_us", "2021-01-01T00:00:00.123456"),
        (-86400, "unix_s", "1969-12-31T00:00:00"),
        (dt.date(2024, 5, 31), "%d/%m/%Y", "2024-05-31T00:00:00"),
    ],
)
def test_a_format_says_how_words_and_numbers_are_read(value: Any, form: str, expected: str):
    assert _read(value, format=form) == expected


@pytest.mark.parametrize("value", ["2021-04-03", "x", 1e300, float("inf")], ids=repr)
def test_what_does_not_match_the_format_is_refused(value: Any):
    for form in ("%d/%m/%Y", "unix_s"):
        with pytest.raises(BadValue):
            _read(value, format=form)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "unix"}, 'columns.x: format: "unix" says nothing .* did you mean "unix_s"'),
        ({"format": "dd/mm/yyyy"}, "says nothing of how a moment is written"),
        ({"format": "%Q"}, "is no format of strptime"),
        ({"timezone": "Europe/Brelin"}, 'unknown time zone "Europe/Brelin"; did you mean "Europe/Berlin"'),
        ({"timezone": "../../etc/passwd"}, "unknown time zone"),
    ],
)
def test_mistakes_in_the_options_are_told_at_once(options: dict[str, str], message: str):
    with pytest.raises(OmnifuseError, match=message):
        DatetimeConfig.parse(options, "columns.x")


def test_moments_that_do_not_say_theirs_are_in_the_timezone():
    assert _read("2024-05-31 10:00", timezone="Europe/Berlin") == "2024-05-31T08:00:00"
    assert _read("2024-01-31 10:00", timezone="Europe/Berlin") == "2024-01-31T09:00:00", "winter time"
    assert _read("2024-05-31T10:00Z", timezone="Europe/Berlin") == "2024-05-31T10:00:00"
    assert _read(dt.date(2024, 5, 31), timezone="Asia/Tokyo") == "2024-05-30T15:00:00"
    assert _read("2024-10-27 02:30", timezone="Europe/Berlin") == "2024-10-27T00:30:00", "the first of an hour that comes twice"


def test_the_features_say_time_season_weekday_and_hour():
    processor = _fitted(["2024-01-01", "2024-01-03"])
    assert processor.spec.shape == (7,) == (len(FEATURES),)
    monday, noon = processor.encode([processor.canonical(word) for word in ("2024-01-01", "2024-07-02T12:00")]).data
    assert monday.tolist() == pytest.approx([-1, 0, 1, 0, 1, 0, 1], abs=1e-6), "the year, the week and the day begin"
    year, week = 2 * math.pi * 183.5 / 366, 2 * math.pi * 1.5 / 7
    expected = [math.sin(year), math.cos(year), math.sin(week), math.cos(week), 0, -1]
    assert noon[1:].tolist() == pytest.approx(expected, abs=1e-5)


def test_weekday_and_hour_are_those_on_the_clocks_of_the_timezone():
    tokyo, utc = _fitted(["2024-01-01", "2024-06-01"], timezone="Asia/Tokyo"), _fitted(["2024-01-01", "2024-06-01"])
    there = tokyo.encode([tokyo.canonical("2024-03-01T00:00+09:00")]).data[0, 3:]
    assert torch.allclose(there, utc.encode([utc.canonical("2024-03-01T00:00Z")]).data[0, 3:], atol=1e-6)


def test_the_last_moment_of_a_year_lies_beside_the_first():
    processor = _fitted(["2020-01-01", "2024-01-01"])
    last, first = processor.encode([processor.canonical(word) for word in ("2023-12-31T23:59:59", "2024-01-01")]).data
    assert (last - first).abs().max() < 1e-3


def test_days_come_back_as_days_and_moments_as_moments():
    days = [f"20{year}-0{month}-{day}" for year in (10, 24) for month in (1, 3, 7) for day in (10, 29)]
    for zone in ("UTC", "America/New_York", "Asia/Kolkata"):
        processor = _fitted(days, timezone=zone)
        assert processor.decode(processor.encode([processor.canonical(day) for day in days]).data) == days
    moments = [f"2024-03-{day:02}T10:{day:02}:07-05:00" for day in range(1, 9)]
    processor = _fitted(moments, timezone="America/New_York")
    assert processor.decode(processor.encode([processor.canonical(word) for word in moments]).data) == moments


def test_any_answer_of_a_model_comes_back_as_a_moment():
    processor = _fitted(["2024-01-01T10:00", "2024-06-01T10:00"])
    words = processor.decode(torch.tensor([[1e30] * 7, [-1e30] * 7, [math.nan] * 7]))
    assert [word[:4] for word in words] == ["9999", "0001", "2024"]


def test_a_single_moment_and_far_ones_become_finite_tensors():
    processor = _fitted(["2024-01-01"] * 3)
    values = processor.encode([processor.canonical(word) for word in ("2024-01-01", "9999-12-01", "0002-01-01")])
    assert torch.isfinite(values.data).all()
    assert values.data[0, 0] == 0


def test_what_was_learned_survives_json():
    first = _fitted(["2024-01-01", "2024-06-01"], timezone="Europe/Berlin")
    second = DatetimeProcessor(DatetimeConfig.model_validate(first.config.model_dump(mode="json")))
    second.load_state(json.loads(json.dumps(first.state())))
    raws = [first.canonical("2024-02-03")]
    assert torch.equal(first.encode(raws).data, second.encode(raws).data)
    assert second.decode(second.encode(raws).data) == ["2024-02-03"]
