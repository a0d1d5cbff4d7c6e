"""Preparation: from a table to a dataset, with everything that may be wrong in it."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig
from omnifuse.data.dataset import GROUP, ID, ORIGIN, SPLIT, Dataset
from omnifuse.data.prepare import prepare
from omnifuse.data.staging import STRATUM, TIME

SCHEMA = Schema.parse({"text": "text", "size": "number", "answer": {"modality": "category", "role": "target"}})


def _table(count: int = 60) -> list[dict[str, Any]]:
    return [{"text": f"row number {i}", "size": i / 2, "answer": "yes" if i % 3 else "no"} for i in range(count)]


def _prepare(source: Any, store: Path, schema: Schema = SCHEMA, seed: int = 0, **config: Any) -> Dataset:
    return prepare(source, schema, DataConfig.parse({"source": "rows", **config}), store=store, seed=seed)


def _contents(dataset: Dataset, *columns: str) -> list[tuple[Any, ...]]:
    taken = dataset.take(range(len(dataset)), [ID, SPLIT, *columns])
    return sorted(zip(*taken.values(), strict=True))


def _png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_every_row_is_there_once_with_its_values(tmp_path: Path):
    dataset = _prepare(_table(), tmp_path)
    taken = dataset.take(range(len(dataset)), ["text", "size", "answer"])
    assert sorted(taken["text"]) == sorted(row["text"] for row in _table())
    by_text = {row["text"]: row for row in _table()}
    for text, size, answer in zip(*taken.values(), strict=True):
        assert by_text[text] == {"text": text, "size": size, "answer": answer}
    assert dataset.manifest["rows"] == 60
    assert dataset.manifest["splits"] == {"train": 48, "validation": 6, "test": 6}
    assert sum(len(dataset.split(name)) for name in ("train", "validation", "test")) == 60


def test_a_dataset_is_reused_when_nothing_has_changed(tmp_path: Path):
    path = tmp_path / "a.csv"
    pd.DataFrame(_table()).to_csv(path, index=False)
    first = _prepare(path, tmp_path / "store")
    stamp = (first.path / "manifest.json").stat().st_mtime_ns
    second = _prepare(path, tmp_path / "store")
    assert second.path == first.path
    assert (second.path / "manifest.json").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("change", ["table", "seed", "share", "schema"])
def test_a_dataset_is_made_anew_when_something_changes(tmp_path: Path, change: str):
    path = tmp_path / "a.csv"
    pd.DataFrame(_table()).to_csv(path, index=False)
    first = _prepare(path, tmp_path / "store")
    if change == "table":
        pd.DataFrame(_table(61)).to_csv(path, index=False)
        second = _prepare(path, tmp_path / "store")
        assert len(second) == 61
    elif change == "seed":
        second = _prepare(path, tmp_path / "store", seed=1)
        assert second.ids() == first.ids()
        assert _contents(second) != _contents(first)
    elif change == "share":
        second = _prepare(path, tmp_path / "store", split={"test": 0.5})
        assert second.manifest["splits"]["test"] == 30
    else:
        second = _prepare(path, tmp_path / "store", schema=Schema.parse({"text": "text", "answer": "category"}))
        assert list(second.schema) == ["text", "answer"]
    assert second.path != first.path
    assert len(first.ids()) == 60, "the older one is still readable"


def test_the_order_of_the_table_does_not_matter(tmp_path: Path):
    rows = _table() + _table()[:20]  # some rows are there twice
    mixed = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    first, second = _prepare(rows, tmp_path / "a"), _prepare(mixed, tmp_path / "b")
    assert first.ids() == second.ids()
    assert _contents(first, "text", "size", "answer") == _contents(second, "text", "size", "answer")


def test_the_order_of_the_table_does_not_matter_for_equal_rows_of_different_groups(tmp_path: Path):
    rows = [{"text": "ok", "size": 1, "answer": "yes", "who": f"p{i}"} for i in range(20)]
    rows += [{**row, "who": f"q{i}"} for i, row in enumerate(_table())]
    first, second = (_prepare(table, tmp_path / str(i), split={"by": "who"}) for i, table in enumerate((rows, rows[::-1])))
    assert _contents(first, GROUP) == _contents(second, GROUP)


def test_ids_are_unique_and_stable(tmp_path: Path):
    dataset = _prepare(_table() * 2, tmp_path / "a")
    ids = dataset.ids()
    assert len(set(ids)) == 120
    assert ids == sorted(ids)
    more = _prepare(_table(80), tmp_path / "b")
    assert set(more.ids()) >= {i for i in ids if "-" not in i}, "other rows do not change the id of a row"


def test_identical_rows_stay_on_one_side(tmp_path: Path):
    dataset = _prepare(_table(50) * 3, tmp_path, split={"validation": 0.2, "test": 0.2})
    sides: dict[str, set[str]] = {}
    for _, split, text in _contents(dataset, "text"):
        sides.setdefault(text, set()).add(split)
    assert all(len(side) == 1 for side in sides.values())
    assert Counter(next(iter(side)) for side in sides.values()) == {"train": 30, "validation": 10, "test": 10}


def test_rows_of_one_group_stay_on_one_side_and_the_group_need_not_be_a_column(tmp_path: Path):
    rows = [{**row, "patient": i % 12} for i, row in enumerate(_table(96))]
    dataset = _prepare(rows, tmp_path, split={"by": "patient", "validation": 0.25, "test": 0.25})
    assert "patient" not in dataset.schema
    pairs = {(group, split) for _, split, group in _contents(dataset, GROUP)}
    assert len(pairs) == 12
    assert Counter(split for _, split in pairs) == {"train": 6, "validation": 3, "test": 3}


@pytest.mark.parametrize("empty", [None, ""])
def test_rows_without_a_group_are_divided_one_by_one(tmp_path: Path, empty: str | None):
    rows = [{**row, "patient": empty if i < 40 else f"p{i % 5}"} for i, row in enumerate(_table())]
    dataset = _prepare(rows, tmp_path, split={"by": "patient", "validation": 0.2, "test": 0.2})
    splits = dataset.manifest["splits"]
    assert abs(splits["validation"] - 12) <= 2
    assert abs(splits["test"] - 12) <= 2
    alone = {split for _, split, text in _contents(dataset, "text") if int(text.split()[-1]) < 40}
    assert alone == {"train", "validation", "test"}


def test_a_column_may_say_the_split(tmp_path: Path):
    rows = [{**row, "fold": ("train", "dev", "test")[i % 3]} for i, row in enumerate(_table())]
    dataset = _prepare(rows, tmp_path, split={"column": "fold"})
    assert dataset.manifest["splits"] == {"train": 20, "validation": 20, "test": 20}
    assert set(dataset.split("validation").take(range(20), ["text"])["text"]) == {f"row number {i}" for i in range(1, 60, 3)}


def test_a_row_whose_split_is_not_said_is_refused_in_words_of_the_table(tmp_path: Path):
    rows = [{**row, "fold": "train" if i else None} for i, row in enumerate(_table())]
    with pytest.raises(OmnifuseError, match=r"data.split.column: .*fold") as caught:
        _prepare(rows, tmp_path, split={"column": "fold"})
    assert any(word in str(caught.value).lower() for word in ("empty", "none", "absent", "no value", "nothing"))


def test_one_table_for_each_split(tmp_path: Path):
    sources = {"train": _table(40), "test": [{**row, "text": "test " + row["text"]} for row in _table(10)]}
    dataset = _prepare(sources, tmp_path, split={"validation": 0.25})
    assert dataset.manifest["splits"] == {"train": 30, "validation": 10, "test": 10}
    assert all(text.startswith("test ") for text in dataset.split("test").take(range(10), ["text"])["text"])


def test_an_empty_split_is_refused_and_leaves_nothing(tmp_path: Path):
    with pytest.raises(OmnifuseError, match=r"data.split.validation: no row falls into validation"):
        _prepare(_table(3), tmp_path / "store")
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.parametrize(
    ("config", "schema", "message"),
    [
        ({}, {"txt": "text"}, 'columns: unknown column "txt"; did you mean "text"'),
        ({"split": {"by": "anwser"}}, {"text": "text"}, 'data.split.by: unknown column "anwser"; did you mean "answer"'),
        ({"split": {"column": "fold"}}, {"text": "text"}, 'data.split.column: unknown column "fold"'),
    ],
)
def test_an_unknown_column_is_refused_with_the_nearest(tmp_path: Path, config: dict[str, Any], schema: dict[str, str], message: str):
    with pytest.raises(OmnifuseError, match=message):
        _prepare(_table(), tmp_path, schema=Schema.parse(schema), **config)


def test_media_are_stored_once_by_content(tmp_path: Path):
    for i in range(6):
        (tmp_path / f"{i}.png").write_bytes(_png(100 * (i % 3)))
    rows = [{"photo": f"{i % 6}.png", "answer": "ab"[i % 2]} for i in range(30)]
    rows += [{"photo": _png(100), "answer": "a"}, {"photo": None, "answer": "b"}]
    schema = Schema.parse({"photo": "image", "answer": {"modality": "category", "role": "target"}})
    dataset = prepare(rows, schema, DataConfig(source="rows"), store=tmp_path / "store", root=tmp_path)
    assert dataset.manifest["media"] == 3
    assert lance.dataset(str(dataset.path.parent / "media.lance")).count_rows() == 3
    keys = [key for key in dataset.take(range(len(dataset)), ["photo"])["photo"] if key is not None]
    assert len(keys) == 31
    assert set(dataset.media(keys)) == {_png(0), _png(100), _png(200)}
    assert dataset.manifest["absent"] == {"photo": 1, "answer": 0}


def test_media_paths_are_relative_to_the_table(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    for i in range(3):
        (tmp_path / "deep" / f"{i}.png").write_bytes(_png(i))
    pd.DataFrame({"photo": [f"{i % 3}.png" for i in range(30)], "answer": list("ab") * 15}).to_csv(tmp_path / "deep" / "t.csv", index=False)
    dataset = _prepare(tmp_path / "deep" / "t.csv", tmp_path / "store", schema=Schema.parse({"photo": "image", "answer": "category"}))
    assert dataset.manifest["media"] == 3


@pytest.mark.parametrize("bad", ["missing.png", "text.png", "cut.png", "empty.png"])
def test_a_bad_value_is_named_with_row_column_and_path(tmp_path: Path, bad: str):
    (tmp_path / "good.png").write_bytes(_png(3))
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.png").write_bytes(_png(3)[:50])
    (tmp_path / "empty.png").touch()
    rows = [{"photo": "good.png" if i != 17 else bad, "answer": "ab"[i % 2]} for i in range(40)]
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    schema = Schema.parse({"photo": "image", "answer": "category"})
    with pytest.raises(OmnifuseError, match=f"t.csv: row 18, column photo: {bad}: ") as caught:
        _prepare(tmp_path / "t.csv", tmp_path / "store", schema=schema, bad_values="error")
    assert "quarantine" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not [path for path in (tmp_path / "store").iterdir() if path.suffix != ".lance"]


def test_a_word_among_numbers_is_named_with_row_and_column(tmp_path: Path):
    rows = _table()
    rows[4]["size"] = "large"
    with pytest.raises(OmnifuseError, match=r"row 5, column size: large: 'large' is not a number"):
        _prepare(rows, tmp_path, bad_values="error")


def test_quarantine_sets_aside_exactly_the_bad_rows_with_reasons(tmp_path: Path):
    rows = _table(100)
    rows[10]["size"], rows[70]["size"] = "large", "inf"
    dataset = _prepare(rows, tmp_path)
    assert set(dataset.take(range(98), ["text"])["text"]) == {row["text"] for i, row in enumerate(rows) if i not in (10, 70)}
    aside = list(csv.DictReader((dataset.path / "quarantine.csv").open(newline="")))
    assert [(fault["row"], fault["column"], fault["value"]) for fault in aside] == [("11", "size", "large"), ("71", "size", "inf")]
    assert "not a number" in aside[0]["reason"]
    assert "too large" in aside[1]["reason"]
    counts = dataset.manifest["sources"]["all"]
    assert {name: counts[name] for name in ("read", "rows", "quarantined", "without target")} == {
        "read": 100,
        "rows": 98,
        "quarantined": 2,
        "without target": 0,
    }


def test_too_large_a_share_of_bad_rows_stops_all_the_same(tmp_path: Path):
    rows = _table(100)
    for i in range(0, 100, 10):
        rows[i]["size"] = "large"
    with pytest.raises(OmnifuseError, match=r"data.quarantine_share: 10 of 100 rows are bad, more than 5%.* row 1, column size"):
        _prepare(rows, tmp_path / "store", bad_values="quarantine")
    assert list((tmp_path / "store").iterdir()) == []
    assert len(_prepare(rows, tmp_path / "store", bad_values="quarantine", quarantine_share=0.1)) == 90


def test_rows_without_a_target_are_dropped_and_counted(tmp_path: Path):
    rows = _table()
    for i in (3, 4, 5):
        rows[i]["answer"] = [None, "", float("nan")][i - 3]
    dataset = _prepare(rows, tmp_path)
    assert len(dataset) == 57
    assert dataset.manifest["sources"]["all"]["without target"] == 3


def test_with_two_targets_a_row_that_has_one_is_kept(tmp_path: Path):
    schema = Schema.parse({"text": "text", **{name: {"modality": "category", "role": "target"} for name in ("answer", "size")}})
    rows = _table()
    rows[0]["answer"] = None
    rows[1]["answer"] = rows[1]["size"] = None
    dataset = _prepare(rows, tmp_path, schema=schema)
    assert len(dataset) == 59
    assert dataset.manifest["absent"]["answer"] == 1


def test_ignored_columns_are_not_stored(tmp_path: Path):
    schema = Schema.parse({"text": "text", "size": {"modality": "number", "role": "ignore"}})
    dataset = _prepare(_table(), tmp_path, schema=schema)
    assert list(dataset.schema) == ["text"]
    assert "size" not in lance.dataset(str(dataset.path / "rows.lance")).schema.names


@pytest.mark.parametrize("rows", [[{"text": None, "size": None, "answer": None}] * 5, [{**row, "answer": None} for row in _table()]])
def test_a_table_that_leaves_no_row_is_refused(tmp_path: Path, rows: list[dict[str, Any]]):
    with pytest.raises(OmnifuseError, match="no row is left"):
        _prepare(rows, tmp_path)


def test_a_column_name_may_hold_a_dot(tmp_path: Path):
    rows = [{"a.b": f"text {i}", "a": i} for i in range(30)]
    dataset = _prepare(rows, tmp_path, schema=Schema.parse({"a.b": "text", "a": "number"}))
    assert sorted(dataset.take(range(30))["a.b"]) == sorted(row["a.b"] for row in rows)


def test_column_names_may_be_anything(tmp_path: Path):
    names = ["select", "with blank", "数据", "A B", "quote'\"", "__x__"]
    rows = [{name: f"{name} {i}" for name in names} for i in range(30)]
    dataset = _prepare(rows, tmp_path, schema=Schema.parse(dict.fromkeys(names, "text")))
    taken = dataset.take(range(30))
    for name in names:
        assert sorted(taken[name]) == sorted(row[name] for row in rows)


def test_progress_counts_every_row(tmp_path: Path):
    seen: list[int] = []
    prepare(_table(1234), SCHEMA, DataConfig(source="rows"), store=tmp_path, progress=seen.append)
    assert sum(seen) == 1234


@pytest.mark.parametrize("name", [ID, SPLIT, GROUP, ORIGIN, STRATUM, TIME])
def test_names_that_the_dataset_keeps_for_itself_are_refused(tmp_path: Path, name: str):
    with pytest.raises(OmnifuseError, match="kept for the dataset itself"):
        _prepare([{name: 1.0}] * 20, tmp_path, Schema.parse({name: "number"}))


def test_neither_manifest_nor_report_holds_credentials(tmp_path: Path):
    other = {"train": "https://alice:secret@host.org/a.csv?token=unseen", "test": {"name": "sql", "query": "SELECT 1"}}
    other["test"]["connection"] = "postgresql://alice:secret@host.org/shop"  # pyright: ignore
    config = DataConfig.parse({"source": other})
    dataset = prepare(_table(), SCHEMA, config, store=tmp_path)
    words = (dataset.path / "manifest.json").read_text() + dataset.report().read_text()
    assert "https://host.org/a.csv" in words and "postgresql://host.org/shop" in words
    assert not any(word in words for word in ("secret", "unseen", "alice"))


@pytest.mark.parametrize("file", ["files.parquet", "rows.lance/data"])
def test_a_damaged_version_says_so(tmp_path: Path, file: str):
    path = tmp_path / "a.csv"
    pd.DataFrame(_table()).to_csv(path, index=False)
    damaged = _prepare(path, tmp_path / "store").path / file
    for each in damaged.iterdir() if damaged.is_dir() else [damaged]:
        each.write_bytes(each.read_bytes()[:20])
    with pytest.raises(OmnifuseError, match="damaged; remove it and prepare it again"):
        _prepare(path, tmp_path / "store")


def test_every_split_has_its_own_counts_though_their_tables_have_one_name(tmp_path: Path):
    dataset = _prepare({"train": _table(40), "test": _table(60)[40:]}, tmp_path)
    assert {split: told["read"] for split, told in dataset.manifest["sources"].items()} == {"train": 40, "test": 20}
    spoilt = [{**row, "size": "tall"} for row in _table(20)]
    with pytest.raises(OmnifuseError, match="20 of 60 rows are bad"):
        _prepare({"train": [*_table(20), *spoilt], "test": _table(60)[40:]}, tmp_path / "spoilt")


def test_the_order_of_the_table_does_not_matter_for_equal_rows_of_different_times(tmp_path: Path):
    rows = [{**row, "day": day} for day in (1, 2, 3) for row in _table(20)]
    there = _prepare(rows, tmp_path / "a", split={"time": "day", "test": 0.34, "validation": 0.33})
    back = _prepare(rows[::-1], tmp_path / "b", split={"time": "day", "test": 0.34, "validation": 0.33})
    assert there.manifest["content"] == back.manifest["content"]


def test_one_group_in_two_tables_is_one_group_however_its_number_is_written(tmp_path: Path):
    rows = [{**row, "patient": number % 10 if number % 2 else float(number % 10)} for number, row in enumerate(_table())]
    words = [{**row, "patient": str(number % 10), "text": f"later {number}"} for number, row in enumerate(_table())]
    dataset = _prepare([*rows, *words], tmp_path, split={"by": "patient", "test": 0.3, "validation": 0.2})
    taken = dataset.take(range(len(dataset)), [GROUP, SPLIT])
    assert set(taken[GROUP]) == set("0123456789")
    assert len(set(zip(*taken.values(), strict=True))) == 10


def test_pictures_are_joined_by_the_words_that_name_them(tmp_path: Path):
    for i in range(30):
        (tmp_path / f"{i}.png").write_bytes(_png(i))
    pd.DataFrame({"photo": [f"{i}.png" for i in range(30)]}).to_csv(tmp_path / "photos.csv", index=False)
    pd.DataFrame({"photo": [f"{i}.png" for i in range(30)][::-1], "size": range(30)}).to_csv(tmp_path / "sizes.csv", index=False)
    schema = Schema.parse({"photo": "image", "size": {"modality": "number", "role": "target"}})
    dataset = _prepare(tmp_path / "photos.csv", tmp_path / "store", schema, join=[{"source": str(tmp_path / "sizes.csv"), "on": "photo"}])
    assert dataset.manifest["joins"][0]["left"]["matched"] == 30
    taken = dataset.take(range(30), ["photo", "size"])
    found = dict(zip(taken["size"], dataset.media(taken["photo"]), strict=True))
    assert found == {29.0 - i: _png(i) for i in range(30)}


def test_memory_does_not_grow_with_a_parquet_table_of_files(tmp_path: Path):
    program = """if True:
        import resource, sys
        import numpy as np, pyarrow as pa, pyarrow.parquet as pq
        from omnifuse.data.table import iterate_rows, read_table
        path, rows = sys.argv[1], int(sys.argv[2])
        random = np.random.default_rng(0)
        schema = pa.schema([("blob", pa.binary())])
        with pq.ParquetWriter(path, schema, compression="none") as writer:
            for _ in range(rows // 50):
                writer.write_table(pa.table({"blob": [random.bytes(100_000) for _ in range(50)]}, schema=schema))
        iterate = iterate_rows(read_table(path))
        next(iterate)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert sum(1 for _ in iterate) == rows - 1
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000)
    """
    command = [sys.executable, "-c", program, str(tmp_path / "blobs.parquet"), "3000"]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown < 150, f"{grown} MB for a table of 300 MB"
