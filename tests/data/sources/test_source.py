"""Sources of every kind through one door: what is meant, its folder, its name, its fingerprint, its data frame."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import daft
import lance
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.sources import read_source, source_base, source_fingerprint, source_name
from omnifuse.data.sources.config import TableSourceConfig
from omnifuse.data.table import iterate_rows

ROWS = [{"id": "1", "word": "a"}, {"id": "2", "word": "b"}]


def _rows(value: Any, base: Path, columns: list[str] | None = None) -> list[dict[str, Any]]:
    return list(iterate_rows(read_source(value, base), columns))


def _fault(value: Any, base: Path) -> str:
    with pytest.raises(OmnifuseError) as caught:
        _rows(value, base)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text("id,word\n1,a\n2,b\n")
    return tmp_path / "a.csv"


def test_one_table_in_every_spelling(csv: Path):
    base = csv.parent
    for value in ("a.csv", str(csv), csv, {"path": "a.csv"}, {"name": "table", "path": "a.csv"}, TableSourceConfig(path="a.csv")):
        assert _rows(value, base) == ROWS, value


def test_a_dict_of_lists_is_a_table_whatever_its_columns_are_called(tmp_path: Path):
    assert _rows({"path": ["x.png", "y.png"], "name": ["a", "b"]}, tmp_path) == [
        {"path": "x.png", "name": "a"},
        {"path": "y.png", "name": "b"},
    ]


def test_a_path_alone_is_what_lies_there(tmp_path: Path, csv: Path):
    lance.write_dataset(pa.Table.from_pylist(ROWS), str(tmp_path / "rows"))
    assert _rows("rows", tmp_path) == ROWS
    (tmp_path / "files" / "cat").mkdir(parents=True)
    (tmp_path / "files" / "cat" / "1.txt").write_text("x")
    assert _rows("files", tmp_path) == [{"file": "cat/1.txt", "label": "cat"}]


def test_unknown_kinds_and_options_name_the_nearest(tmp_path: Path):
    assert 'unknown source "tabel"; did you mean "table"?' in _fault({"name": "tabel", "path": "x"}, tmp_path)
    assert 'did you mean "pattern"?' in _fault({"path": "x", "patern": "y"}, tmp_path)


def test_variables_of_the_environment_are_filled_in(csv: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("WHERE_IT_IS", str(csv.parent))
    assert _rows("$WHERE_IT_IS/a.csv", Path("/nowhere")) == _rows("${WHERE_IT_IS}/*.csv", Path("/nowhere")) == ROWS
    monkeypatch.delenv("WHERE_IT_IS")
    assert "the environment variable WHERE_IT_IS is not set" in _fault("$WHERE_IT_IS/a.csv", tmp_path)
    csv.rename(tmp_path / "$a.csv")
    assert _rows("$a.csv", tmp_path) == ROWS, "a name that is there is taken as it stands"


def test_the_folder_that_media_are_relative_to(tmp_path: Path, csv: Path):
    (tmp_path / "shop" / "north").mkdir(parents=True)
    expected = {
        "a.csv": tmp_path,
        "shop/*/x.csv": tmp_path / "shop",
        "shop/north/x.csv": tmp_path / "shop" / "north",
        "shop": tmp_path / "shop",
        "https://host/a.csv": tmp_path,
    }
    for value, folder in expected.items():
        assert source_base(value, tmp_path) == folder, value
    assert source_base(ROWS, tmp_path) == tmp_path
    assert source_base({"name": "sql", "query": "select 1", "connection": "sqlite:///shop/a.db"}, tmp_path) == tmp_path / "shop"


def test_names_for_reports_show_no_credentials():
    assert source_name("data/a.csv") == "data/a.csv"
    assert source_name("https://u:secret@host/a.csv?token=secret") == "https://host/a.csv"
    query = {"name": "sql", "query": "select *\nfrom x", "connection": "postgresql://u:secret@host/db"}
    assert source_name(query) == "postgresql://host/db: select * from x"
    assert source_name(ROWS) == "the given table"


def test_a_fingerprint_changes_with_the_data_and_only_then(tmp_path: Path, csv: Path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "1.txt").write_text("x")
    lance.write_dataset(pa.Table.from_pylist(ROWS), str(tmp_path / "rows.lance"))

    def grow() -> None:
        csv.write_text(csv.read_text() + "3,c\n")
        (tmp_path / "files" / "2.txt").write_text("x")
        lance.write_dataset(pa.Table.from_pylist(ROWS), str(tmp_path / "rows.lance"), mode="append")

    sources = ["a.csv", "*.csv", "files", "rows.lance", {"path": "a.csv", "format": "csv"}]
    before = [source_fingerprint(value, tmp_path) for value in sources]
    assert before == [source_fingerprint(value, tmp_path) for value in sources]
    grow()
    after = [source_fingerprint(value, tmp_path) for value in sources]
    assert all(map(str.__ne__, before, after))
    pinned = {"name": "lance", "path": "rows.lance", "version": 1}
    assert len(_rows(pinned, tmp_path)) == 2
    assert len(_rows("rows.lance", tmp_path)) == 4
    first = source_fingerprint(pinned, tmp_path)
    lance.write_dataset(pa.Table.from_pylist(ROWS), str(tmp_path / "rows.lance"), mode="append")
    assert source_fingerprint(pinned, tmp_path) == first


def test_the_fingerprint_of_an_object_is_that_of_its_content(tmp_path: Path):
    def mark(value: Any) -> str:
        return source_fingerprint(value, tmp_path)

    assert mark(ROWS) == mark(pd.DataFrame(ROWS)) == mark(pa.Table.from_pylist(ROWS)) == mark(daft.from_pylist(ROWS))
    assert mark(ROWS) != mark(ROWS[::-1])
    long, other = np.arange(5000.0), np.arange(5000.0)
    other[2500] += 1
    assert mark([{"s": {"x": long}}]) == mark([{"s": {"x": long.copy()}}]) != mark([{"s": {"x": other}}])
    assert mark([{"p": Image.new("RGB", (3, 3))}]) != mark([{"p": Image.new("RGB", (3, 3), "red")}])
    assert mark([{"a": "x", "b": "y"}]) != mark([{"a": "xb", "b": "y"}])


def test_many_parquet_files_are_one_table_in_order(tmp_path: Path):
    for number in range(12):
        pq.write_table(pa.table({"n": list(range(number * 100, number * 100 + 100))}), tmp_path / f"{number:02}.parquet")
    assert [row["n"] for row in _rows("*.parquet", tmp_path)] == list(range(1200))
    marked = _rows({"path": "*.parquet", "file_column": "from", "pattern": r"(?P<part>\d+)"}, tmp_path)
    assert marked[150] == {"n": 150, "from": "01.parquet", "part": "01"}
    assert _rows({"path": "*.parquet", "pattern": r"(?P<part>\d+)"}, tmp_path, ["part"])[-1] == {"part": "11"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "site").mkdir()
    handler = partial(_Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


def test_tables_at_addresses_are_read(tmp_path: Path, site: str):
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "site" / "a.parquet")
    (tmp_path / "site" / "a.csv").write_text("id,word\n1,a\n2,b\n")
    for name in ("a.parquet", "a.csv", "a.csv?token=hidden"):
        assert _rows(f"{site}/{name}", tmp_path) == ROWS
    first = source_fingerprint(f"{site}/a.csv", tmp_path)
    assert source_fingerprint(f"{site}/a.csv", tmp_path) == first
    (tmp_path / "site" / "a.csv").write_text("id,word\n1,a\n2,b\n3,c\n")
    assert source_fingerprint(f"{site}/a.csv", tmp_path) != first
    assert len(_rows(f"{site}/a.csv", tmp_path)) == 3
    assert _fault(f"{site}/no.csv?token=hidden", tmp_path) == f"{site}/no.csv: the server answers 404"


def test_the_fingerprint_of_an_object_sees_tensors_whole_and_sets_in_any_order():
    torch = pytest.importorskip("torch")
    vector = torch.zeros(2000)  # whose words leave out the middle
    before = source_fingerprint([{"vector": vector.clone()}], Path())
    vector[1000] = 1
    assert source_fingerprint([{"vector": vector}], Path()) != before
    code = (
        "from pathlib import Path; from omnifuse.data.sources import source_fingerprint as f; print(f([{'tags': set('abcdefgh')}], Path()))"
    )
    words = {
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2", "3")
    }
    assert len(words) == 1


def test_a_name_that_is_not_utf8_is_read_and_a_dataset_refuses_it(tmp_path: Path):
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/x\xff.csv")).write_text("id,word\n1,a\n2,b\n")
    except OSError:
        pytest.skip("this file system has names of UTF-8 alone")
    name = os.fsdecode(b"x\xff.csv")
    assert _rows(name, tmp_path) == _rows("x?.csv", tmp_path) == ROWS
    assert source_name(name) == source_name(Path(name)) == source_name({"path": name}) == "x\\udcff.csv"
    for value in (name, {"path": name, "format": "csv"}, "x?.csv"):
        with pytest.raises(OmnifuseError, match=r"^x\\udcff\.csv: this name is not UTF-8"):
            source_fingerprint(value, tmp_path)
    (tmp_path / name).write_text("id,word\n1\n2,b\n")
    table = read_source({"path": name, "bad_rows": "quarantine"}, tmp_path)
    assert len(list(iterate_rows(table))) == 1
    assert [row["source"] for row in table.bad_rows()] == [str(tmp_path / "x") + "\\udcff.csv"]
    with (tmp_path / os.fsdecode(b"p\xff.parquet")).open("wb") as file:
        pq.write_table(pa.table({"n": [1]}), file)
    assert "rename it" in _fault(os.fsdecode(b"p\xff.parquet"), tmp_path)


@pytest.mark.parametrize("name", ["a" * 5000, "b/" * 3000])
def test_a_name_that_is_too_long_is_told_in_short(tmp_path: Path, name: str):
    for read in (read_source, source_fingerprint, source_base):
        with pytest.raises(OmnifuseError, match=r"cannot be read \(File name too long\)") as caught:
            read(name, tmp_path)
        assert len(str(caught.value)) < 300
