"""Duplicates, near duplicates, splits and leaks, as a preparation does them and tells of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig
from omnifuse.data.dataset import GROUP, SPLIT, Dataset
from omnifuse.data.prepare import prepare

PHOTOS = Schema.parse({"photo": "image", "answer": {"modality": "category", "role": "target"}})


def _photo(seed: int, quality: int = 95, side: int = 48) -> bytes:
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8))
    file = io.BytesIO()
    coarse.resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG", quality=quality)
    return file.getvalue()


def _photos(copies: int = 30, alone: int = 60) -> list[dict[str, Any]]:
    """Some photos are there twice, saved again at a lower quality."""
    rows = [{"photo": _photo(seed), "answer": "ab"[seed % 2], "number": seed} for seed in range(copies + alone)]
    return rows + [{"photo": _photo(seed, quality=60), "answer": "ab"[seed % 2], "number": seed} for seed in range(copies)]


def _prepare(rows: list[dict[str, Any]], store: Path, schema: Schema = PHOTOS, **config: Any) -> Dataset:
    return prepare(rows, schema, DataConfig.parse({"source": "rows", **config}), store=store)


def _near(dataset: Dataset) -> dict[str, Any]:
    return next(report for report in dataset.manifest["duplicates"] if report["kind"] == "near")


def test_near_pictures_are_told_and_those_across_splits_first(tmp_path: Path):
    dataset = _prepare(_photos(), tmp_path, split={"test": 0.4})
    told = _near(dataset)
    assert told["column"] == "photo"
    assert told["groups"] == 30
    assert told["rows"] == 60
    assert 0 < told["across_groups"] < 30
    first = told["examples"][0]
    where = dict(zip(dataset.ids(), dataset.take(range(len(dataset)), [SPLIT])[SPLIT], strict=True))
    assert [where[row] for row in first["rows"]] == first["splits"]
    assert len(set(first["splits"])) == 2


def test_near_pictures_may_be_kept_on_one_side(tmp_path: Path):
    dataset = _prepare(_photos(), tmp_path, split={"test": 0.4}, clean={"near_duplicates": "together"})
    assert _near(dataset)["groups"] == 30
    assert _near(dataset)["across_groups"] == 0
    assert len(dataset) == 120


def test_near_pictures_may_be_dropped_but_no_row_that_says_something_else(tmp_path: Path):
    rows = _photos()
    dataset = _prepare(rows, tmp_path / "a", clean={"near_duplicates": "drop"})
    assert len(dataset) == 90
    assert dataset.manifest["dropped"] == {"duplicates": 0, "near_duplicates": 30}
    rows[0]["answer"], rows[90]["answer"] = "a", "b"
    assert len(_prepare(rows, tmp_path / "b", clean={"near_duplicates": "drop"})) == 91
    questions = [{**row, "question": f"what about {i % 3}?"} for i, row in enumerate(rows[:60] * 3)]
    schema = Schema.parse({"photo": "image", "question": "text", "answer": "category"})
    kept = _prepare(questions, tmp_path / "c", schema, clean={"near_duplicates": "drop"})
    assert len(kept) == len({(row["photo"], row["question"], row["answer"]) for row in questions})


def test_equal_rows_may_be_dropped(tmp_path: Path):
    rows = [{"text": f"number {i % 40}", "answer": "ab"[i % 2]} for i in range(100)]
    schema = Schema.parse({"text": "text", "answer": {"modality": "category", "role": "target"}})
    assert len(_prepare(rows, tmp_path / "a", schema)) == 100
    dataset = _prepare(rows, tmp_path / "b", schema, clean={"duplicates": "drop"})
    assert len(dataset) == 40
    assert dataset.manifest["dropped"]["duplicates"] == 60
    assert sorted(dataset.take(range(40), ["text"])["text"]) == sorted(f"number {i}" for i in range(40))


def test_a_test_table_that_repeats_training_rows_is_a_leak_with_the_rows_named(tmp_path: Path):
    train = [{"text": f"number {i}", "answer": "ab"[i % 2]} for i in range(60)]
    sources = {"train": train, "test": [{"text": f"new {i}", "answer": "a"} for i in range(17)] + train[:3]}
    schema = Schema.parse({"text": "text", "answer": {"modality": "category", "role": "target"}})
    dataset = prepare(sources, schema, DataConfig(source="rows"), store=tmp_path)
    leak = next(leak for leak in dataset.manifest["leaks"] if leak["kind"] == "exact")
    assert leak["rows"] == 6
    ids = dict(zip(dataset.ids(), dataset.take(range(len(dataset)), ["text"])["text"], strict=True))
    assert {ids[row] for example in leak["examples"] for row in example["rows"]} == {"number 0", "number 1", "number 2"}
    found = {ids[example["rows"][0]]: sorted(word.rpartition(":")[2] for word in example["from"]) for example in leak["examples"]}
    assert found == {"number 0": ["1", "18"], "number 1": ["19", "2"], "number 2": ["20", "3"]}, "where each was read"
    assert leak["examples"][0]["from"][0] in leak["says"]


SIZED = Schema.parse({"size": "number", "answer": {"modality": "category", "role": "target"}})


def _sized(path: Path, numbers: Iterable[int], bad: Container[int] = (), broken: Container[int] = ()) -> Path:
    """A table whose rows hold their own number, from 1, but for some of which the cell or the whole line is bad."""
    lines = [f"{i},ab,c" if i in broken else f"{'bad' if i in bad else i},{'ab'[i % 2]}" for i in numbers]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["size,answer", *lines]) + "\n")
    return path


def _read_from(sources: Any, store: Path, **options: Any) -> Dataset:
    dataset = prepare(sources, SIZED, DataConfig.parse({"source": "rows", "quarantine_share": 0.2, **options}), store=store)
    assert len(dataset) > 40
    return dataset


def _set_aside(dataset: Dataset) -> list[tuple[str, str]]:
    with (dataset.path / "quarantine.csv").open(newline="") as file:
        return sorted((Path(line["source"]).name, line["row"]) for line in csv.DictReader(file))


def _sizes(dataset: Dataset) -> list[int]:
    return [int(size) for size in dataset.take(range(len(dataset)), ["size"])["size"]]


def test_rows_say_where_they_were_read_also_behind_rows_that_were_set_aside(tmp_path: Path):
    table = _sized(tmp_path / "rows.csv", range(1, 201), bad=range(4, 200, 10))
    dataset = _read_from(table, tmp_path / "store")
    assert dataset.origins() == [f"rows.csv:{size}" for size in _sizes(dataset)]
    test = dataset.split("test")
    assert test.origins([0]) == [f"rows.csv:{_sizes(test)[0]}"]
    assert _set_aside(dataset) == sorted(("rows.csv", str(i)) for i in range(4, 200, 10))


def test_lines_that_the_table_could_not_read_are_counted_too(tmp_path: Path):
    table = _sized(tmp_path / "rows.csv", range(1, 101), bad=[60], broken=[5, 30])
    dataset = _read_from({"path": str(table), "bad_rows": "quarantine"}, tmp_path / "store")
    assert dataset.origins() == [f"rows.csv:{size}" for size in _sizes(dataset)]
    assert _set_aside(dataset) == [("rows.csv", "31"), ("rows.csv", "6"), ("rows.csv", "60")], "lines of those that were unreadable"


def test_rows_are_numbered_before_a_join_leaves_some_out(tmp_path: Path):
    table = _sized(tmp_path / "rows.csv", range(1, 201), bad=[150])
    for source in (str(table), [{"size": i if i != 150 else "bad", "answer": "ab"[i % 2]} for i in range(1, 201)]):
        (tmp_path / "known.csv").write_text("size\n" + "\n".join(map(str, [*range(101, 201), "bad"])) + "\n")
        join = [{"source": str(tmp_path / "known.csv"), "on": "size", "how": "inner", "columns": []}]
        dataset = _read_from(source, tmp_path / "store", join=join)
        name = "rows.csv" if source == str(table) else "the given table"
        assert dataset.origins() == [f"{name}:{size}" for size in _sizes(dataset)]
        assert _set_aside(dataset) == [(name, "150")]


def test_each_file_of_a_table_has_its_own_numbers(tmp_path: Path):
    _sized(tmp_path / "s" / "a.csv", range(1, 41))
    _sized(tmp_path / "s" / "b.csv", range(1, 41), bad=[7])
    dataset = _read_from(str(tmp_path / "s" / "*.csv"), tmp_path / "store")
    assert {origin.partition(":")[0] for origin in dataset.origins()} == {"a.csv", "b.csv"}
    assert [int(origin.partition(":")[2]) for origin in dataset.origins()] == _sizes(dataset)
    assert _set_aside(dataset) == [("b.csv", "7")]


def test_tables_of_one_name_in_two_folders_are_told_apart(tmp_path: Path):
    sources = {"train": _sized(tmp_path / "a" / "rows.csv", range(1, 61)), "test": _sized(tmp_path / "b" / "rows.csv", range(61, 81))}
    dataset = _read_from(sources, tmp_path / "store")
    named = [f"a/rows.csv:{size}" if size < 61 else f"b/rows.csv:{size - 60}" for size in _sizes(dataset)]
    assert dataset.origins() == named


def test_a_window_was_read_where_its_first_sample_was(tmp_path: Path):
    lines = [f"{who},{i},{i / 7},{'ab'[who % 2]}" for who in range(60) for i in range(4)]
    (tmp_path / "long.csv").write_text("\n".join(["who,i,x,answer", *lines]) + "\n")
    schema = Schema.parse({"curve": "series", "answer": {"modality": "category", "role": "target"}, "who": "id"})
    windows = {"by": ["who"], "order": "i", "columns": ["x"], "length": 4, "into": "curve"}
    dataset = prepare(tmp_path / "long.csv", schema, DataConfig.parse({"source": "x", "windows": windows}), store=tmp_path / "store")
    who = dataset.take(range(len(dataset)), ["who"])["who"]
    assert dataset.origins() == [f"long.csv:{int(each) * 4 + 1}" for each in who]


def test_a_group_divided_by_a_given_split_is_a_leak(tmp_path: Path):
    rows = [{"text": f"n {i}", "answer": "ab"[i % 2], "who": f"p{i % 10}"} for i in range(60)]
    schema = Schema.parse({"text": "text", "answer": "category"})
    sources = {"train": rows[:40], "test": rows[40:]}
    dataset = prepare(sources, schema, DataConfig.parse({"source": "rows", "split": {"by": "who"}}), store=tmp_path)
    leak = next(leak for leak in dataset.manifest["leaks"] if leak["kind"] == "group")
    assert (leak["column"], leak["groups"]) == ("who", 10)


def test_a_column_that_gives_the_target_away_is_told(tmp_path: Path):
    rows = [{"size": i % 7, "code": i % 2, "answer": "ab"[i % 2]} for i in range(200)]
    schema = Schema.parse({"size": "number", "code": "category", "answer": {"modality": "category", "role": "target"}})
    leaks = [leak for leak in _prepare(rows, tmp_path, schema).manifest["leaks"] if "target" in leak]
    assert [(leak["column"], leak["target"]) for leak in leaks] == [("code", "answer")]


def test_stratified_splits_have_the_same_shares_of_labels(tmp_path: Path):
    rows = [{"text": f"n {i}", "answer": "rare" if i % 10 == 0 else "common"} for i in range(300)]
    schema = Schema.parse({"text": "text", "answer": {"modality": "category", "role": "target"}})
    dataset = _prepare(rows, tmp_path, schema, split={"stratify": "answer", "validation": 0.2, "test": 0.2})
    for split, rare in (("train", 18), ("validation", 6), ("test", 6)):
        part = dataset.split(split)
        assert part.take(range(len(part)), ["answer"])["answer"].count("rare") == rare


@pytest.mark.parametrize("column", ["day", "seconds"])
def test_splits_by_time_put_the_latest_rows_into_the_test(tmp_path: Path, column: str):
    rows = [
        {"text": f"n {i}", "answer": "ab"[i % 2], "day": f"2024-{1 + i // 28:02}-{1 + i % 28:02}", "seconds": i * 10.0} for i in range(100)
    ]
    mixed = [rows[i] for i in np.random.default_rng(0).permutation(100)]
    schema = Schema.parse({"text": "text", "answer": {"modality": "category", "role": "target"}})
    dataset = _prepare(mixed, tmp_path, schema, split={"time": column, "validation": 0.2, "test": 0.1})
    texts = {
        split: dataset.split(split).take(range(len(dataset.split(split))), ["text"])["text"] for split in ("train", "validation", "test")
    }
    assert {int(text.split()[1]) for text in texts["test"]} == set(range(90, 100))
    assert {int(text.split()[1]) for text in texts["validation"]} == set(range(70, 90))


def test_a_pattern_says_which_part_of_a_word_stays_together(tmp_path: Path):
    rows = [{"text": f"n {i}", "answer": "ab"[i % 2], "file": f"scan_{i % 20}_view{i}.png"} for i in range(100)]
    schema = Schema.parse({"text": "text", "answer": "category"})
    dataset = _prepare(rows, tmp_path, schema, split={"by": "file", "pattern": r"scan_(\d+)_", "test": 0.3})
    taken = dataset.take(range(100), [GROUP, SPLIT])
    assert set(taken[GROUP]) == {str(i) for i in range(20)}
    assert len(set(zip(taken[GROUP], taken[SPLIT], strict=True))) == 20


def test_misspelt_and_rare_labels_and_absence_by_pairs_are_told(tmp_path: Path):
    known = [None if i % 4 == 0 else i for i in range(120)]
    rows = [{"name": f"n {i}", "town": ("Munich", "Hamburg")[i % 2], "age": value, "size": value} for i, value in enumerate(known)]
    rows += [{"name": "last", "town": "Hambrug", "age": 3, "size": 4}]
    schema = Schema.parse({"name": "text", "town": "category", "age": "number", "size": "number"})
    manifest = _prepare(rows, tmp_path, schema).manifest
    assert manifest["labels"]["town"]["replace"] == {"Hambrug": "Hamburg"}
    pair = manifest["missing"]["pairs"][0]
    assert (pair["columns"], pair["both"], pair["either"]) == (["age", "size"], 30, 30)
    assert pair["expected"] == pytest.approx(7.4, abs=0.1)


def test_of_many_long_texts_a_part_is_compared_and_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from omnifuse.data import arrange

    monkeypatch.setattr(arrange, "MANY_TEXTS", 50)
    random = np.random.default_rng(0)
    texts = [" ".join(str(number) for number in random.integers(0, 10_000, 30)) for _ in range(100)]
    rows = [{"text": text} for text in [*texts, *(text + " again" for text in texts)]]
    told = _near(_prepare(rows, tmp_path, Schema.parse({"text": "text"})))
    assert told["left_out"] >= 150
    assert 0 < told["groups"] < 50


@pytest.mark.parametrize(
    ("odd", "reason"), [("2021", "holds dates, and '2021'"), ("1e400", "1e400 is no moment"), ("soon", "data.split.time")]
)
def test_a_time_that_is_on_another_clock_stops_the_division(tmp_path: Path, odd: str, reason: str):
    rows = [{"size": i, "answer": "ab"[i % 2], "day": f"2020-01-{i % 28 + 1:02}"} for i in range(60)]
    rows[40]["day"] = odd
    with pytest.raises(OmnifuseError, match=reason):
        prepare(rows, SIZED, DataConfig.parse({"source": "rows", "split": {"time": "day"}}), store=tmp_path)
    rows[40]["day"] = ""
    dataset = prepare(rows, SIZED, DataConfig.parse({"source": "rows", "split": {"time": "day"}}), store=tmp_path)
    assert dataset.manifest["rows without a time"] == 1
