"""Tables: files and Python objects, read as they stand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import daft
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.table import fingerprint, iterate_rows, read_table

ROWS = [{"id": "007", "text": "one, two"}, {"id": "008", "text": 'a "word"\nand a line'}, {"id": "9", "text": "你好 🙂"}]


def _rows(source: Any) -> list[dict[str, Any]]:
    return list(iterate_rows(read_table(source)))


def _fault(source: Any) -> str:
    with pytest.raises(OmnifuseError) as caught:
        _rows(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _delimited(path: Path, separator: str) -> Path:
    pd.DataFrame(ROWS).to_csv(path, sep=separator, index=False)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.CSV", "a.tsv", "a.tab"])
def test_words_of_csv_and_tsv_stay_as_they_are(tmp_path: Path, name: str):
    assert _rows(_delimited(tmp_path / name, "," if "csv" in name.lower() else "\t")) == ROWS


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json"])
def test_json_lines_are_read(tmp_path: Path, name: str):
    (tmp_path / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
    assert _rows(tmp_path / name) == ROWS


@pytest.mark.parametrize("name", ["a.parquet", "a.pq", "a.parquet.brotli", "a.data", "a"])
def test_parquet_is_known_by_its_content_whatever_its_ending(tmp_path: Path, name: str):
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / name)
    assert _rows(tmp_path / name) == ROWS


def test_tables_of_python_give_the_same_rows():
    frame = pd.DataFrame(ROWS)
    for source in (ROWS, tuple(ROWS), frame.to_dict("list"), frame, pa.Table.from_pylist(ROWS), daft.from_pylist(ROWS)):
        assert _rows(source) == ROWS, type(source)


def test_a_path_may_be_a_word(tmp_path: Path):
    assert _rows(str(_delimited(tmp_path / "a.csv", ","))) == ROWS


def test_columns_that_only_some_dicts_have_are_absent_in_the_others():
    assert _rows([{"a": 1}, {"b": "x"}]) == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


def test_a_key_that_appears_late_in_json_lines_is_read(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n' * 3000 + '{"a": 2, "late": "x"}\n')
    assert _rows(path)[-1] == {"a": 2, "late": "x"}


def test_numbers_of_parquet_and_pandas_keep_their_type():
    rows = _rows(pd.DataFrame({"n": [1.5, float("nan")], "k": [1, 2], "b": [True, False]}))
    assert rows[0] == {"n": 1.5, "k": 1, "b": True}
    assert rows[1]["n"] is None or rows[1]["n"] != rows[1]["n"]


def test_a_categorical_column_of_pandas_gives_its_words():
    assert _rows(pd.DataFrame({"c": pd.Categorical(["b", "a", "b"])})) == [{"c": "b"}, {"c": "a"}, {"c": "b"}]


def test_paths_in_a_list_of_dicts_stay_paths():
    given = Path("pictures") / "a.png"
    value = _rows([{"p": given}, {"p": None}])[0]["p"]
    assert Path(value) == given


@pytest.mark.parametrize("picture", [Image.new("RGB", (12, 9), "red"), np.full((9, 12, 3), (255, 0, 0), np.uint8)], ids=["pillow", "array"])
def test_pictures_in_a_list_of_dicts_can_be_read_as_images(picture: Any):
    from omnifuse.data.decode import decode_image
    from omnifuse.data.modalities.image import ImageProcessor

    first, second = (row["p"] for row in _rows([{"p": picture}, {"p": None}]))
    assert second is None
    decoded = decode_image(ImageProcessor.canonical(first))
    assert decoded.shape == (9, 12, 3)
    assert decoded[0, 0].tolist() == [255, 0, 0]


def test_bytes_in_a_list_of_dicts_stay_bytes():
    assert _rows([{"p": b"\x00\xff"}, {"p": None}]) == [{"p": b"\x00\xff"}, {"p": None}]


def test_the_mark_at_the_head_of_a_windows_file_is_no_part_of_the_first_name(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("id,text\n007,é\n", encoding="utf-8-sig")
    assert _rows(path) == [{"id": "007", "text": "é"}]


def test_windows_line_ends_are_no_part_of_the_values(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,text\r\n007,a\r\n008,b\r\n")
    assert _rows(path) == [{"id": "007", "text": "a"}, {"id": "008", "text": "b"}]


@pytest.mark.parametrize("where", ["name", "value", "late value"])
def test_a_file_that_is_not_utf8_is_refused_and_loses_no_value_in_silence(tmp_path: Path, where: str):
    text = {"name": "id,café\n1,a\n", "value": "id,text\n1,café\n", "late value": "id,text\n" + "1,a\n" * 50_000 + "2,café\n"}[where]
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("latin-1"))
    message = _fault(path)
    assert str(path) in message
    assert "utf" in message.lower()


@pytest.mark.parametrize("text", ["a,b\n1,2\n3,4,5\n", "a,b\n1,2\n3\n"], ids=["too many", "too few"])
def test_a_row_with_another_number_of_fields_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "a.csv"
    path.write_text(text)
    message = _fault(path)
    assert str(path) in message
    assert "3" in message, "it says which line"


def test_two_columns_of_one_name_are_refused(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("id,id,text\n1,2,x\n")
    assert "id" in _fault(path)


def test_a_cell_may_hold_a_whole_book(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text('id,text\n1,"' + "word " * 60_000 + '"\n2,b\n')
    code = """if True:
        import sys
        from omnifuse.data.table import iterate_rows, read_table
        print([len(row["text"]) for row in iterate_rows(read_table(sys.argv[1]))])
    """
    try:
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=10)
    except subprocess.TimeoutExpired:
        pytest.fail("reading a cell of 300,000 letters hangs")
    assert done.stdout.strip() == "[300000, 1]"


def test_a_file_name_is_not_a_pattern(tmp_path: Path):
    for name, value in (("a[1].csv", "bracket"), ("a*.csv", "star"), ("a%20b.csv", "percent"), ("a b.csv", "blank"), ("aé.csv", "accent")):
        (tmp_path / name).write_text(f"v\n{value}\n")
    for path in tmp_path.glob("*.csv"):
        assert len(_rows(path)) == 1, path.name
    assert _rows(tmp_path / "a*.csv") == [{"v": "star"}]
    assert _rows(tmp_path / "a[1].csv") == [{"v": "bracket"}]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"")
    assert _fault(tmp_path / name) == f"{tmp_path / name}: the file is empty"


@pytest.mark.parametrize("text", ["id,text\n", "id,text"])
def test_a_header_alone_is_a_table_without_rows(tmp_path: Path, text: str):
    (tmp_path / "a.csv").write_text(text)
    assert read_table(tmp_path / "a.csv").column_names == ["id", "text"]
    assert _rows(tmp_path / "a.csv") == []


def test_a_missing_file_lists_the_tables_that_are_there(tmp_path: Path):
    _delimited(tmp_path / "reviews.csv", ",")
    (tmp_path / "notes.txt").write_text("x")
    message = _fault(tmp_path / "review.csv")
    assert "no such file" in message
    assert "reviews.csv" in message
    assert "notes.txt" not in message
    assert "no such file" in _fault(tmp_path / "nowhere" / "a.csv")


def test_a_folder_is_refused(tmp_path: Path):
    assert "is a folder" in _fault(tmp_path)


def test_a_json_array_is_refused_with_the_way_out(tmp_path: Path):
    (tmp_path / "a.json").write_text(' [{"a": 1}]')
    assert "one object a line" in _fault(tmp_path / "a.json")


def test_a_damaged_line_of_json_is_refused(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a":\n')
    assert str(tmp_path / "a.jsonl") in _fault(tmp_path / "a.jsonl")


@pytest.mark.parametrize("data", [b"PAR1" + bytes(100), b"PAR1"], ids=["damaged", "cut off"])
def test_a_damaged_parquet_file_is_refused(tmp_path: Path, data: bytes):
    (tmp_path / "a.parquet").write_bytes(data)
    assert str(tmp_path / "a.parquet") in _fault(tmp_path / "a.parquet")


def test_an_unknown_format_says_which_are_read(tmp_path: Path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 something")
    assert "CSV, TSV, JSONL or Parquet" in _fault(tmp_path / "a.npz")


@pytest.mark.parametrize("source", ["https://example.org/a.csv", "s3://bucket/a.parquet"])
def test_addresses_are_not_opened(source: str):
    _fault(source)


@pytest.mark.parametrize("source", [[], [1, 2], 5, None])
def test_what_is_no_table_is_refused(source: Any):
    _fault(source)


def test_the_rows_of_a_large_file_keep_their_order(tmp_path: Path):
    path = tmp_path / "a.csv"
    count = 300_000
    path.write_text("n,filler\n" + "".join(f"{i},some words to make the file longer {i % 97}\n" for i in range(count)))
    seen = [row["n"] for row in iterate_rows(read_table(path), ["n"])]
    assert seen == [str(i) for i in range(count)]


def test_a_fingerprint_changes_with_the_table_and_only_then(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    first = fingerprint(path)
    assert fingerprint(path) == first
    path.write_text("a\n1\n2\n")
    assert fingerprint(path) != first
    assert fingerprint(ROWS) == fingerprint(pd.DataFrame(ROWS)) == fingerprint(list(ROWS))
    assert fingerprint(ROWS) != fingerprint(ROWS[::-1])
