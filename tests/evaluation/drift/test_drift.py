"""New rows beside training rows: what has drifted is found, what has not is not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.config import DataConfig, SplitConfig
from omnifuse.data.prepare import prepare
from omnifuse.evaluation.drift.drift import find_drift
from omnifuse.evaluation.report.drift import drift_section
from omnifuse.page.blocks import Table
from omnifuse.page.sections import write_page

COLUMNS: dict[str, Any] = {
    "left": "series",
    "right": "series",
    "photo": {"modality": "image", "size": 8},
    "note": {"modality": "text", "vocabulary": 280, "max_length": 16},
    "age": "number",
    "at": "datetime",
    "shop": "category",
    "tags": "set",
    "spot": {"modality": "vector", "size": 3},
    "sex": {"modality": "category", "role": "meta"},
    "answer": {"modality": "category", "role": "target"},
    "price": {"modality": "number", "role": "target"},
}
SETTINGS = {
    "model.dim": 16,
    "model.fusion": "concat",
    "train.epochs": 2,
    "train.batch_size": 32,
    "data.split": {"validation": 0.25, "test": 0},
}


def make_rows(folder: Path, count: int, seed: int, **drift: Any) -> list[dict[str, Any]]:
    """Rows of independent columns; `drift` says what is otherwise."""
    random, rows = np.random.default_rng(seed), []
    folder.mkdir(parents=True, exist_ok=True)
    gain, offset, dark = drift.get("gain", 1.0), drift.get("offset", 0.0), drift.get("dark", 0)
    for number in range(count):
        price, steps = float(random.normal()), int(random.integers(12, 20))
        pixels = np.clip(random.normal(140 - dark, 40, (8, 8, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed}-{number}.png")
        rows.append(
            {
                "left": {"x": price + random.normal(size=steps), "y": random.normal(size=steps)},
                "right": {"x": gain * (price + random.normal(size=steps)) + offset, "y": random.normal(size=steps)},
                "photo": str(folder / f"{seed}-{number}.png") if random.random() > drift.get("lost", 0.1) else None,
                "note": " ".join(random.choice(["good", "bad", "fine", "late"], random.integers(1, 5 + drift.get("longer", 0)))),
                "age": float(random.normal(40 + drift.get("older", 0.0), 10)),
                "at": f"2026-0{random.integers(1, 7) + drift.get('later', 0)}-1{random.integers(0, 9)}",
                "shop": str(random.choice(["north", "south", *drift.get("shops", [])])),
                "tags": [tag for tag in "abc" if random.random() < drift.get("tagged", 0.4)],
                "spot": random.normal(drift.get("moved", 0.0), 1, 3).tolist(),
                "sex": str(random.choice(["f", "m"], p=drift.get("sexes", [0.5, 0.5]))),
                "answer": "yes" if price > 0 else "no",
                "price": price,
            }
        )
    return rows


@dataclass(frozen=True)
class Trained:
    pipeline: of.Pipeline
    reference: of.Dataset
    folder: Path

    def compare(self, seed: int = 1, count: int = 150, **drift: Any) -> dict[str, Any]:
        return of.drift(self.pipeline, make_rows(self.folder / "new", count, seed, **drift), self.reference, rows=150)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("drift")
    pipeline = of.fit(make_rows(folder / "old", 220, 0), columns=COLUMNS, out=folder / "run", settings=SETTINGS)
    return Trained(pipeline, of.Dataset.open(folder / "run" / "dataset"), folder)


def test_rows_like_those_of_training_have_not_drifted(trained: Trained):
    found = trained.compare()
    assert set(found["columns"]) == set(COLUMNS)
    assert set(found["answers"]) == {"answer", "price"}
    assert {each["verdict"] for each in [*found["columns"].values(), *found["answers"].values()]} == {"like the training data"}
    assert found["sentences"][0] == "The new rows are like the training data in all 12 columns."
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_sensor_that_drifted_is_found_and_the_other_is_not(trained: Trained):
    found = trained.compare(gain=1.4, offset=0.8)
    assert found["drifted"] == ["right"]
    right = found["columns"]["right"]
    of_x = {test["of"]: test for test in right["tests"]}
    assert of_x["mean of x"]["shift"] == pytest.approx(0.8, abs=0.3)
    assert of_x["deviation of x"]["new"] / of_x["deviation of x"]["reference"] == pytest.approx(1.4, abs=0.1)
    assert of_x["mean of y"]["p"] > 0.05
    assert of_x["encoder"]["p"] <= 0.05
    assert "mean of x" in right["sentence"] or "deviation of x" in right["sentence"]
    assert found["answers"]["price"]["verdict"] == "drifted"  # for the model reads that sensor


@pytest.mark.parametrize(
    ("column", "drift", "words"),
    [
        ("age", {"older": 8.0}, "deviations higher"),
        ("at", {"later": 3}, "its mean is 2026-0"),
        ("shop", {"shops": ["west"]}, "of its labels were never seen in training"),
        ("tags", {"tagged": 0.8}, "of the rows instead of "),
        ("photo", {"dark": 60}, "brightness is 0.3"),
        ("photo", {"lost": 0.5}, "absent in "),
        ("note", {"longer": 6}, "letters is "),
        ("spot", {"moved": 1.0}, "what the encoder makes of it lies elsewhere"),
        ("sex", {"sexes": [0.8, 0.2]}, "of the rows instead of "),
    ],
    ids=["number", "moment", "label", "set", "picture", "absent", "text", "vector", "beside"],
)
def test_each_modality_is_found_where_it_drifts(trained: Trained, column: str, drift: dict[str, Any], words: str):
    found = trained.compare(seed=2, **drift)
    assert found["drifted"] == [column]
    assert found["columns"][column]["sentence"].startswith(f"{column} has drifted: ")
    assert words in found["columns"][column]["sentence"]


def test_few_rows_cannot_tell(trained: Trained):
    found = trained.compare(count=20)
    assert found["drifted"] == []
    assert found["columns"]["age"]["verdict"] == "too few rows to tell"
    assert "too few rows to tell (20 values beside 165)" in found["columns"]["age"]["sentence"]


def test_rows_need_no_targets_and_may_lack_columns(trained: Trained):
    rows = [{name: row[name] for name in ("age", "shop")} for row in make_rows(trained.folder / "new", 150, 3)]
    found = of.drift(trained.pipeline, rows, trained.reference)
    assert "answer" not in found["columns"]
    assert "sex" not in found["columns"]
    assert found["columns"]["age"]["verdict"] == "like the training data"
    assert found["columns"]["left"]["verdict"] == "drifted"
    assert "absent in 100 % of the rows instead of 0 %" in found["columns"]["left"]["sentence"]


def test_a_dataset_is_compared_as_its_rows_are(trained: Trained, tmp_path: Path):
    rows = make_rows(trained.folder / "new", 150, 1, gain=1.4, offset=0.8)
    everything = DataConfig(source="", split=SplitConfig(validation=0, test=0))
    dataset = prepare(rows, Schema.parse(COLUMNS), everything, store=tmp_path)
    found = of.drift(trained.pipeline, dataset.split("train"), trained.reference, rows=150)
    assert found["drifted"] == ["right"]


def test_files_that_rows_share_count_once(trained: Trained):
    rows = make_rows(trained.folder / "new", 8, 5, lost=0.0)
    many = [{**row, "photo": row["photo"] if copy % 10 else None} for copy in range(40) for row in rows]
    found = of.drift(trained.pipeline, many, trained.reference)
    assert found["columns"]["photo"]["values"]["new"] == 8
    assert found["columns"]["photo"]["verdict"] == "too few rows to tell"


def test_one_row_of_each_group_is_drawn(tmp_path: Path, trained: Trained):
    rows = [{**row, "note": f"{row['note']} {copy}"} for row in make_rows(trained.folder / "new", 60, 6) for copy in range(4)]
    config = DataConfig.parse({"source": "", "split": {"by": "age", "validation": 0, "test": 0}}, "data")
    dataset = prepare(rows, Schema.parse(COLUMNS), config, store=tmp_path)
    found = find_drift(trained.pipeline, dataset.split("train"), trained.reference)
    assert found["columns"]["age"]["values"]["new"] == 60
    assert found["rows"]["new"] == 240


def test_nothing_to_compare_is_said(trained: Trained):
    with pytest.raises(OmnifuseError, match="drift: there is no new row; there is nothing to compare"):
        of.drift(trained.pipeline, trained.reference.split("test"), trained.reference)


def test_the_same_seed_gives_the_same(trained: Trained):
    rows = [{name: row[name] for name in ("left", "age")} for row in make_rows(trained.folder / "new", 60, 8)]
    first, again, other = (of.drift(trained.pipeline, rows, trained.reference, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


def test_a_bad_value_is_told_with_its_row(trained: Trained):
    rows = make_rows(trained.folder / "new", 30, 7)
    rows[16]["age"] = "old"
    with pytest.raises(OmnifuseError, match="row 17, column age"):
        of.drift(trained.pipeline, rows, trained.reference)


def test_a_page_shows_what_drifted(trained: Trained, tmp_path: Path):
    found = trained.compare(gain=1.4, offset=0.8, later=3)
    section = drift_section(found, "k")
    plot, columns, tests = section.blocks
    assert isinstance(columns, Table)
    assert isinstance(tests, Table)
    assert [row[0] for row in columns.rows if row[2] == "drifted"][:2] == ["right", "at"]
    assert "right has drifted" in section.note
    page = write_page(tmp_path / "page.html", "Drift", "over", found["sentences"], [], [section]).read_text(encoding="utf-8")
    assert "2026-0" in page
    assert "answer price" in page
    assert "<svg" in plot.svg  # pyright: ignore[reportAttributeAccessIssue]
