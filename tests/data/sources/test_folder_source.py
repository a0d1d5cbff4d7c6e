"""Folders of files: class folders, what names say, a table beside them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.sources import read_source, source_fingerprint
from omnifuse.data.table import Table, iterate_rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two class folders, hidden files, and an empty folder."""
    place = tmp_path / "pets"
    for name in ("dog/2.png", "cat/1.png", "cat/3.jpg", "cat/.hidden.png", ".git/4.png", "cat/deep/5.png"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(b"x")
    (place / "empty").mkdir()
    return place


def _table(base: Path, **options: Any) -> Table:
    table = read_source({"name": "folder", "path": "pets", **options}, base.parent)
    assert isinstance(table, Table)
    return table


def _rows(base: Path, **options: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in iterate_rows(_table(base, **options))]


def _fault(base: Path, **options: Any) -> str:
    with pytest.raises(OmnifuseError) as caught:
        _rows(base, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_class_folders_give_labels_and_files_are_sorted(folder: Path):
    table = _table(folder)
    assert table.column_names == ["file", "label"]
    assert _rows(folder) == [("cat/1.png", "cat"), ("cat/3.jpg", "cat"), ("cat/deep/5.png", "deep"), ("dog/2.png", "dog")]
    assert table.notes() == {"files": 4}


def test_a_pattern_of_files_and_names_of_columns(folder: Path):
    assert _rows(folder, files="*/*.png", label="") == [("cat/1.png",), ("dog/2.png",)]
    assert _rows(folder, files="**/*.png") == [("cat/1.png", "cat"), ("cat/deep/5.png", "deep"), ("dog/2.png", "dog")]
    assert _table(folder, column="picture", label="animal").column_names == ["picture", "animal"]


def test_groups_of_a_pattern_become_columns(folder: Path):
    rows = _rows(folder, files="*/*", pattern=r"(?P<label>\w)\w+/(?P<number>\d)\.")
    assert rows == [("cat/1.png", "c", "1"), ("cat/3.jpg", "c", "3"), ("dog/2.png", "d", "2")]
    assert 'does not match "cat/3.jpg"' in _fault(folder, files="*/*", pattern=r"(?P<number>\d)\.png")
    assert "like the column of paths" in _fault(folder, pattern="(?P<file>.)")


def test_a_flat_folder_has_no_labels(folder: Path):
    (folder / "flat").mkdir()
    (folder / "flat" / "a.txt").touch()
    assert _table(folder.parent / "pets", path="pets/flat").column_names == ["file"]


def test_links_that_lead_in_circles_end(folder: Path):
    (folder / "cat" / "again").symlink_to(folder)
    (folder / "dog" / "self").symlink_to(folder / "dog")
    (folder / "dog" / "gone.png").symlink_to(folder / "nowhere")
    names = [row[0] for row in _rows(folder)]
    assert len(names) == len({os.path.realpath(folder / name) for name in names}) == 4


@pytest.mark.parametrize("key", ["dog/2.png", "2.png", "2", "./dog/2.png"])
def test_metadata_are_joined_by_name_whatever_their_order(folder: Path, key: str):
    (folder / "about.csv").write_text(f"age,id\n7,{key}\n9,no.png\n5,cat/1.png\n")
    table = _table(folder, files="**/*", metadata="about.csv", key="id")
    assert table.column_names == ["file", "label", "age"]
    rows = [tuple(row.values()) for row in iterate_rows(table)]
    assert rows == [("cat/1.png", "cat", "5"), ("cat/3.jpg", "cat", None), ("cat/deep/5.png", "deep", None), ("dog/2.png", "dog", "7")]
    assert table.notes() == {"files": 4, "files without metadata": 2, "rows without a file": 1}
    assert [(row["row"], row["column"], row["value"]) for row in table.bad_rows()] == [(2, "id", "no.png")]


def test_the_column_that_names_files_is_found_and_the_written_label_wins(folder: Path):
    (folder.parent / "about.jsonl").write_text(
        '{"n": 1, "which": "cat/1.png", "label": "tiger"}\n{"n": 2, "which": "2.png", "label": "wolf"}\n'
    )
    table = _table(folder, metadata="about.jsonl")
    assert table.column_names == ["file", "n", "label"]
    assert [row["label"] for row in iterate_rows(table)] == ["tiger", None, None, "wolf"]


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        ("id,x\n1.png,a\ncat/1.png,b\n", {}, "has a row already"),
        ("id,x\nno,a\n", {}, "no column names files"),
        ("id,x\nno,a\n", {"key": "id"}, "no row names a file"),
        ("id,x\n1.png,a\n", {"key": "idd"}, 'did you mean "id"?'),
        ("id,file\n1.png,a\n", {}, 'has a column "file" that the folder gives too'),
    ],
)
def test_metadata_that_do_not_fit_are_refused(folder: Path, text: str, options: dict[str, str], reason: str):
    (folder / "about.csv").write_text(text)
    assert reason in _fault(folder, files="**/*.png", metadata="about.csv", **options)


def test_a_name_of_two_files_is_refused(folder: Path):
    (folder / "dog" / "1.png").touch()
    (folder / "about.csv").write_text("id,x\n1.png,a\n")
    assert '"1.png" is the name of cat/1.png and dog/1.png' in _fault(folder, metadata="about.csv")


def test_a_folder_without_files_is_refused(folder: Path):
    assert "without files such as *.wav" in _fault(folder, files="*.wav")
    assert "no such folder" in _fault(folder, path="pats")
    assert "is a file, not a folder" in _fault(folder, path="pets/cat/1.png")


def test_the_fingerprint_sees_the_metadata(folder: Path):
    (folder / "about.csv").write_text("id,x\n2.png,a\n")
    given = {"name": "folder", "path": "pets", "metadata": "about.csv"}
    first = source_fingerprint(given, folder.parent)
    (folder / "about.csv").write_text("id,x\n2.png,abc\n")
    assert source_fingerprint(given, folder.parent) != first


def test_emoji_with_their_captions(shared_data: Path):
    given = {"name": "folder", "path": "emoji/png", "metadata": "../captions.tsv", "pattern": r"emoji_u(?P<base>[0-9a-f]+)"}
    table = read_source(given, shared_data)
    assert isinstance(table, Table)
    rows = list(iterate_rows(table))
    lines = (shared_data / "emoji" / "captions.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert table.column_names == ["file", "base", "name", "keywords"]
    assert len(rows) == len(list((shared_data / "emoji" / "png").iterdir()))
    assert len(rows) - table.notes()["files without metadata"] + table.notes()["rows without a file"] == len(lines)
    written = {line.split("\t")[0]: line.split("\t")[1] for line in lines}
    assert all(row["name"] == written.get(row["file"]) for row in rows)


def test_spoken_digits_say_who_and_what_in_their_names(shared_data: Path):
    given = {"name": "folder", "path": "fsdd/recordings", "files": "*.wav", "pattern": r"(?P<digit>\d)_(?P<speaker>\w+)_(?P<index>\d+)"}
    rows = list(iterate_rows(read_source(given, shared_data)))
    assert len(rows) == 3000
    assert len({row["speaker"] for row in rows}) == 6
