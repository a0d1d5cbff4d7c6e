"""Tables of one file or many: what paths say, what is set aside, series files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.sources import read_source
from omnifuse.data.table import Table, iterate_rows

AREM = {
    "path": "$OMNIFUSE_DATA/sensors/arem/*/*.csv",
    "pattern": r"(?P<activity>[a-z]+\d?)/dataset(?P<recording>\d+)",
    "skip_rows": 1,
    "column_names": ["index", "time", "avg12", "var12", "avg13", "var13", "avg23", "var23", "label"],
    "bad_rows": "quarantine",
}


def _table(value: Any, base: Path) -> Table:
    table = read_source(value, base)
    assert isinstance(table, Table)
    return table


def _rows(value: Any, base: Path) -> list[dict[str, Any]]:
    return list(iterate_rows(read_source(value, base)))


def _fault(value: Any, base: Path) -> str:
    with pytest.raises(OmnifuseError) as caught:
        _rows(value, base)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_of_a_pattern_are_one_table_with_what_their_paths_say(tmp_path: Path):
    for shop in ("south", "north"):
        (tmp_path / shop).mkdir()
        (tmp_path / shop / "sales.csv").write_text(f"id\n{shop[0]}1\n")
    (tmp_path / "north" / ".hidden.csv").write_text("x\n1\n")
    given = {"path": "*/*.csv", "file_column": "from", "pattern": r"^(?P<shop>\w+)/(?P<none>zzz)?"}
    assert _rows(given, tmp_path) == [
        {"id": "n1", "from": "north/sales.csv", "shop": "north", "none": None},
        {"id": "s1", "from": "south/sales.csv", "shop": "south", "none": None},
    ]


def test_files_that_do_not_fit_together_are_named(tmp_path: Path):
    (tmp_path / "a.csv").write_text("id,x\n1,2\n")
    (tmp_path / "b.csv").write_text("id,y\n1,2\n")
    assert f'{tmp_path / "a.csv"} has a column "x" that {tmp_path / "b.csv"} does not have' in _fault("*.csv", tmp_path)
    (tmp_path / "c.jsonl").write_text('{"id": 1}\n')
    assert "is csv and" in _fault("?.*", tmp_path)
    assert "no file has such a name" in _fault("*.tsv", tmp_path)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"pattern": "(?P<a>x"}, "not a regular expression"),
        ({"pattern": "a"}, "no named group"),
        ({"pattern": "(?P<n>zzz)"}, 'does not match "a.csv"'),
        ({"pattern": "(?P<id>a)"}, 'already has a column "id"'),
        ({"file_column": "id"}, 'already has a column "id"'),
        ({"column_names": ["a", "a"]}, '"a" is there twice'),
        ({"skip_rows": 9}, "line 10 is empty"),
        *(
            ({"delimiter": each}, "delimiter: give one ASCII character that is no letter")
            for each in ("é", "\n", '"', "'", "\0", "a", "7", "", "||")
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, options: dict[str, Any], reason: str):
    (tmp_path / "a.csv").write_text("id\n1\n")
    assert reason in _fault({"path": "a.csv", **options}, tmp_path)


def test_lines_above_the_header_other_delimiters_and_names_of_ones_own(tmp_path: Path):
    (tmp_path / "a.csv").write_text("# made by a sensor\n\nid;word\n1;a,b\n")
    assert _rows({"path": "a.csv", "skip_rows": 2, "delimiter": ";"}, tmp_path) == [{"id": "1", "word": "a,b"}]
    for bad_rows in ("error", "quarantine"):
        given = {"path": "a.csv", "skip_rows": 3, "delimiter": ";", "column_names": ["x", "y"], "bad_rows": bad_rows}
        assert _rows(given, tmp_path) == [{"x": "1", "y": "a,b"}]


def test_only_broken_lines_are_set_aside_with_place_and_reason(tmp_path: Path):
    lines = [
        b"id,word",
        b"1,a",
        b"2",
        b"3,c,d",
        b'4,"two',
        b'lines"',
        b"",
        b'5,"open',
        b"6,f",
        b"7,\xff",
        b'8,5" pipe',
        b'9,"a ""b"""',
        b"10,",
    ]
    (tmp_path / "a.csv").write_bytes(b"\r\n".join(lines))
    table = _table({"path": "a.csv", "bad_rows": "quarantine"}, tmp_path)
    for _ in range(2):  # a second reading tells the same
        rows = [(row["id"], row["word"]) for row in iterate_rows(table)]
        assert rows == [("1", "a"), ("4", "two\nlines"), ("6", "f"), ("8", '5" pipe'), ("9", 'a "b"'), ("10", "")]
        bad = [(row["row"], row["value"], row["reason"]) for row in table.bad_rows()]
        assert bad == [
            (3, "2", "1 fields where there are 2 columns"),
            (4, "3,c,d", "3 fields where there are 2 columns"),
            (8, '5,"open', "a quote is not closed"),
            (10, "7,�", "not UTF-8 text"),
        ]
        assert {row["source"] for row in table.bad_rows()} == {str(tmp_path / "a.csv")}
    assert "bad_rows: quarantine" in _fault("a.csv", tmp_path)


def test_a_file_without_broken_lines_reads_the_same_either_way(tmp_path: Path):
    (tmp_path / "a.csv").write_text('﻿a,"b\nb",c\n1,"x\n\ny",""\n"2,2",é,3\n', encoding="utf-8")
    strict, lenient = (_rows({"path": "a.csv", "bad_rows": way}, tmp_path) for way in ("error", "quarantine"))
    assert strict == lenient == [{"a": "1", "b\nb": "x\n\ny", "c": ""}, {"a": "2,2", "b\nb": "é", "c": "3"}]


def test_broken_json_lines_are_set_aside(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": \n\n[2]\n{"a": 3, "b": 4}\n')
    table = _table({"path": "a.jsonl", "bad_rows": "quarantine"}, tmp_path)
    assert list(iterate_rows(table)) == [{"a": 1, "b": None}, {"a": 3, "b": 4}]
    assert [(row["row"], row["value"]) for row in table.bad_rows()] == [(2, '{"a":'), (4, "[2]")]


def test_a_table_that_is_mostly_broken_stops(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n" + "x\n" * 5000)
    assert "most rows are bad; the first: 3: 1 fields" in _fault({"path": "a.csv", "bad_rows": "quarantine"}, tmp_path)


def test_the_arem_recordings_are_one_table(shared_data: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMNIFUSE_DATA", str(shared_data))
    table = _table(AREM, Path("/nowhere"))
    rows = list(iterate_rows(table))
    lines = sum(len(path.read_text().splitlines()) - 1 for path in (shared_data / "sensors" / "arem").glob("*/*.csv"))
    assert len(rows) + len(table.bad_rows()) == lines
    assert len({(row["activity"], row["recording"]) for row in rows}) == 88
    assert all(row["activity"] == row["label"] for row in rows)
    broken = [row for row in rows if not row["avg12"]]  # one recording holds all its numbers in one field
    assert {(row["activity"], row["recording"]) for row in broken} == {("bending2", "4")}
    assert all(math.isfinite(float(row["var23"])) for row in rows if row["avg12"])


def test_basic_motions_are_series_with_labels(shared_data: Path):
    rows = _rows("BasicMotions_*.ts", shared_data / "sensors" / "basicmotions")
    assert len(rows) == 80
    assert {row["label"] for row in rows} == {"Standing", "Running", "Walking", "Badminton"}
    assert all(list(row["series"]) == [f"dim_{n}" for n in range(6)] and {len(v) for v in row["series"].values()} == {100} for row in rows)
    assert rows[40]["series"]["dim_0"][:3] == [0.079106, 0.079106, -0.903497]  # TEST comes before TRAIN


TS = "#about\n@problemName x\n@timeStamps false\n@univariate false\n@dimensions 2\n@classLabel true a b\n@data\n1,2,?:3:a\n4:5,6:b\n"


def test_series_may_be_ragged_and_have_gaps(tmp_path: Path):
    (tmp_path / "a.ts").write_text(TS)
    first, second = _rows("a.ts", tmp_path)
    assert first["series"]["dim_0"][:2] == [1, 2]
    assert math.isnan(first["series"]["dim_0"][2])
    assert first["label"] == "a"
    assert second == {"series": {"dim_0": [4], "dim_1": [5, 6]}, "label": "b"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TS + "1:2:c\n", 'line 10: the label "c" is none of a, b'),
        (TS + "1:a\n", "line 10: 1 series where the head says 2"),
        (TS + "1:x:a\n", "line 10: could not convert"),
        (TS.replace("@timeStamps false", "@timeStamps true"), "time stamps are not read"),
        ("@problemName x\n", "no line @data"),
        ("1,2,3\n", "a `.ts` file has lines such as"),
    ],
)
def test_a_series_file_that_does_not_fit_its_head_is_refused(tmp_path: Path, text: str, reason: str):
    (tmp_path / "a.ts").write_text(text)
    assert reason in _fault("a.ts", tmp_path)
    if "line 10" in reason:
        table = _table({"path": "a.ts", "bad_rows": "quarantine"}, tmp_path)
        assert len(list(iterate_rows(table))) == 2
        assert [row["row"] for row in table.bad_rows()] == [10]


def test_a_database_file_says_how_it_is_read(tmp_path: Path):
    (tmp_path / "shop.db").write_bytes(b"SQLite format 3\x00" + bytes(100))
    assert "name: sql" in _fault("shop.db", tmp_path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (r'{"t": "half \ud800"}', "holds half of a surrogate pair"),
        (r'{"\udfff": 1}', "holds half of a surrogate pair"),
        (b'{"t": "\xed\xa0\x80"}', "holds half of a surrogate pair"),
        (b'{"t": "\xff"}', "is not UTF-8 text"),
        ('{"t": ' + "[" * 300 + "]" * 300 + "}", "nested"),
    ],
)
def test_json_that_no_table_can_hold_is_named_and_set_aside(tmp_path: Path, line: str | bytes, reason: str):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"t": "\\ud83d\\ude00 [[[["}\n' + (line if isinstance(line, bytes) else line.encode()) + b"\n")
    fault = _fault({"path": "a.jsonl"}, tmp_path)
    assert "line 2" in fault and reason in fault
    assert _rows({"path": "a.jsonl", "bad_rows": "quarantine"}, tmp_path) == [{"t": "😀 [[[["}]


def test_long_cells_are_read_where_broken_lines_are_set_aside(tmp_path: Path):
    (tmp_path / "a.csv").write_text(f"text,label\n{'x' * 200_000},1\nshort,2,3\n")
    table = read_source({"path": "a.csv", "bad_rows": "quarantine"}, tmp_path)
    assert [(len(row["text"]), row["label"]) for row in iterate_rows(table)] == [(200_000, "1")]
