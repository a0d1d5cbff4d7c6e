"""Every mistake gives one clear line and a non-zero exit, and leaves nothing half-written."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from omnifuse.data.table import iterate_rows, read_table
from tests.cli.conftest import Ended, Job, files, no_leftovers, start, write_recipe, write_rows
from tests.conftest import colour_rows

Here = Callable[..., Ended]
Change = dict[str, Any]


def one_class(folder: Path) -> None:
    write_rows(folder / "rows.csv", [{**row, "answer": "yes"} for row in colour_rows(folder, 60)])


def spoil_picture(folder: Path) -> None:
    rows = colour_rows(folder, 60)
    rows[6]["picture"] = "torn.png"
    (folder / "torn.png").write_bytes((folder / "red-0.png").read_bytes()[:60])
    write_rows(folder / "rows.csv", rows)


def lose_picture(folder: Path) -> None:
    rows = colour_rows(folder, 60)
    rows[6]["picture"] = "lost.png"
    write_rows(folder / "rows.csv", rows)


def text(content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "recipe.yaml").write_text(content, encoding="utf-8")


def empty_table(folder: Path) -> None:
    (folder / "rows.csv").write_text("picture,question,size,shop,answer\n", encoding="utf-8")


def nothing(folder: Path) -> None:
    pass


def prepared(names: Iterable[str]) -> list[str]:
    """What looks like a whole dataset among files; the files of a store, which are kept for the next try, do not."""
    return [name for name in names if Path(name).name == "manifest.json" or "rows.lance" in Path(name).parts]


STRICT: Change = {"data.bad_values": "error"}
# what is wrong: how the folder is spoiled, changes to the recipe, --set words, words that the line must hold
MISTAKES: dict[str, tuple[Callable[[Path], object], Change, list[str], list[str]]] = {
    "missing table": (nothing, {"data.source": "row.csv"}, [], ["row.csv: no such file", "rows.csv"]),
    "folder of files where a table is meant": (nothing, {"data.source": "."}, [], ['unknown column "answer"', "known: file"]),
    "folder read as a table": (nothing, {"data.source": {"path": ".", "format": "csv"}}, [], ["is a folder"]),
    "table without rows": (empty_table, {}, [], ["no row"]),
    "unknown column": (nothing, {"columns.qestion": "text"}, [], ['unknown column "qestion"', 'did you mean "question"']),
    "unknown split column": (nothing, {"data.split": {"by": "shops"}}, [], ["data.split.by", 'did you mean "shop"']),
    "torn picture": (spoil_picture, STRICT, [], ["row 7", "column picture", "torn.png", "not a readable image", "quarantine"]),
    "lost picture": (lose_picture, STRICT, [], ["row 7", "column picture", "lost.png", "no such file", "quarantine"]),
    "torn picture among few rows": (spoil_picture, {"data.quarantine_share": 0.01}, [], ["1 of 60 rows are bad", "row 7", "torn.png"]),
    "words for numbers": (nothing, {"columns.shop": "number"}, [], ["row 1", "column shop", "is not a number"]),
    "target with one class": (one_class, {}, [], ["columns.answer", "same value ('yes')", "at least two"]),
    "empty validation split": (nothing, {"data.split": {"validation": 0.001, "test": 0.2}}, [], ["data.split.validation", "no row"]),
    "empty test split": (nothing, {"data.split": {"validation": 0.2, "test": 0.001}}, [], ["data.split.test", "no row"]),
    "splits that leave nothing": (nothing, {"data.split": {"validation": 0.5, "test": 0.5}}, [], ["data.split", "leave no training rows"]),
    "misspelt option": (nothing, {"train.epocs": 3}, [], ["train", 'unknown option "epocs"', 'did you mean "epochs"']),
    "misspelt section": (nothing, {"trian": {}}, [], ['unknown option "trian"', 'did you mean "train"']),
    "misspelt fusion": (nothing, {"model.fusion": "concta"}, [], ["model.fusion", 'did you mean "concat"']),
    "misspelt modality": (nothing, {"columns.size": "nubmer"}, [], ["columns.size", 'did you mean "number"']),
    "misspelt encoder column": (nothing, {"model.encoders": {"pictur": "vit"}}, [], ["model.encoders", 'did you mean "picture"']),
    "encoder of another modality": (nothing, {"model.encoders": {"size": "vit"}}, [], ["model.encoders.size", "number"]),
    "wrong kind of value": (nothing, {"train.epochs": "many"}, [], ["train.epochs", "'many'"]),
    "value out of range": (nothing, {"train.batch_size": 0}, [], ["train.batch_size", "greater than or equal to 1"]),
    "no target": (nothing, {"columns.answer": "category"}, [], ["role: target"]),
    "nothing to watch": (nothing, {"train.monitor": "answer.acuracy"}, [], ["train.monitor", 'did you mean "accuracy"']),
    "setting without a value": (nothing, {}, ["train.epochs"], ["--set train.epochs", "path=value"]),
    "setting of an unknown option": (nothing, {}, ["train.epoch=3"], ['unknown option "epoch"', 'did you mean "epochs"']),
    "setting of an unknown value": (nothing, {}, ["model.fusion=sum"], ["model.fusion", 'unknown fusion "sum"']),
    "setting with a wrong value": (nothing, {}, ["train.precision=fp31"], ["train.precision", "fp32"]),
    "setting through a number": (nothing, {}, ["train.epochs.x=3"], ["--set train.epochs.x=3", "not a section"]),
    "setting that is no YAML": (nothing, {}, ["train.epochs=[1"], ["--set train.epochs=[1", "YAML"]),
    "corrupt YAML": (text("columns: {text: text\ndata: ["), {}, [], ["recipe.yaml", "line ", "not valid YAML"]),
    "recipe that is a list": (text("- columns"), {}, [], ["recipe.yaml", "a recipe is a mapping"]),
    "empty recipe": (text(""), {}, [], ["recipe.yaml", "a recipe is a mapping"]),
    "recipe without data": (text("columns: {a: text, b: {modality: category, role: target}}"), {}, [], ["data", "required"]),
    "recipe that is no text": (lambda folder: (folder / "recipe.yaml").write_bytes(b"\xff\xfe\x00"), {}, [], ["recipe.yaml", "read"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_before_training(work: Path, here: Here, mistake: str) -> None:
    spoil, changes, settings, expected = MISTAKES[mistake]
    write_recipe(work / "recipe.yaml", changes)
    spoil(work)
    before = files(work)
    words = [word for setting in settings for word in ("--set", setting)]
    line = here(work, "train", "recipe.yaml", "--out", "run", *words).line
    for word in expected:
        assert word in line, line
    assert " at 0x" not in line, "an address in memory says nothing to a user"
    assert no_leftovers(work)
    made = {name for name in files(work) if name not in before}
    assert not {name for name in made if name.startswith("run/")}, "a run that never began is there"
    assert not prepared(made) or mistake == "target with one class"
    assert {name: known for name, known in files(work).items() if name in before} == before


def test_a_mistake_that_was_mended_does_not_stand_in_the_way(work: Path, here: Here) -> None:
    one_class(work)
    assert "at least two" in here(work, "train", "recipe.yaml", "--out", "run").line
    write_rows(work / "rows.csv", colour_rows(work, 60))
    ended = here(work, "train", "recipe.yaml", "--out", "run")
    assert ended.code == 0, ended.err


def test_a_process_of_its_own_ends_with_one_line_too(work: Path) -> None:
    spoil_picture(work)
    write_recipe(work / "recipe.yaml", STRICT)
    assert "row 7, column picture: torn.png" in start("train", "recipe.yaml", "--out", "run", cwd=work).line
    assert no_leftovers(work)


def test_bad_pictures_are_set_aside_with_the_reason(work: Path, here: Here) -> None:
    spoil_picture(work)
    ended = here(work, "prepare", "recipe.yaml")
    assert ended.code == 0, ended.err
    assert "59 rows" in ended.out
    assert "1 rows set aside" in ended.out
    with next(work.rglob("quarantine.csv")).open(newline="", encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    names = ("source", "row", "column", "value")
    assert [tuple(fault[name] for name in names) for fault in listed] == [("rows.csv", "7", "picture", "torn.png")]
    assert listed[0]["reason"].startswith("not a readable image")


def test_too_many_bad_pictures_stop_all_the_same(work: Path, here: Here) -> None:
    rows = colour_rows(work, 60)
    for row in rows[:10]:
        row["picture"] = "lost.png"
    write_rows(work / "rows.csv", rows)
    line = here(work, "prepare", "recipe.yaml").line
    assert "data.quarantine_share: 10 of 60 rows are bad" in line
    assert "row 1, column picture" in line
    assert not prepared(files(work))


@pytest.mark.parametrize("verb", ["train", "prepare"])
def test_a_recipe_that_is_missing_or_a_folder(work: Path, here: Here, verb: str) -> None:
    words = ["--out", "run"] if verb == "train" else []
    assert "nowhere.yaml: no such recipe; make one with `omnifuse init DATA`" in here(work, verb, "nowhere.yaml", *words).line
    (work / "folder").mkdir()
    line = here(work, verb, "folder", *words).line
    assert "folder: cannot be read" in line
    assert "is a directory" in line.lower()


def test_a_run_that_is_already_there_is_left_alone(job: Job, work: Path, here: Here) -> None:
    shutil.copytree(job.folder / "runs" / "one", work / "run")
    before = files(work / "run")
    line = here(work, "train", "recipe.yaml", "--out", "run").line
    assert "run: already holds a run; go on with it by --resume, or choose another --out" in line
    assert files(work / "run") == before


def test_resuming_another_run_names_what_differs(job: Job, work: Path, here: Here) -> None:
    shutil.copytree(job.folder / "runs" / "one", work / "run")
    before = files(work / "run")
    line = here(work, "train", "recipe.yaml", "--out", "run", "--resume").line
    assert "run: holds a run with " in line
    assert files(work / "run") == before


def test_a_folder_with_other_files_is_left_alone(work: Path, here: Here) -> None:
    (work / "run").mkdir()
    (work / "run" / "letters.txt").write_text("mine", encoding="utf-8")
    for more in ([], ["--resume"]):
        assert "run: holds files that are not a run" in here(work, "train", "recipe.yaml", "--out", "run", *more).line
    assert "rows.csv: is a file" in here(work, "train", "recipe.yaml", "--out", "rows.csv").line
    assert list(files(work / "run")) == ["letters.txt"]


def test_init_mistakes(work: Path, here: Here) -> None:
    before = files(work)
    assert "row.csv: no such file; this folder holds rows.csv" in here(work, "init", "row.csv", "--out", "new.yaml").line
    line = here(work, "init", "rows.csv", "--target", "anwser", "--out", "new.yaml").line
    assert 'unknown column "anwser"; did you mean "answer"' in line
    assert "recipe.yaml: is already there" in here(work, "init", "rows.csv", "--target", "answer").line
    (work / "empty.csv").touch()
    assert "empty.csv: the file is empty" in here(work, "init", "empty.csv", "--out", "new.yaml").line
    (work / "empty.csv").write_text("a,b\n", encoding="utf-8")
    assert "empty.csv: holds no rows" in here(work, "init", "empty.csv", "--target", "a", "--out", "new.yaml").line
    (work / "empty.csv").unlink()
    write_rows(work / "two.csv", [{"colour": "red", "shape": "round"}])
    assert "--target NAME (columns: colour, shape)" in here(work, "init", "two.csv", "--out", "new.yaml").line
    (work / "two.csv").unlink()
    assert files(work) == before


def test_evaluate_mistakes(job: Job, work: Path, here: Here) -> None:
    run = job.folder / "runs" / "one"
    before = files(run)
    assert "nowhere/config.json: there is no trained run here" in here(work, "evaluate", "nowhere").line
    assert 'unknown split "tset"; did you mean "test"' in here(work, "evaluate", run, "--split", "tset").line
    assert "new.csv: no such file" in here(work, "evaluate", run, "--data", "new.csv").line
    write_rows(work / "new.csv", [{"picture": "red-0.png", "anwser": "yes"}])
    assert "unknown column" in here(work, "evaluate", run, "--data", "new.csv").line
    assert files(run) == before


def test_evaluating_a_run_whose_dataset_is_gone_says_so(job: Job, work: Path, here: Here) -> None:
    shutil.copytree(job.folder / "runs" / "one", work / "run")
    config = json.loads((work / "run" / "config.json").read_text(encoding="utf-8"))
    config["dataset"] = str(work / "gone")
    (work / "run" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert f"{work / 'gone'}" in here(work, "evaluate", "run").line


def test_predict_mistakes(job: Job, here: Here) -> None:
    before = files(job.folder)
    for words, expected in (
        (["new.csv", "--out", "answers.xlsx"], "--out answers.xlsx: name a file that ends in .csv, .jsonl, .parquet"),
        (["new.csv"], "add --out NAME, ending in .csv, .jsonl, .parquet"),
        ([], "give a table of rows, or one row by --input COLUMN=VALUE"),
        (["new.csv", "--out", "a.csv", "--input", "size=1"], "give a table of rows, or one row by --input COLUMN=VALUE"),
        (["nwe.csv", "--out", "a.csv"], "nwe.csv: no such file; this folder holds"),
        (["--input", "qestion=is it red?"], 'the model has no column "qestion"'),
        (["--input", "question"], "--input question: write it as COLUMN=VALUE"),
        (["--input", "=red"], "--input =red: write it as COLUMN=VALUE"),
        (["--input", "picture=nowhere.png"], "column picture: nowhere.png: no such file"),
        (["--input", "picture=new.csv"], "column picture"),
        (["--input", "size=large"], "column size"),
    ):
        line = here(job.folder, "predict", "runs/one", *words).line
        assert expected in line, line
        assert " at 0x" not in line, line
    assert files(job.folder) == before


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_without_rows_is_answered_with_the_head_of_others(job: Job, here: Here, tmp_path: Path, ending: str) -> None:
    head, first, *_ = (job.folder / "new.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "none.csv").write_text(f"{head}\n", encoding="utf-8")
    (tmp_path / "one.csv").write_text(f"{head}\n{first}\n", encoding="utf-8")
    for name in ("none", "one"):
        asked = [tmp_path / f"{name}.csv", "--root", job.folder, "--probabilities", "--out", tmp_path / f"{name}-answers.{ending}"]
        ended = here(job.folder, "predict", "runs/one", *asked)
        assert ended.code == 0, ended.err
    none, one = (read_table(tmp_path / f"{name}-answers.{ending}") for name in ("none", "one"))
    assert none.column_names == one.column_names
    assert none.types == one.types
    assert {"predicted_answer", "predicted_answer_probability", "predicted_answer_probabilities"} <= set(none.column_names)
    assert list(iterate_rows(none)) == []


def test_predicting_a_table_with_a_bad_picture_leaves_the_old_answers(job: Job, work: Path, here: Here) -> None:
    rows = colour_rows(work, 12)
    rows[8]["picture"] = "lost.png"
    write_rows(work / "asked.csv", rows)
    (work / "answers.csv").write_text("what was there before\n", encoding="utf-8")
    line = here(work, "predict", job.folder / "runs" / "one", "asked.csv", "--out", "answers.csv").line
    assert "row 9, column picture: lost.png: no such file" in line
    assert (work / "answers.csv").read_text(encoding="utf-8") == "what was there before\n"
    assert no_leftovers(work)


def test_a_place_that_cannot_be_written(job: Job, work: Path, here: Here) -> None:
    (work / "file").touch()
    line = here(work, "predict", job.folder / "runs" / "one", job.folder / "new.csv", "--out", "file/answers.csv").line
    assert "file/answers.csv: cannot be written" in line
    line = here(work, "train", "recipe.yaml", "--out", "file/run").line
    assert "file/run" in line


def test_an_unknown_demo_is_named_and_a_foreign_folder_left_alone(work: Path, here: Here) -> None:
    assert 'unknown demo "easy_vaq"; did you mean "easy_vqa"' in here(work, "demo", "easy_vaq", "--out", "run").line
    before = files(work)
    line = here(work, "demo", "--out", work).line
    assert "holds something that is not a demo" in line
    assert files(work) == before
    assert not Path(f"{work}-data").exists()
