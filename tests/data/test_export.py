"""A dataset for other programs: what is written is what was prepared."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig
from omnifuse.data.dataset import ID, Dataset
from omnifuse.data.prepare import prepare

COLUMNS = {
    "picture": "image",
    "question": "text",
    "size": "number",
    "when": "datetime",
    "tags": "set",
    "answer": {"modality": "category", "role": "target"},
}


@pytest.fixture
def dataset(colours: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> Dataset:
    folder, rows = colours
    rows = [{**row, "when": f"2024-05-{1 + i % 28:02}T12:00:00", "tags": "a|b" if i % 2 else "c"} for i, row in enumerate(rows)]
    rows[5] = {**rows[5], "picture": None, "size": None, "when": None, "tags": None}
    return prepare(rows, Schema.parse(COLUMNS), DataConfig(source="rows"), store=tmp_path / "store", root=folder)


def _expected(dataset: Dataset, split: str) -> dict[str, dict[str, Any]]:
    part = dataset.split(split)
    taken = part.take(range(len(part)), [ID, *COLUMNS])
    rows = [dict(zip(taken, values, strict=True)) for values in zip(*taken.values(), strict=True)]
    return {row[ID]: row for row in rows}


def test_parquet_holds_every_row_with_its_file(dataset: Dataset, tmp_path: Path):
    dataset.export(tmp_path / "out", "parquet")
    for split, count in dataset.manifest["splits"].items():
        rows = pq.read_table(tmp_path / "out" / f"{split}.parquet").to_pylist()
        expected = _expected(dataset, split)
        assert len(rows) == count == len(expected)
        for row in rows:
            given = expected[row[ID]]
            assert row["question"] == given["question"]
            assert row["size"] == given["size"]
            assert (None if row["tags"] is None else tuple(row["tags"])) == given["tags"]
            if given["picture"] is None:
                assert row["picture"] is None
            else:
                assert row["picture"]["bytes"] == dataset.media([given["picture"]])[0]
                assert row["picture"]["path"].endswith(".png")
            if given["when"] is not None:
                assert int(row["when"].timestamp() * 1e6) == given["when"]


def test_webdataset_holds_every_row_under_its_id(dataset: Dataset, tmp_path: Path):
    dataset.export(tmp_path / "out", "webdataset")
    with tarfile.open(tmp_path / "out" / "test-000000.tar") as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}  # pyright: ignore
    expected = _expected(dataset, "test")
    assert {name.split(".")[0] for name in files} == set(expected)
    for identity, given in expected.items():
        words = json.loads(files[f"{identity}.json"])
        assert words["question"] == given["question"]
        if given["picture"] is not None:
            assert files[f"{identity}.picture.png"] == dataset.media([given["picture"]])[0]


def test_an_exported_webdataset_can_be_read_as_a_source(dataset: Dataset, tmp_path: Path):
    dataset.export(tmp_path / "out", "webdataset")
    source = {"name": "webdataset", "path": str(tmp_path / "out" / "train-*.tar")}
    schema = Schema.parse({"picture": {"modality": "image", "source": "picture.png"}})
    again = prepare(source, schema, DataConfig(source=source, bad_values="error"), store=tmp_path / "again")
    assert len(again) == dataset.manifest["splits"]["train"]


def test_exported_parquet_can_be_read_as_a_source(dataset: Dataset, tmp_path: Path):
    dataset.export(tmp_path / "out", "parquet")
    schema = Schema.parse({name: column for name, column in dataset.schema.dump().items() if name != "when"})
    source = str(tmp_path / "out" / "train.parquet")
    again = prepare(source, schema, DataConfig(source=source, bad_values="error"), store=tmp_path / "again")
    assert len(again) == dataset.manifest["splits"]["train"]
    assert again.manifest["absent"]["picture"] == dataset.split("train").absent("picture")


def test_hugging_face_datasets_opens_what_was_written(dataset: Dataset, tmp_path: Path):
    datasets = pytest.importorskip("datasets")
    dataset.export(tmp_path / "out", "datasets")
    loaded = datasets.load_from_disk(str(tmp_path / "out"))
    assert {split: part.num_rows for split, part in loaded.items()} == dataset.manifest["splits"]
    expected = _expected(dataset, "train")
    row = next(row for row in loaded["train"] if row["picture"] is not None)
    assert row["picture"]["bytes"] == dataset.media([expected[row[ID]]["picture"]])[0]
    decoded = loaded["train"].cast_column("picture", datasets.Image())
    assert next(row for row in decoded if row["picture"] is not None)["picture"].size == (8, 8)


def test_a_folder_that_is_there_is_not_touched_and_an_unknown_format_is_named(dataset: Dataset, tmp_path: Path):
    (tmp_path / "out").mkdir()
    with pytest.raises(OmnifuseError, match="is already there"):
        dataset.export(tmp_path / "out", "parquet")
    with pytest.raises(OmnifuseError, match='unknown format "parket"; did you mean "parquet"'):
        dataset.export(tmp_path / "new", "parket")
    assert not (tmp_path / "new").exists()


def test_only_the_split_that_was_taken_is_written(dataset: Dataset, tmp_path: Path):
    dataset.split("test").export(tmp_path / "out", "parquet")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["test.parquet"]


def test_columns_whose_names_would_clash_in_a_tar_are_numbered(colours: tuple[Path, list[dict[str, Any]]], tmp_path: Path):
    folder, rows = colours
    pairs = [{"a.b": row["picture"], "a_b": rows[-1 - i]["picture"]} for i, row in enumerate(rows)]
    dataset = prepare(pairs, Schema.parse({"a.b": "image", "a_b": "image"}), DataConfig(source="rows"), store=tmp_path / "s", root=folder)
    dataset.export(tmp_path / "out", "webdataset")
    for tar in (tmp_path / "out").iterdir():
        with tarfile.open(tar) as opened:
            names = opened.getnames()
        assert len(names) == len(set(names))
        assert {name.split(".", 1)[1] for name in names} == {"a_b.png", "a_b_2.png", "json"}
