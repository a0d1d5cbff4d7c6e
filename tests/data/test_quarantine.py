"""Broken files: all of them and only them are set aside, each with a reason, and the run goes on."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.broken_files import DAMAGES, FORMATS, lying_pcd, lying_png, write_rows
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig
from omnifuse.data.dataset import Dataset
from omnifuse.data.prepare import prepare

SCHEMA = Schema.parse({"row": "number", "image": "image", "audio": "audio", "points": "points", "series": "series"})


def _prepare(table: list[dict[str, Any]], folder: Path, store: Path, **config: Any) -> Dataset:
    return prepare(table, SCHEMA, DataConfig.parse({"source": "rows", "quarantine_share": 0.99, **config}), store=store, root=folder)


def _told(dataset: Dataset) -> list[dict[str, str]]:
    with (dataset.path / "quarantine.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_format_with_every_damage_is_set_aside_and_nothing_else(tmp_path: Path):
    ways = sum(map(len, FORMATS.values())) * len(DAMAGES)
    table, broken = write_rows(tmp_path, 3 * ways, 1 / 3)
    assert len(set(broken.values())) == ways
    dataset = _prepare(table, tmp_path, tmp_path / "store")
    told = _told(dataset)
    missed = {how for number, how in broken.items() if number + 1 not in {int(row["row"]) for row in told}}
    assert missed == set()
    assert {int(row["row"]) - 1 for row in told} == set(broken)
    assert sorted(dataset.take(range(len(dataset)), ["row"])["row"]) == [float(row["row"]) for row in table if row["row"] not in broken]
    for row in told:
        assert row["column"] == broken[int(row["row"]) - 1].split()[0]
        assert len(row["reason"]) > 8
        assert row["value"].startswith(f"{int(row['row']) - 1:05}.")
    counts = dataset.manifest["sources"]["all"]
    assert counts["read"] == counts["rows"] + counts["quarantined"] == len(table)


@pytest.mark.parametrize(("name", "make", "column"), [("lie.pcd", lying_pcd, "points"), ("lie.png", lying_png, "image")])
def test_a_header_that_lies_is_a_reason(tmp_path: Path, name: str, make: Any, column: str):
    import numpy as np

    table, _ = write_rows(tmp_path, 12, 0.0)
    (tmp_path / name).write_bytes(make(np.random.default_rng(0)))
    table[3][column] = name
    told = _told(_prepare(table, tmp_path, tmp_path / "store"))
    assert [(row["row"], row["column"], row["value"]) for row in told] == [("4", column, name)]


def test_bad_values_may_count_as_absent(tmp_path: Path):
    table, broken = write_rows(tmp_path, 40, 0.25)
    dataset = _prepare(table, tmp_path, tmp_path / "store", bad_values="absent")
    assert len(dataset) == 40
    assert sum(dataset.manifest["absent"].values()) == len(broken) == 10
    assert len(_told(dataset)) == 10


def test_a_second_preparation_knows_what_is_broken_without_reading_it_again(tmp_path: Path):
    table, broken = write_rows(tmp_path, 60, 0.2)
    first = _prepare(table, tmp_path, tmp_path / "store")
    second = _prepare(table, tmp_path, tmp_path / "store", split={"test": 0.3})
    assert second.path != first.path
    assert {(r["row"], r["reason"]) for r in _told(second)} == {(r["row"], r["reason"]) for r in _told(first)}
    assert len(broken) == 12


def test_words_that_are_not_unicode_are_set_aside_and_told(tmp_path: Path):
    rows: list[dict[str, Any]] = [{"text": f"row {i}", "answer": "ab"[i % 2]} for i in range(40)] + [{"text": "half \ud800", "answer": "a"}]
    columns = Schema.parse({"text": "text", "answer": {"modality": "category", "role": "target"}})
    dataset = prepare(rows, columns, DataConfig(source="rows"), store=tmp_path)
    assert len(dataset) == 40
    assert "half \\ud800" in (dataset.path / "quarantine.csv").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="names of files may be any bytes there")
def test_a_file_whose_name_is_not_unicode_is_set_aside(tmp_path: Path):
    for i in range(40):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "0.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.png"))
    columns = Schema.parse({"file": {"modality": "image", "role": "input"}})
    dataset = prepare(tmp_path, columns, DataConfig(source=str(tmp_path)), store=tmp_path / ".store")
    assert len(dataset) == 39
    assert "not valid Unicode" in (dataset.path / "quarantine.csv").read_text()


def test_a_decoder_that_fails_in_an_unforeseen_way_costs_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from omnifuse.data.modalities.image import ImageProcessor

    table, _ = write_rows(tmp_path, 30, 0.0)
    original = ImageProcessor.inspect
    victim = (tmp_path / table[7]["image"]).read_bytes()

    def inspect(self: Any, data: bytes) -> Any:
        if data == victim:
            raise IndexError("list index out of range")
        return original(self, data)

    monkeypatch.setattr(ImageProcessor, "inspect", inspect)
    told = _told(_prepare(table, tmp_path, tmp_path / "store"))
    assert [(row["row"], row["column"], row["reason"]) for row in told] == [
        ("8", "image", "cannot be read (IndexError: list index out of range)")
    ]
    monkeypatch.undo()
    assert len(_prepare(table, tmp_path, tmp_path / "store", split={"test": 0.2})) == 30, "the file is looked at again"
