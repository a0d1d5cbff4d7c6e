"""Joins by key: not one wrong pair, whatever the order of rows, and counts that add up."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import daft
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joining import fault, join, table
from naive_joins import by_key
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.join import vocabulary
from omnifuse.data.join.config import JoinConfig, Window
from omnifuse.data.join.join import join_table
from omnifuse.data.join.scalars import words
from omnifuse.data.table import Table, iterate_rows, read_table

PATIENTS = [{"patient": "7", "age": 61}, {"patient": "8", "age": 40}, {"patient": "9", "age": 33}, {"patient": "", "age": 1}]
SCANS = [
    {"file": "a.png", "patient": 9},
    {"file": "b.png", "patient": 7.0},
    {"file": "c.png", "patient": None},
    {"file": "d", "patient": 7},
]


def test_many_to_one_whatever_the_order_of_rows():
    for _ in range(4):
        rows, report = join(table(SCANS), table(random.sample(PATIENTS, 4), "patient", "age"), on="patient")
        assert [(row["file"], row["age"]) for row in rows] == [("a.png", 33), ("b.png", 61), ("c.png", None), ("d", 61)]
        assert (report.left.matched, report.left.without_key, report.right.used, report.right.unmatched) == (3, 1, 2, 1)
        assert report.examples == {}
    assert report.right.without_key == 1  # and it is not the partner of the scan without a patient


def test_inner_drops_what_found_no_partner():
    rows, report = join(table(SCANS), table(PATIENTS), on={"patient": "patient"}, how="inner")
    assert [row["file"] for row in rows] == ["a.png", "b.png", "d"]
    assert (report.left.dropped, report.left.kept) == (1, 3)


keys = st.sampled_from(
    [None, "", " ", "1", " 1", "1 ", 1, 1.0, 2, "2.0", 2.5, "2.5", "é", "e\u0301", "日本", "01", "x|y", "NA", float("nan")]
)
some_rows = st.lists(st.tuples(keys, keys), max_size=12)


@settings(max_examples=150, deadline=None)
@given(some_rows, some_rows, st.booleans(), st.randoms())
def test_random_tables_agree_with_two_loops(left: list, right: list, two: bool, shuffler: random.Random):
    def rows(cells: list) -> list[dict]:
        nfc = {"e\u0301": "é"}  # the two spellings of one letter are one key
        return [{"i": i, "a": nfc.get(a, a), "b": nfc.get(b, b)} for i, (a, b) in enumerate(cells)]

    def raw(cells: list, name: str) -> Table:
        return table([{name: i, "a": a, "b": b} for i, (a, b) in enumerate(cells)], name, "a", "b")

    on = ["a", "b"] if two else ["a"]
    expected = by_key(rows(left), rows(right), on)
    order = list(range(len(right)))
    shuffler.shuffle(order)
    mixed = table([{"j": j, "a": right[j][0], "b": right[j][1]} for j in order], "j", "a", "b")
    for how, chosen in (("first", min), ("last", max)):
        got, report = join(raw(left, "i"), mixed, on=tuple(on), columns=["j"], duplicates=how, order="j")
        assert [row["j"] for row in got] == [chosen((p["i"] for p in partners), default=None) for partners in expected]
        partners = {p["i"] for some in expected for p in some}
        assert report.right.used + report.right.duplicated == len(partners)
        assert report.right.used == len({chosen(p["i"] for p in some) for some in expected if some})
        assert report.left.matched == sum(map(bool, expected))
    if all(len(some) < 2 for some in expected):
        got, report = join(raw(left, "i"), mixed, on=tuple(on), columns=["j"])
        assert [row["j"] for row in got] == [some[0]["i"] if some else None for some in expected]
    else:
        assert "several rows on the other side" in fault(raw(left, "i"), mixed, on=tuple(on), columns=["j"])
    got, _ = join(raw(left, "i"), mixed, on=tuple(on), collect={"all": {"column": "j", "into": "sequence", "order": "j"}})
    assert [row["all"] for row in got] == [[str(p["i"]) for p in some] or None for some in expected]


def test_the_same_join_of_arrow_python_and_files(tmp_path: Path):
    random.seed(1)
    left = [{"i": i, "k": random.choice([None, *range(30)])} for i in range(200)]
    right = [{"k": k, "v": f"value {k}"} for k in random.sample(range(40), 25)]
    expected = {row["i"]: next((r["v"] for r in right if r["k"] == row["k"]), None) for row in left}
    for name, rows in (("left", left), ("right", right)):
        lines = [",".join(rows[0]), *(",".join("" if v is None else str(v) for v in row.values()) for row in rows)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    lefts = [table(left), read_table(daft.from_pylist(left)), read_table(tmp_path / "left.csv"), read_table(pa.Table.from_pylist(left))]
    rights = [table(right), read_table(daft.from_pylist(right)), read_table(tmp_path / "right.csv")]
    dumps = []
    for ours in lefts:
        for theirs in rights:
            rows, report = join(ours, theirs, on="k", max_unmatched=0.9)
            assert {int(row["i"]): row["v"] for row in rows} == expected
            dumps.append(report.dump())
    assert all(dump == dumps[0] for dump in dumps)


def test_bytes_of_a_frame_go_through_untouched():
    left = read_table(daft.from_pydict({"k": [1, 2, 3], "media": [b"a" * 100, b"b", b"c"]}))
    other = read_table(daft.from_pydict({"k": [3, 1], "v": [0.5, None]}))
    joined, _ = join_table(left, JoinConfig(source="x", on="k", how="inner"), other, name="x")
    assert list(iterate_rows(joined)) == [{"k": 1, "media": b"a" * 100, "v": None}, {"k": 3, "media": b"c", "v": 0.5}]


def test_objects_of_python_go_through_untouched():
    picture = Image.fromarray(np.zeros((2, 2), np.uint8))
    for left in (table([{"k": 1, "p": picture}]), read_table(daft.from_pydict({"k": [1]}))):
        rows, _ = join(left, table([{"k": "1", "theirs": picture, "mixed": 1}, {"k": "2", "theirs": None, "mixed": 2.5}]), on="k")
        assert rows[0]["theirs"] is picture
        assert rows[0]["mixed"] == 1
        assert isinstance(rows[0]["mixed"], int)


def test_numbers_are_keys_as_they_would_be_written():
    left = table([{"k": k} for k in (0.1, "0.5", 1e-5, 2**70, "007", 1e20, Decimal("3.00"), True)])
    right = table([{"k": k, "v": n} for n, k in enumerate(("0.1", 0.5, "1e-05", str(2**70), 7, 10**20, "3", "true"))])
    rows, _ = join(left, right, on="k")
    assert [row["v"] for row in rows] == [0, 1, 2, 3, None, 5, 6, 7]
    arrow = pa.table({"k": pa.array([0.1, 7.0], pa.float32())})
    rows, _ = join(read_table(arrow), table([{"k": "0.1", "v": 1}, {"k": 7, "v": 2}]), on="k")
    assert [row["v"] for row in rows] == [1, 2]


def test_a_number_is_one_key_with_an_exponent_and_without():
    spellings = {
        "0.00001": [1e-5, "1e-05", "1E-5", "1.0E-5", "1.000000000000000082e-05", np.float32(1e-5), Decimal("0.00001")],
        "0.0000001": [1e-7, "1e-07", Decimal("0.0000001"), Decimal("0.00000010")],
        "100000000000000000000": [1e20, "1e+20", "1.0E20", 10**20],
        "100000000000000999424": [1e20 + 1e6, "1.00000000000001e+20", 100000000000000999424],
        "0.00000012345678901234567890123": [Decimal("1.2345678901234567890123E-7"), "1.2345678901234567890123E-7"],
        "-150": [-150.0, "-1.5e+02", "-1.50E2"],
        "0": [0.0, -0.0, "0e+00", "0.0E0"],
    }
    for word, values in spellings.items():
        assert words([word]).to_pylist() == [word]
        for value in values:
            assert words([value]).to_pylist() == [word], value
            assert words([value, "x"]).to_pylist() == [word, "x"], value
    assert words(pa.array([1e-5, 1e20, 0.5, None])).to_pylist() == ["0.00001", "100000000000000000000", "0.5", None]
    for code in ("1e5", "12E3", "007e+1", "1e", "e+5", "1e+400", "1e-999", "00.1e-2"):
        assert words([code]).to_pylist() == [code], "a code, or beyond what a float holds"
    assert words(["1e+99", "-9.99e+02", "5"], ["1e+99", "-999"]).to_pylist() == [None, None, "5"]


def test_a_key_of_parquet_finds_its_row_in_csv(tmp_path: Path):
    pq.write_table(pa.table({"k": [1e-5, 2.5e-7, 1e20, 0.5]}), tmp_path / "left.parquet")
    (tmp_path / "right.csv").write_text("k,v\n1e-05,a\n0.00000025,b\n1e+20,c\n0.5,d\n")
    rows, _ = join(read_table(tmp_path / "left.parquet"), read_table(tmp_path / "right.csv"), on="k")
    assert [row["v"] for row in rows] == ["a", "b", "c", "d"]


def test_words_may_stand_for_no_key():
    left, right = [{"k": "NA"}, {"k": "a"}], [{"k": "NA", "v": 1}, {"k": "a", "v": 2}]
    assert [row["v"] for row in join(table(left), table(right), on="k")[0]] == [1, 2]
    rows, report = join(table(left), table(right), on="k", absent=["NA"])
    assert [row["v"] for row in rows] == [None, 2]
    assert (report.left.without_key, report.right.without_key) == (1, 1)


def test_equal_places_are_decided_by_content_and_rows_without_a_place_come_last():
    rows = [{"k": 1, "t": 5, "v": "b"}, {"k": 1, "t": 5, "v": "a"}, {"k": 1, "t": None, "v": "c"}, {"k": 2, "t": None, "v": "d"}]
    for _ in range(6):
        random.shuffle(rows)
        got = {}
        for which in ("first", "last"):
            joined, _ = join(table([{"k": 1}, {"k": 2}]), table(rows), on="k", columns=["v"], duplicates=which, order="t")
            got[which] = [row["v"] for row in joined]
        assert got == {"first": ["a", "d"], "last": ["b", "d"]}


@pytest.mark.parametrize(
    ("times", "last"),
    [
        ([9, 10, 11], 11),
        (["9", "10", "11"], "11"),
        (["2024-01-09", "2024-01-10", "2023-12-31"], "2024-01-10"),
        (["b", "C", "a"], "b"),
        ([1700000000000000001, 1700000000000000003, 1700000000000000002], 1700000000000000003),
    ],
)
def test_order_knows_numbers_dates_and_words(times: list, last: Any):
    rows, _ = join(table([{"k": 1}]), table([{"k": 1, "t": t} for t in times]), on="k", columns=["t"], duplicates="last", order="t")
    assert rows[0]["t"] == last


BOUGHT = [
    {"user": "u", "item": "milk", "day": 3, "price": "1.5"},
    {"user": "u", "item": "bread", "day": 1, "price": "cheap"},
    {"user": "u", "item": "milk", "day": 2, "price": ""},
    {"user": "u", "item": "tea", "day": None, "price": "9"},
    {"user": "w", "item": None, "day": 1, "price": "2"},
    {"user": "z", "item": "rum", "day": 1, "price": "2"},
]


def test_collect_into_set_sequence_and_series():
    collect = {
        "items": {"column": "item"},
        "history": {"column": "item", "into": "sequence", "order": "day", "last": 2},
        "prices": {"column": ["price"], "into": "series", "order": "day"},
    }
    for _ in range(5):
        random.shuffle(BOUGHT)
        rows, report = join(table([{"user": name} for name in "uwx"]), table(BOUGHT), on="user", collect=collect)
        u, w, x = rows
        assert (u["items"], u["history"]) == (["bread", "milk", "tea"], ["milk", "milk"])
        assert u["prices"]["time"] == [1, 2, 3]
        np.testing.assert_equal(u["prices"]["price"], [np.nan, np.nan, 1.5])
        assert (w["items"], w["history"], w["prices"]) == (None, None, {"time": [1.0], "price": [2.0]})
        assert x == {"user": "x", "items": None, "history": None, "prices": None}
        assert report.cells == {"prices.price": {"missing": 1, "unreadable": 1}}
        assert (report.right.used, report.right.unmatched, report.right.left_out) == (5, 1, 0)
    rows, report = join(table([{"user": "u"}]), table(BOUGHT), on="user", collect={"h": collect["history"]})
    assert (report.right.used, report.right.left_out, report.right.unmatched) == (2, 2, 2)  # one before the last 2, one without a day


def test_an_empty_other_table_matches_nothing():
    for other in (
        table([], "k", "v"),
        read_table(daft.from_pydict({"k": [], "v": []})),
        read_table(pa.table({"k": pa.array([], pa.int64()), "v": []})),
    ):
        rows, report = join(table([{"k": 1}, {"k": None}]), other, on="k")
        assert rows == [{"k": 1, "v": None}, {"k": None, "v": None}]
        assert (report.right.rows, report.left.unmatched, report.left.without_key) == (0, 1, 1)
        assert list(join(read_table(daft.from_pydict({"k": [1]})), other, on="k")[0]) == [{"k": 1, "v": None}]
    assert join(table([], "k"), table(PATIENTS), on={"k": "patient"})[0] == []


def test_mistakes_say_how_to_mend_them():
    left, right = table([{"k": 1, "age": 3}]), table([{"k": 1, "age": 2, "t": 1}, {"k": 1, "age": 5, "t": 2}])
    assert 'the column "age" is on both sides; say columns: {new_name: "age"}' in fault(left, right, on="k")
    rows, _ = join(left, right, on="k", columns={"their_age": "age"}, duplicates="last", order="t")
    assert rows == [{"k": 1, "age": 3, "their_age": 5}]
    assert 'such as "1" with 2; say duplicates: first or last' in fault(left, right, on="k", columns=["t"])
    assert 'other: this side: unknown column "kk"; did you mean "k"?' in fault(left, right, on={"kk": "k"})
    assert 'other: the other side: unknown column "ag"; did you mean "age"?' in fault(left, right, on="k", columns=["ag"])
    assert "bytes" in fault(table([{"k": b"1"}]), right, on="k").lower() or "binary" in fault(table([{"k": b"1"}]), right, on="k")
    gone = fault(table([{"k": k} for k in "abcdefgh"]), table([{"k": "a", "v": 1}]), on="k", max_unmatched=0.5)
    assert gone.startswith("other: 7 of 8 rows (87.5%) found no partner, such as b, c, d, e, f; max_unmatched allows 50.0%: mend")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one of `on`, `asof` and `window`"),
        ({"on": "k", "asof": {"left": "t", "tolerance_s": 1}}, "not on and asof"),
        ({"on": "k", "duplicates": "first"}, "the order of rows in a file means nothing"),
        ({"on": "k", "collect": {"x": {"column": "v", "into": "sequence"}}}, "needs `order`"),
        ({"on": "k", "collect": {"x": {"column": ["v", "w"]}}}, "takes one column, not 2"),
        ({"on": "k", "collect": {"x": {"column": "v"}}, "columns": ["v"]}, "`collect` names its own"),
        ({"window": {"left": "t", "columns": ["a", "a"], "into": "w"}}, "names each channel once"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(OmnifuseError, match=r"data\.join\.0") as caught:
        JoinConfig.parse({"source": "x", **options}, "data.join.0")
    assert message in str(caught.value)


def test_the_report_shows_keys_of_both_sides_without_a_partner():
    left = [{"site": "a", "n": n} for n in (5, 1, 3)]
    right = [{"site": s, "n": f"{n} ", "v": n} for s, n in (("a", 1), ("b", 5), ("a", 9), ("b", 1))]
    rows, report = join(table(left), table(right), on=["site", "n"])
    assert [row["v"] for row in rows] == [None, 1, None]
    assert report.examples == {"left": ["a · 3", "a · 5"], "right": ["a · 9", "b · 1", "b · 5"]}


def test_only_the_columns_that_are_asked_for_are_read():
    read: list[list[str]] = []

    def select(columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        read.append(sorted(columns))
        return iter({"k": k, "media": b"x", "other": 1} for k in range(3))

    left = Table(["k", "media", "other"], lambda: select(["k", "media", "other"]), select=select)
    joined, _ = join_table(left, JoinConfig(source="x", on="k"), table([{"k": 1, "v": 2}]), name="x")
    assert list(iterate_rows(joined, ["v", "other"])) == [{"v": v, "other": 1} for v in (None, 2, None)]
    assert list(iterate_rows(joined, ["media"])) == [{"media": b"x"}] * 3
    assert read == [["k"], ["k", "other"], ["media"]]


def test_a_joined_table_knows_its_types():
    rows = [{"k": 1, "t": 0.0}, {"k": 2, "t": 1.0}]
    left = Table(["k", "t"], lambda: iter(rows), types=pa.schema({"k": pa.int64(), "t": pa.float64()}))
    other = table([{"k": 1, "t": 0.5, "x": 3, "name": "n", "mixed": 1}, {"k": 9, "t": 9.0, "x": 4, "name": "m", "mixed": "a"}])
    named, _ = join_table(left, JoinConfig(source="x", on="k", columns=("name", "mixed")), other, name="x")
    window = Window(left="t", before_s=1, after_s=1, columns=("x",), into="w")
    joined, _ = join_table(named, JoinConfig(source="x", window=window), other, name="x")
    assert isinstance(joined, Table)
    assert joined.types is not None
    assert joined.types.names == ["k", "t", "name", "w"]
    assert list(iterate_rows(joined)) == [
        {"k": 1, "t": 0.0, "name": "n", "mixed": 1, "w": {"time": [0.5], "x": [3.0]}},
        {"k": 2, "t": 1.0, "name": None, "mixed": None, "w": {"time": [-0.5], "x": [3.0]}},
    ]


def test_words_of_one_hash_are_not_taken_for_equal(monkeypatch: pytest.MonkeyPatch):
    left, right = [{"k": k, "g": k % 3} for k in range(60)], [{"k": k, "g": k % 3, "v": k} for k in range(0, 90, 2)]
    expected = [k if k % 2 == 0 else None for k in range(60)]
    for buckets in (1, 2, 7, 2**64):
        hashes = vocabulary.hash_words
        monkeypatch.setattr(vocabulary, "hash_words", lambda column, h=hashes, n=buckets: h(column) % np.uint64(min(n, 2**64 - 1)))
        rows, _ = join(table(left), table(right), on=["k", "g"])
        assert [row["v"] for row in rows] == expected
        rows, _ = join(table(left), table(right[:1]), on=["k", "g"])  # one word there, many that are not
        assert [row["v"] for row in rows] == [0] + [None] * 59
        monkeypatch.undo()
