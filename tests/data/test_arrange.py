"""Duplicates, near duplicates, splits and leaks, as a preparation does them and tells of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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


def test_rows_say_where_they_were_read_also_behind_rows_that_were_set_aside(tmp_path: Path):
    table = tmp_path / "rows.csv"
    table.write_text("size,answer\n" + "".join(f"{'broken' if i % 10 == 3 else i},{'ab'[i % 2]}\n" for i in range(200)))
    schema = Schema.parse({"size": "number", "answer": {"modality": "category", "role": "target"}})
    dataset = prepare(table, schema, DataConfig.parse({"source": str(table), "quarantine_share": 0.2}), store=tmp_path / "store")
    sizes = dataset.take(range(len(dataset)), ["size"])["size"]
    assert dataset.origins() == [f"rows.csv:{int(size) + 1}" for size in sizes]
    assert dataset.split("test").origins([0]) == [f"rows.csv:{int(dataset.split('test').take([0], ['size'])['size'][0]) + 1}"]


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
