"""Guessing what the columns of a table are."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.infer import infer_columns, kept_together
from omnifuse.data.table import read_table


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


def test_an_identifier_that_repeats_is_a_category_or_an_id_when_there_are_many():
    assert _column([i % 10 for i in range(100)], "user_id") == ("category", "input")
    assert _column([i % 80 for i in range(400)], "user_id") == ("id", "input")
    assert _column([f"m{i % 80}" for i in range(400)], "movieId") == ("id", "input")
    assert _column([f"anna{i % 80}" for i in range(400)], "user") == ("id", "input")


def test_groups_of_rows_are_left_out_and_kept_together():
    rows = [{"patient_id": f"p{i % 40}", "value": i / 3, "sick": i % 2} for i in range(200)]
    found = infer_columns(rows, ["sick"])
    assert (found["patient_id"].kind, found["patient_id"].column.role) == ("group", "ignore")
    assert found["patient_id"].keeps_together
    assert not found["value"].keeps_together
    assert not infer_columns(rows[:40])["patient_id"].keeps_together, "every patient has one row"
    few = infer_columns([{"speaker": "abc"[i % 3], "x": i} for i in range(60)])["speaker"]
    assert (few.column.modality, few.keeps_together) == ("category", False), "three speakers cannot be divided"


def test_a_column_that_says_the_split_is_told():
    found = infer_columns([{"part": ("train", "train", "test", "val")[i % 4], "x": i} for i in range(60)])["part"]
    assert (found.kind, found.column.role) == ("split", "ignore")


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


# what columns of words give away


def _options(values: list[Any], name: str = "x") -> tuple[str, dict[str, Any]] | None:
    column = infer_columns([{name: value} for value in values])[name].column
    return None if column.role == "ignore" else (column.modality, column.options)


DAYS = [f"2024-{month:02}-{day:02}" for month in range(1, 13) for day in (3, 14, 25)]


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("%Y-%m-%d", {}),
        ("%Y-%m-%dT%H:%M:%SZ", {}),
        ("%Y/%m/%d %H:%M", {}),
        ("%d/%m/%Y", {"format": "%d/%m/%Y"}),
        ("%m/%d/%Y", {"format": "%m/%d/%Y"}),
        ("%d.%m.%Y %H:%M", {"format": "%d.%m.%Y %H:%M"}),
        ("%m/%d/%y", {"format": "%m/%d/%y"}),
        ("%b %d, %Y", {"format": "%b %d, %Y"}),
        ("%d %B %Y", {"format": "%d %B %Y"}),
    ],
)
def test_moments_are_found_however_they_are_written(form: str, options: dict[str, Any]):
    words = [datetime.datetime.fromisoformat(day).strftime(form) for day in DAYS]
    assert _options(words) == ("datetime", options)
    assert _options([*words, None, "NA"]) == ("datetime", options)


def test_objects_that_are_moments():
    for kind in (datetime.date.fromisoformat, pd.Timestamp):
        assert _options([kind(day) for day in DAYS]) == ("datetime", {})


def test_days_and_months_that_cannot_be_told_apart_are_left_to_the_user():
    found = infer_columns([{"x": f"0{i % 9 + 1}/0{i % 7 + 1}/2024"} for i in range(60)])["x"]
    assert found.column.role == "ignore"
    assert "day or month first?" in found.why


def test_numbers_are_moments_only_where_the_name_says_so():
    seconds = [1_700_000_000 + 5000 * i for i in range(60)]
    assert _options(seconds, "created_at") == ("datetime", {"format": "unix_s"})
    assert _options([f"{1000 * second}" for second in seconds], "timestamp") == ("datetime", {"format": "unix_ms"})
    assert _options([int(day.replace("-", "")) for day in DAYS], "date") == ("datetime", {"format": "%Y%m%d"})
    assert _options(seconds, "population") == ("number", {})


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([f"${i * 997:,}.50" for i in range(1, 60)], {"format": "point"}),
        ([f"{i / 2} %" for i in range(60)], {"format": "point"}),
        ([f"{i},5" for i in range(60)], {"format": "comma"}),
        ([f"{i}.{i + 100},25 €" for i in range(1, 60)], {"format": "comma"}),
        ([f"{i * 1000:,}" for i in range(1, 60)], {"format": "point"}),
    ],
)
def test_numbers_in_every_dress(words: list[str], options: dict[str, Any]):
    assert _options(words) == ("number", options)


def test_numbers_with_units():
    pytest.importorskip("pint")
    assert _options([f"{150 + i} cm" if i % 3 else f"1.{50 + i} m" for i in range(45)]) == ("number", {"unit": "cm"})
    assert _options([f"{i} bedrooms" for i in range(45)]) != ("number", {"unit": "bedrooms"})


def test_a_few_words_among_numbers_are_told_and_not_guessed():
    found = infer_columns([{"x": ">100" if i % 10 == 0 else str(i)} for i in range(100)])["x"]
    assert found.column.role == "ignore"
    assert "10 of 100 values are no numbers, such as '>100'" in found.why
    assert _options([*map(str, range(50)), "NA", "n/a", "-"]) == ("number", {}), "words for nothing do not count"


GENRES = ["Action", "Comedy", "Drama", "Science Fiction"]


@pytest.mark.parametrize(
    ("join", "options"),
    [
        ("|".join, {}),
        ("; ".join, {"separator": ";"}),
        (", ".join, {"separator": ","}),
        (str, {}),
        (list, {}),
        (set, {}),
        (lambda labels: [GENRES.index(label) for label in labels], {}),
    ],
)
def test_several_labels_are_sets(join: Any, options: dict[str, Any]):
    random = np.random.default_rng(0)
    chosen = [random.choice(GENRES, int(random.integers(1, 4)), replace=False).tolist() for _ in range(80)]
    assert _options([join(labels) for labels in chosen]) == ("set", options)


@pytest.mark.parametrize(
    "words",
    [
        [("Ghent, Belgium", "Lyon, France", "Paris, France")[i % 3] for i in range(60)],
        [f"{('Smith', 'Jones', 'Peel')[i % 3]}, {('Anna', 'Ben')[i % 2]}" for i in range(60)],
    ],
)
def test_fields_with_a_comma_are_no_sets(words: list[str]):
    assert _column(words) == ("category", "input")


def test_sentences_with_commas_are_texts():
    assert _column([f"{sentence}, {sentence}" for sentence in _sentences()]) == ("text", "input")


@pytest.mark.parametrize("write", [list, tuple, np.array, str, lambda row: " ".join(map(str, row)), lambda row: ";".join(map(str, row))])
def test_equally_many_numbers_are_vectors(write: Any):
    rows = np.random.default_rng(0).normal(size=(40, 4)).round(3).tolist()
    assert _options([write(row) for row in rows]) == ("vector", {})


def test_numbers_in_lists_of_any_length_and_by_channel_are_series():
    random = np.random.default_rng(0)
    assert _column([random.normal(size=5 + i % 7).tolist() for i in range(40)]) == ("series", "input")
    assert _column([{"x": [0.1, 0.2], "y": [1, None]} for _ in range(40)]) == ("series", "input")
    assert _column([np.zeros((9, 3)) + i for i in range(40)]) == ("series", "input")


@pytest.mark.parametrize(
    ("ending", "modality"), [("wav", "audio"), ("FLAC", "audio"), ("mp4", "video"), ("pcd", "points"), ("bin", "points"), ("npy", "series")]
)
def test_paths_of_files_have_the_modality_of_their_ending(ending: str, modality: str):
    assert _column([f"some/{i}.{ending}" for i in range(40)]) == (modality, "input")


def test_bytes_have_the_modality_of_their_beginning():
    assert _column([b"RIFF\x24\x00\x00\x00WAVEfmt "] * 5) == ("audio", "input")
    assert _column([b"\x00\x00\x00\x20ftypisom"] * 5) == ("video", "input")
    assert _column([{"array": np.zeros(80), "sampling_rate": 8000}] * 5) == ("audio", "input")


def test_pictures_that_come_back_are_kept_together(tmp_path: Path):
    rows = [{"image": f"{i % 50}.png", "answer": "yes" if i % 2 else "no"} for i in range(200)]
    assert infer_columns(rows, ["answer"], tmp_path)["image"].keeps_together
    assert not infer_columns(rows[:50], ["answer"], tmp_path)["image"].keeps_together


def test_files_are_looked_for_in_the_folders_beside_the_table(tmp_path: Path):
    (tmp_path / "png").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "png" / "0.png")
    (tmp_path / "t.csv").write_text("file,y\n0.png,a\n1.png,b\n", encoding="utf-8")
    found = infer_columns(tmp_path / "t.csv", ["y"])["file"]
    assert (found.folder, found.column.modality) == (tmp_path / "png", "image")
    assert "in png" in found.why


def test_a_folder_of_class_folders_is_a_table(tmp_path: Path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for i in range(3):
            Image.new("RGB", (8, 8)).save(tmp_path / label / f"{i}.png")
    assert _found(tmp_path, "label") == {"file": ("image", "input"), "label": ("category", "target")}


def test_codes_that_are_all_different_are_left_out():
    assert _column([f"0{i}" for i in range(1000, 1060)])[1] == "ignore"
    assert _column([f"0{i % 9}" for i in range(60)]) == ("category", "input")


def test_targets_stay_labels_and_numbers():
    assert _column([f"{a}, {b}" for a in "abc" for b in "abc"] * 5, target=True) == ("category", "target")
    assert _column(DAYS, target=True) == ("category", "target")
    assert _column([f"${i * 997:,}.50" for i in range(1, 60)], target=True) == ("number", "target")


def test_a_table_that_is_open_already_can_be_looked_at(tmp_path: Path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n3,x\n", encoding="utf-8")
    assert _found(read_table(tmp_path / "t.csv"), "b") == _found(tmp_path / "t.csv", "b")


@pytest.mark.parametrize("mark", ["__id__", "__group__", "__split__", "__from__", "__stratum__", "__time__"])
@pytest.mark.parametrize("different", [2, 40, 120])
def test_marks_of_omnifuse_are_left_out_however_they_repeat(mark: str, different: int):
    rows = [{mark: f"{i % different}", "x": i % 9, "y": "ab"[i % 2]} for i in range(120)]
    found = infer_columns(rows, ["y"])
    assert found[mark].column.role == "ignore"
    assert kept_together(found) == ([mark] if mark == "__group__" and different == 40 else [])


def test_what_a_dataset_kept_together_comes_after_groups_and_before_files(tmp_path: Path):
    rows = [{"__group__": i % 70, "image": f"{i % 60}.png", "patient": i % 50, "y": "ab"[i % 2]} for i in range(200)]
    assert kept_together(infer_columns(rows, ["y"], tmp_path)) == ["patient", "__group__", "image"]
