"""Tables: files and Python objects, read as they stand."""

from __future__ import annotations

import gzip
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
from omnifuse.data.table import count_rows, iterate_rows, read_table, written_schema

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
    from omnifuse.data.modalities.config import ImageConfig
    from omnifuse.data.modalities.image import ImageProcessor

    first, second = (row["p"] for row in _rows([{"p": picture}, {"p": None}]))
    assert second is None
    processor = ImageProcessor(ImageConfig())
    decoded = decode_image(processor.serialise(first))
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


@pytest.mark.parametrize("source", [[], [1, 2], 5, None])
def test_what_is_no_table_is_refused(source: Any):
    _fault(source)


def test_the_rows_of_a_large_file_keep_their_order(tmp_path: Path):
    path = tmp_path / "a.csv"
    count = 300_000
    path.write_text("n,filler\n" + "".join(f"{i},some words to make the file longer {i % 97}\n" for i in range(count)))
    seen = [row["n"] for row in iterate_rows(read_table(path), ["n"])]
    assert seen == [str(i) for i in range(count)]


def test_blank_lines_and_the_mark_of_windows_in_json_lines_are_no_rows(tmp_path: Path):
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"a": "1"}\n\n   \n{"a": "2"}')
    assert _rows(tmp_path / "a.jsonl") == [{"a": "1"}, {"a": "2"}]


@pytest.mark.parametrize("line", [b'{"a": 1,}', b"[1]", b'"word"', b'{"a": "\xff"}', b'{"a": 1} {"a": 2}', b"[" * 100_000])
def test_a_broken_line_of_json_is_named_by_its_number(tmp_path: Path, line: bytes):
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n\n' + line + b'\n{"a": 3}\n')
    assert f"{tmp_path / 'a.jsonl'}: line 3 " in _fault(tmp_path / "a.jsonl")


def test_types_of_json_lines_are_known_for_writing_them_again(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"n": 1, "w": "a", "l": ["x"], "none": null, "mixed": 1}\n' * 5000 + '{"n": 2.5, "b": true, "mixed": "x"}\n')
    types = {field.name: str(field.type) for field in written_schema(read_table(path))}
    assert types == {"n": "double", "w": "string", "l": "list<item: string>", "none": "string", "mixed": "string", "b": "bool"}
    assert {row["mixed"] for row in _rows(path)} == {"1", "x"}


@pytest.mark.parametrize("ending", ["csv.gz", "jsonl.gz", "csv.zst", "jsonl.zst", "csv.bz2", "tsv.br"])
def test_packed_files_are_unpacked_while_they_are_read(tmp_path: Path, ending: str):
    kind, packing = ending.split(".")
    text = {"csv": "a,b\n1,x\n", "tsv": "a\tb\n1\tx\n", "jsonl": '{"a": "1", "b": "x"}\n'}[kind]
    compression = {"gz": "gzip", "zst": "zstd", "bz2": "bz2", "br": "brotli"}[packing]
    with pa.output_stream(str(tmp_path / f"t.{ending}"), compression=compression) as stream:
        stream.write(text.encode())
    assert _rows(tmp_path / f"t.{ending}") == [{"a": "1", "b": "x"}]


def test_a_damaged_packed_file_is_refused(tmp_path: Path):
    (tmp_path / "a.csv.gz").write_bytes(b"\x1f\x8b" + bytes(50))
    assert "a.csv.gz" in _fault(tmp_path / "a.csv.gz")


def test_a_packed_file_of_one_endless_line_is_refused_in_little_memory(tmp_path: Path):
    """600 MB of one line from 0.6 MB: the reader stops at its limit."""
    for name, head in (("a.jsonl.gz", b'{"a": "'), ("a.csv.gz", b"a,b\n")):
        with gzip.open(tmp_path / name, "wb", compresslevel=1) as file:
            file.write(head)
            for _ in range(60):
                file.write(b"x" * 10_000_000)
        code = """if True:
            import resource, sys
            from omnifuse.core.errors import OmnifuseError
            from omnifuse.data.table import iterate_rows, read_table
            import pyarrow.csv
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            try:
                list(iterate_rows(read_table(sys.argv[1])))
                print("read")
            except OmnifuseError as error:
                print("refused" if sys.argv[1] in str(error) else error)
            print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
        """
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], capture_output=True, text=True, timeout=60)
        answer, grown_mb = done.stdout.split()
        assert answer == "refused"
        assert int(grown_mb) < 200, name


def test_arrow_files_are_read(tmp_path: Path):
    import pyarrow.feather

    pyarrow.feather.write_feather(pa.Table.from_pylist(ROWS * 1000), str(tmp_path / "a.feather"))
    table = read_table(tmp_path / "a.feather")
    assert list(iterate_rows(table)) == ROWS * 1000
    assert next(iterate_rows(table, ["id"])) == {"id": "007"}
    (tmp_path / "b.arrow").write_bytes((tmp_path / "a.feather").read_bytes()[:3000])
    assert "b.arrow: cannot be read as arrow" in _fault(tmp_path / "b.arrow")


def test_rows_are_counted_whatever_holds_them(tmp_path: Path):
    assert count_rows(ROWS) == count_rows(pa.Table.from_pylist(ROWS)) == count_rows(_delimited(tmp_path / "a.csv", ",")) == 3


def test_looking_at_the_columns_of_a_table_with_pictures_does_not_read_them(tmp_path: Path):
    path = tmp_path / "a.parquet"
    noise = np.random.default_rng(0).bytes(1_000_000)
    pq.write_table(pa.table({"id": list(range(120)), "picture": [noise[i:] + noise[:i] for i in range(120)]}), path, row_group_size=10)
    code = """if True:
        import resource, sys
        from omnifuse.data.table import iterate_rows, read_table
        read_table({"a": ["b"]})
        import daft, pyarrow.parquet
        list(iterate_rows(read_table(daft.from_pydict({"id": [1]})), ["id"]))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        table = read_table(sys.argv[1])
        assert table.column_names == ["id", "picture"]
        assert sum(row["id"] for row in iterate_rows(table, ["id"])) == 7140
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert int(done.stdout) < 60, done.stderr
