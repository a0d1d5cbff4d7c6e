"""Joins by time: the nearest row within a tolerance, and all rows in a span, against plain loops."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import daft
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from joining import fault, join, table
from naive_joins import asof, window

from omnifuse.data.join.moments import instants
from omnifuse.data.table import read_table

times = st.one_of(st.none(), st.integers(-4, 8).map(lambda tenths: tenths / 10))
keys = st.sampled_from(["a", "b", None, "c"])
lefts = st.lists(st.tuples(times, keys), max_size=8)
rights = st.lists(st.tuples(times, keys, st.integers(0, 3)), max_size=16)


def rows_of(cells: list, *names: str) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in cells]


@settings(max_examples=200, deadline=None)
@given(
    lefts,
    rights,
    st.sampled_from(["backward", "forward", "nearest"]),
    st.sampled_from(["0", "0.1", "0.2", "10"]),
    st.sampled_from(["0", "0.1", "-0.25"]),
    st.booleans(),
    st.randoms(),
)
def test_asof_agrees_with_two_loops(
    left: list, right: list, direction: str, tolerance: str, offset: str, keyed: bool, shuffler: random.Random
):
    ours, theirs = rows_of(left, "t", "g"), rows_of(right, "t", "g", "v")
    by = ["g"] if keyed else []
    expected = asof(ours, theirs, by, direction, tolerance, offset)
    shuffler.shuffle(theirs)
    options = {"left": "t", "by": by, "tolerance_s": float(tolerance), "offset_s": float(offset), "direction": direction}
    rows, report = join(table(ours, "t", "g"), table(theirs, "t", "g", "v"), asof=options, columns={"v": "v", "seen": "t"})
    assert [(row["v"], row["seen"]) for row in rows] == [(found["v"], found["t"]) if found else (None, None) for found in expected]
    assert report.left.matched == sum(found is not None for found in expected)
    assert report.left.without_key == sum(row["t"] is None or (keyed and row["g"] is None) for row in ours)
    assert report.right.without_key == sum(row["t"] is None or (keyed and row["g"] is None) for row in theirs)


@settings(max_examples=150, deadline=None)
@given(lefts, rights, st.sampled_from(["0", "0.1", "0.25"]), st.sampled_from(["0", "0.3"]), st.integers(1, 3), st.booleans(), st.randoms())
def test_windows_of_time_agree_with_two_loops(
    left: list, right: list, before: str, after: str, least: int, keyed: bool, shuffler: random.Random
):
    assume(before != "0" or after != "0")  # a span of nothing is refused
    ours, theirs = rows_of(left, "t", "g"), rows_of(right, "t", "g", "v")
    by = ["g"] if keyed else []
    expected = window(ours, theirs, by, before, after, "0.1")
    shuffler.shuffle(theirs)
    options = {"left": "t", "by": by, "before_s": float(before), "after_s": float(after), "offset_s": 0.1}
    options |= {"columns": ["v"], "into": "w", "min_steps": least}
    rows, report = join(table(ours, "t", "g"), table(theirs, "t", "g", "v"), window=options)
    for row, steps in zip(rows, expected, strict=True):
        if len(steps) < least:
            assert row["w"] is None
        else:
            assert row["w"] == {"time": [float(d) for d, _ in steps], "v": [float(v) for _, v in steps]}
    assert report.left.matched == sum(len(steps) >= least for steps in expected)
    assert report.left.too_few == sum(0 < len(steps) < least for steps in expected)


def test_camera_lidar_and_imu_with_clocks_of_their_own():
    random.seed(0)
    start = Decimal("1700000000")
    camera = [{"t": str(start + Decimal(i) / 10), "frame": i} for i in range(50)]
    lidar = [{"stamp": float(start + Decimal(i) / 20 + Decimal("0.030")), "sweep": i} for i in range(100) if not 40 <= i < 50]
    imu = [{"ns": int(start * 10**9) + i * 10**7 - 5_000_000, "ax": i, "ay": -i} for i in range(500)]
    for rows in (lidar, imu):
        random.shuffle(rows)
    asof_options = {"left": "t", "right": "stamp", "tolerance_s": 0.02, "offset_s": -0.030}
    rows, report = join(table(camera), table(lidar), asof=asof_options, columns=["sweep"], how="inner")
    assert [(row["frame"], row["sweep"]) for row in rows] == [(i, 2 * i) for i in range(50) if not 20 <= i < 25]
    assert (report.left.too_far, report.left.dropped, report.right.used, report.right.unmatched) == (5, 5, 45, 45)
    assert report.distance_s["largest"] < 1e-6
    times_in_ns = table([{"t": int(Decimal(row["t"]) * 10**9), "frame": row["frame"]} for row in camera])
    span = {"left": "t", "right": "ns", "before_s": 0.1, "offset_s": 0.005, "unit": "ns", "columns": ["ax", "ay"], "into": "imu"}
    rows, report = join(times_in_ns, table(imu), window={**span, "min_steps": 11})
    assert rows[0]["imu"] is None
    assert report.left.too_few == 1
    for row in rows[1:]:
        now = 10 * row["frame"]
        assert row["imu"]["ax"] == [float(i) for i in range(now - 10, now + 1)]
        np.testing.assert_allclose(row["imu"]["time"], [(i - 10) / 100 for i in range(11)], atol=1e-9)


def test_the_edge_of_the_tolerance_is_where_decimals_put_it():
    left, right = table([{"t": 0.3}]), table([{"t": 0.1, "v": 1}])  # 0.3 - 0.1 is a little below 0.2 in binary
    for tolerance, found in ((0.2, 1), (0.199999999, None)):
        rows, report = join(left, right, asof={"left": "t", "tolerance_s": tolerance}, columns=["v"])
        assert rows[0]["v"] == found
        assert report.left.too_far == (found is None)


MOMENT = datetime(2024, 5, 6, 7, 8, 9, 250000, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2024-05-06T07:08:09.25Z",
        "2024-05-06 09:08:09.250+02:00",
        "2024-05-06 07:08:09,25",
        " 2024-05-06T07:08:09.250000000 ",
        MOMENT,
        MOMENT.replace(tzinfo=None),
        MOMENT.timestamp(),
        str(MOMENT.timestamp()),
        Decimal(str(MOMENT.timestamp())),
    ],
)
def test_times_may_be_written_in_many_ways(value: Any):
    for other in ([value], [value, "2024-05-07T00:00Z"], [value, None, 5]):
        assert instants(other).values[0] == 1714979289250000000, other
    rows, _ = join(table([{"t": MOMENT}]), table([{"t": value, "v": 1}]), asof={"left": "t", "tolerance_s": 0}, columns=["v"])
    assert rows[0]["v"] == 1


def test_dates_units_and_words_that_are_no_time():
    assert instants([date(1970, 1, 2)]).values[0] == 86_400 * 10**9
    for unit, scale in (("s", 10**9), ("ms", 10**6), ("us", 1000), ("ns", 1)):
        assert instants([3, "3", 3.0], unit).values.tolist() == [3 * scale] * 3
    assert instants(["9007199254740993"], "ns").values[0] == 2**53 + 1
    assert instants([timedelta(milliseconds=1)]).values[0] == 10**6
    odd = instants(["2024-02-30", "soon", "0x10", "1e99", "12:30", None, "", "nan", float("inf")])
    assert odd.unreadable.tolist() == [True] * 5 + [False] * 3 + [True]
    assert odd.absent.tolist() == [False] * 5 + [True] * 3 + [False]
    assert instants([True]).unreadable.all()
    far = instants(pa.array([datetime(1500, 1, 1), datetime(2000, 1, 1)], pa.timestamp("us")))
    assert far.unreadable.tolist() == [True, False]


def test_unreadable_times_are_counted_and_only_unreadable_ones_stop():
    left = [{"t": "1"}, {"t": "one"}, {"t": ""}]
    rows, report = join(table(left), table([{"t": "1", "v": 1}, {"t": "x", "v": 2}]), asof={"left": "t", "tolerance_s": 1}, columns=["v"])
    assert [row["v"] for row in rows] == [1, None, None]
    assert (report.left.unreadable, report.left.without_key, report.right.unreadable) == (1, 1, 1)
    wrong = fault(table(left[:1]), table([{"t": 1714979289250, "v": 1}]), asof={"left": "t", "tolerance_s": 1}, columns=["v"])
    assert wrong.startswith('other: no time in the column "t" of the other side can be read, such as 1714979289250;')
    assert "this side" in fault(table(left[1:2]), table([{"t": 1, "v": 1}]), asof={"left": "t", "tolerance_s": 1}, columns=["v"])


def test_rows_of_one_time_are_chosen_by_content_and_counted_as_duplicates():
    theirs = [{"t": 1, "v": "b"}, {"t": 1, "v": "a"}, {"t": 3, "v": "c"}, {"t": 3, "v": "c"}, {"t": 9, "v": "z"}]
    for _ in range(6):
        random.shuffle(theirs)
        rows, report = join(table([{"t": 2}, {"t": 3}]), table(theirs), asof={"left": "t", "tolerance_s": 1}, columns=["v"])
        assert [row["v"] for row in rows] == ["a", "c"]
        assert (report.right.used, report.right.duplicated, report.right.unmatched) == (2, 2, 1)


def test_channels_that_are_no_numbers_are_gaps_and_counted():
    theirs = [{"t": 0, "v": "1"}, {"t": 1, "v": "broken"}, {"t": 2, "v": None}, {"t": 3, "v": "2,5"}]
    span = {"left": "t", "before_s": 3, "columns": ["v"], "into": "w"}
    rows, report = join(table([{"t": 3}]), table(theirs), window=span)
    np.testing.assert_equal(rows[0]["w"], {"time": [-3, -2, -1, 0], "v": [1, np.nan, np.nan, np.nan]})
    assert report.cells == {"v": {"missing": 1, "unreadable": 2}}


def test_a_frame_is_joined_by_time_like_rows_are():
    random.seed(3)
    left = [{"i": i, "t": random.choice([None, random.randint(0, 40) / 10]), "g": random.choice("ab")} for i in range(300)]
    right = [{"t": random.randint(0, 60) / 10, "g": random.choice("ab"), "v": random.random()} for _ in range(80)]
    for options in (
        {"asof": {"left": "t", "by": ["g"], "tolerance_s": 0.1}, "columns": ["v"]},
        {"asof": {"left": "t", "by": ["g"], "tolerance_s": 0.0}, "columns": ["v"], "how": "inner"},
        {"window": {"left": "t", "by": ["g"], "before_s": 0.3, "columns": ["v"], "into": "w"}},
    ):
        slow, one = join(table(left), table(right), **options)
        fast, two = join(read_table(daft.from_pylist(left)), read_table(daft.from_pylist(right)), **options)
        assert sorted(fast, key=lambda row: row["i"]) == slow
        assert one == two
