"""Planted wrong labels are found, by models that have not seen them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.config import DataConfig
from omnifuse.data.prepare import prepare
from omnifuse.data.table import iterate_rows, read_table
from omnifuse.study.folds import OutOfFold
from omnifuse.study.label_errors import LabelErrors, LabelIssue, choose_target, find_label_errors, judge_numbers
from omnifuse.study.pages import write_label_errors
from omnifuse.train.recipe import Recipe

pytest.importorskip("cleanlab")


def flipped(labels: np.ndarray, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which a share was changed to another digit, and which ones."""
    random = np.random.default_rng(seed)
    wrong = np.zeros(len(labels), dtype=bool)
    wrong[random.permutation(len(labels))[: round(share * len(labels))]] = True
    return np.where(wrong, (labels + random.integers(1, 10, len(labels))) % 10, labels), wrong


def study_digits(folder: Path, pixels: np.ndarray, labels: np.ndarray, folds: int, dim: int) -> tuple[LabelErrors, Any, dict[str, bool]]:
    """Likely errors among digits of which 8 % are labelled wrong; by id, whether it was planted."""
    given, wrong = flipped(labels, 0.08)
    rows = [
        {"picture": Image.fromarray(each), "digit": str(label), "n": i} for i, (each, label) in enumerate(zip(pixels, given, strict=True))
    ]
    recipe = Recipe.make(
        {
            "columns": {
                "picture": {"modality": "image", "channels": 1},
                "digit": {"modality": "category", "role": "target"},
            },
            "data": {"source": "given"},
            "model": {"dim": dim, "fusion": "concat", "heads": {"digit": {"name": "category", "label_smoothing": 0.1}}},
            "train": {"epochs": 12, "batch_size": 64, "device": "cpu"},
        }
    )
    dataset = prepare(rows, recipe.columns, DataConfig(source="given"), store=folder / "store")
    found = find_label_errors(dataset, recipe, folder / "study", folds=folds)
    true_label = {each.tobytes(): str(label) for each, label in zip(pixels, labels, strict=True)}
    taken = dataset.take(range(len(dataset)), ["picture", "digit"])
    files = dataset.media(taken["picture"])
    planted = {}
    for row, data, label in zip(dataset.ids(), files, taken["digit"], strict=True):
        planted[row] = true_label[_pixels(data)] != label
    assert sum(planted.values()) == wrong.sum()
    return found, dataset, planted


def _pixels(data: bytes) -> bytes:
    from omnifuse.data.decode import decode_image

    return decode_image(data, 1)[..., 0].tobytes()


def precision_recall(found: LabelErrors, planted: dict[str, bool]) -> tuple[float, float]:
    hits = sum(planted[issue.row] for issue in found.issues)
    return hits / len(found.issues), hits / sum(planted.values())


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LabelErrors, Any, dict[str, bool]]:
    """900 small digits that come with scikit-learn."""
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    folder = tmp_path_factory.mktemp("digits")
    pixels = (data.images[:900] * 255 / 16).astype(np.uint8)
    return folder, *study_digits(folder, pixels, data.target[:900], folds=3, dim=32)


def test_planted_wrong_labels_are_found(digits: tuple[Path, LabelErrors, Any, dict[str, bool]]):
    _, found, _, planted = digits
    precision, recall = precision_recall(found, planted)
    assert precision > 0.7
    assert recall > 0.7
    worst = [planted[issue.row] for issue in found.issues[:30]]
    assert np.mean(worst) > 0.85, "the worst come first"


def test_what_is_suggested_is_mostly_the_true_label(digits: tuple[Path, LabelErrors, Any, dict[str, bool]]):
    _, found, _, _ = digits
    assert all(issue.given != issue.suggested for issue in found.issues)
    assert sum(count for _, _, count in found.confusions) == len(found.issues)
    assert found.rows == 900
    assert 0.75 < found.accuracy < 0.95, "eight percent of the labels are wrong, so a good model cannot agree with all"


def test_the_report_shows_pictures_and_tables(digits: tuple[Path, LabelErrors, Any, dict[str, bool]]):
    folder, found, dataset, _ = digits
    page = write_label_errors(found, dataset, folder / "study").read_text()
    assert page.count("data:image/") >= min(len(found.issues), 60)
    assert f"{len(found.issues)} labels of 900" in page
    with (folder / "study" / "label_errors.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["id"] for line in lines] == [issue.row for issue in found.issues]
    assert [float(line["quality"]) for line in lines] == sorted(float(line["quality"]) for line in lines)
    with (folder / "study" / "quality.csv").open(newline="") as file:
        assert sum(1 for _ in csv.DictReader(file)) == 900


def test_numbers_that_are_far_off_are_found(tmp_path: Path):
    random = np.random.default_rng(0)
    rows = [{"size": round(float(s), 3), "price": round(float(3 * s + random.normal(0, 0.2)), 3)} for s in random.normal(0, 2, 200)]
    planted = {17, 60, 143}
    for i in planted:
        rows[i]["price"] += 40
    recipe = Recipe.make(
        {
            "columns": {"size": "number", "price": {"modality": "number", "role": "target"}},
            "data": {"source": "given"},
            "model": {"dim": 16, "fusion": "concat"},
            "train": {"epochs": 60, "batch_size": 32, "device": "cpu", "optimizer": {"name": "adamw", "lr": 0.01}},
        }
    )
    dataset = prepare(rows, recipe.columns, DataConfig(source="given"), store=tmp_path / "store")
    found = find_label_errors(dataset, recipe, tmp_path / "study", folds=2)
    prices = {rows[i]["price"] for i in planted}
    assert {round(float(issue.given), 3) for issue in found.issues[:3]} == {float(f"{price:.6g}") for price in prices}
    page = write_label_errors(found, dataset, tmp_path / "study").read_text()
    named = {f"the given table:{i + 1}" for i in planted}
    with (tmp_path / "study" / "label_errors.csv").open(newline="") as file:
        assert {line["from"] for line in list(csv.DictReader(file))[:3]} == named
    assert "likely wrong" in page and all(origin in page for origin in named)
    none = write_label_errors(replace(found, issues=[]), dataset, tmp_path / "none").read_text()
    assert "No label of 200 looks wrong" in none


def test_a_given_number_keeps_all_of_its_digits():
    values = [float(i % 3) for i in range(20)] + [1234567.891]
    answers = np.array([float(i % 3) + 0.1 for i in range(20)] + [2345678.9123])
    found = judge_numbers("price", [f"r{i}" for i in range(21)], values, OutOfFold(np.arange(21) % 2, [], answers, answers))
    assert [(issue.row, issue.given, issue.suggested) for issue in found.issues] == [("r20", "1234567.891", "2345680")]


def test_columns_that_are_called_like_ours_get_another_head(tmp_path: Path):
    rows = [{"from": f"{i % 7}", "quality": i % 5, "y": "ab"[i % 2]} for i in range(40)]
    columns = {"from": "category", "quality": "number", "y": {"modality": "category", "role": "target"}}
    recipe = Recipe.make({"columns": columns, "data": {"source": "given"}})
    dataset = prepare(rows, recipe.columns, DataConfig(source="given"), store=tmp_path / "store")
    issue = LabelIssue(dataset.ids()[0], 0, "a", "b", 0.01, 0.9)
    found = LabelErrors("y", 40, [issue], np.full(len(dataset), 0.5), 0.9, [("a", "b", 1)], 2)
    write_label_errors(found, dataset, tmp_path / "study")
    (line,) = iterate_rows(read_table(tmp_path / "study" / "label_errors.csv"))
    row = rows[int(line["from"].rpartition(":")[2]) - 1]
    assert (line["quality"], line["from (column)"], line["quality (column)"]) == ("0.01", row["from"], str(row["quality"]))


def test_which_target_must_be_said_where_there_are_several(tmp_path: Path):
    recipe = Recipe.make(
        {
            "columns": {"x": "number", "a": {"modality": "category", "role": "target"}, "b": {"modality": "category", "role": "target"}},
            "data": {"source": "given"},
        }
    )
    rows = [{"x": i, "a": "yes" if i % 2 else "no", "b": "p" if i % 3 else "q"} for i in range(30)]
    dataset = prepare(rows, recipe.columns, DataConfig(source="given"), store=tmp_path)
    with pytest.raises(OmnifuseError, match="choose one by --column"):
        choose_target(dataset, None)
    with pytest.raises(OmnifuseError, match=r"columns\.x: is not a target"):
        choose_target(dataset, "x")
    assert choose_target(dataset, "b") == "b"


@pytest.mark.slow
def test_eight_percent_of_wrong_mnist_labels_are_found(tmp_path: Path, shared_data: Path, mnist: tuple[np.ndarray, np.ndarray]):
    """The figures in docs/annotation.md."""
    pixels, labels = mnist
    found, dataset, planted = study_digits(tmp_path, pixels[:8000], labels[:8000], folds=4, dim=64)
    precision, recall = precision_recall(found, planted)
    write_label_errors(found, dataset, tmp_path / "study")
    print(f"MNIST: {len(found.issues)} flagged, precision {precision:.3f}, recall {recall:.3f}, accuracy {found.accuracy:.3f}")
    assert precision > 0.8
    assert recall > 0.85
