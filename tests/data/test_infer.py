"""Guessing what the columns of a table are."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.infer import infer_columns


def _found(source: Any, *targets: str, root: Path | None = None) -> dict[str, tuple[str, str]]:
    found = infer_columns(source, targets, root)
    return {name: (item.column.modality, item.column.role) for name, item in found.items()}


def _column(values: list[Any], name: str = "x", target: bool = False) -> tuple[str, str]:
    return _found([{name: value} for value in values], *([name] if target else []))[name]


def _sentences(count: int = 60) -> list[str]:
    words = ["the", "quick", "red", "shoe", "fits", "my", "left", "foot", "quite", "well", "today"]
    random = np.random.default_rng(0)
    return [" ".join(random.choice(words, 7)) for _ in range(count)]


def test_columns_of_the_reviews(shared_data: Path):
    path = shared_data / "reviews" / "reviews.parquet.brotli"
    if not path.is_file():
        pytest.skip(f"no reviews at {path}")
    found = _found(path, "Recommended IND")
    assert found["Age"] == ("number", "input")
    assert found["Title"] == ("text", "input")
    assert found["Review Text"] == ("text", "input")
    assert found["Rating"] == ("number", "input")
    assert found["Department Name"] == ("category", "input")
    assert found["Recommended IND"] == ("category", "target")
    assert _found(path, "Rating")["Rating"] == ("category", "target")
    assert _found(path, "Rating")["Recommended IND"] == ("category", "input")
    assert "absent" in infer_columns(path, ["Rating"])["Title"].why


def test_columns_of_questions_about_pictures(tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    rows = []
    for i in range(400):
        colour, shape = ("red", "green", "blue")[i % 3], ("circle", "square")[i % 2]
        question = (f"what color is the {shape}?", f"is there a {colour} {shape}?", "what shape is in the image?")[i % 3]
        rows.append({"image": f"{i % 50}.png", "question": question, "answer": ("yes", "no", colour, shape)[i % 4]})
    found = infer_columns(rows, ["answer"], tmp_path)
    assert found["image"].column.modality == "image"
    assert "not found" not in found["image"].why
    assert found["answer"].column.modality == "category"
    assert found["answer"].column.role == "target"
    assert "not found" in infer_columns(rows, ["answer"], tmp_path / "elsewhere")["image"].why


def test_columns_of_easy_vqa(tmp_path: Path):
    pytest.importorskip("easy_vqa")
    from omnifuse.recipes.easy_vqa.tables import write_tables

    path = write_tables(tmp_path)["train"]
    assert _found(path, "answer") == {"image": ("image", "input"), "question": ("text", "input"), "answer": ("category", "target")}


def test_sentences_are_texts_in_any_language():
    assert _column(_sentences()) == ("text", "input")
    chinese = [f"这双鞋子穿起来很舒服，颜色也非常好看，第{i}次购买了。" for i in range(60)]
    arabic = [f"هذا الحذاء مريح جدا وأحب لونه كثيرا {i}" for i in range(60)]
    assert _column(chinese) == ("text", "input")
    assert _column(arabic) == ("text", "input")


def test_short_words_that_repeat_are_categories_in_any_language():
    assert _column(["red", "green", "blue"] * 30) == ("category", "input")
    assert _column(["上衣", "裤子", "鞋"] * 30) == ("category", "input")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([i / 3 for i in range(60)], "number"),
        ([str(i / 3) for i in range(60)], "number"),
        (list(range(18, 80)), "number"),
        ([1, 2, 3, 4, 5] * 12, "number"),
        ([0, 1] * 30, "category"),
        (["0", "1"] * 30, "category"),
        ([True, False] * 30, "category"),
        ([1.5, None, 2.5, None, 3.5] * 12, "number"),
    ],
)
def test_numbers_and_flags(values: list[Any], expected: str):
    assert _column(values) == (expected, "input")


def test_a_target_of_few_whole_numbers_is_a_category_and_of_many_a_number():
    assert _column([1, 2, 3, 4, 5] * 12, target=True) == ("category", "target")
    assert _column([i / 7 for i in range(60)], target=True) == ("number", "target")
    assert _column(list(range(100)), target=True) == ("number", "target")


@pytest.mark.parametrize("name", ["id", "ID", "user_id", "row id", "uuid", "Unnamed: 0", "__index_level_0__", "index", ""])
def test_identifiers_are_left_out(name: str):
    assert _column(list(range(1000, 1100)), name)[1] == "ignore"
    assert _column([f"a{i:05d}" for i in range(100)], name)[1] == "ignore"


def test_an_identifier_that_repeats_is_a_category():
    assert _column([i % 10 for i in range(100)], "user_id") == ("category", "input")


def test_a_word_that_merely_ends_like_an_identifier_is_kept():
    assert _column([float(i) for i in range(100)], "humid") == ("number", "input")


def test_an_empty_column_is_left_out():
    found = infer_columns([{"x": value, "y": i} for i, value in enumerate([None, "", "  ", float("nan")] * 10)])
    assert found["x"].column.role == "ignore"
    assert found["x"].why == "empty"


def test_pictures_inside_the_table_are_images():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    assert _column([buffer.getvalue()] * 5) == ("image", "input")
    assert _column([Image.new("RGB", (8, 8))] * 5) == ("image", "input")
    assert _column([np.zeros((8, 8, 3), np.uint8)] * 5) == ("image", "input")


def test_what_cannot_be_read_is_left_out():
    assert _column([b"no picture"] * 5)[1] == "ignore"
    assert _column([{"a": 1}] * 5)[1] == "ignore"
    assert _column([object()] * 5)[1] == "ignore"


@pytest.mark.parametrize("ending", ["png", "JPG", "jpeg", "webp"])
def test_paths_of_pictures_are_images_though_some_are_missing(ending: str):
    assert _column([f"deep/{i}.{ending}" if i % 4 else None for i in range(40)]) == ("image", "input")


def test_an_unknown_target_offers_the_nearest():
    with pytest.raises(OmnifuseError, match='target: unknown column "anwser"; did you mean "answer"'):
        infer_columns([{"answer": 1}], ["anwser"])


def test_a_table_without_rows_is_refused(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a,b\n")
    with pytest.raises(OmnifuseError, match=r"a.csv: holds no rows"):
        infer_columns(tmp_path / "a.csv")
