"""The whole job on the command line: init → prepare → train → evaluate → predict."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.cli.conftest import Ended, Job, files, no_leftovers, write_rows
from tests.conftest import colour_rows

Here = Callable[..., Ended]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_step_ends_well_and_says_nothing_on_stderr(job: Job) -> None:
    for name, step in job.steps.items():
        assert step.code == 0, (name, step.err)
        assert step.err == "", name
        assert "Traceback" not in step.out
    assert no_leftovers(job.folder)


def test_init_shows_and_writes_what_it_inferred(job: Job) -> None:
    recipe = yaml.safe_load((job.folder / "recipe.yaml").read_text(encoding="utf-8"))
    roles = {name: value if isinstance(value, str) else (value["modality"], value["role"]) for name, value in recipe["columns"].items()}
    assert roles == {
        "picture": "image",
        "question": "category",
        "size": "number",
        "shop": "category",
        "answer": ("category", "target"),
        "price": "number",
    }
    assert recipe["data"]["source"] == "rows.csv"
    out = job.steps["init"].out
    assert all(name in out for name in roles)
    assert "omnifuse train recipe.yaml --out" in out


def test_prepare_counts_rows_splits_absences_and_pictures(job: Job) -> None:
    out = job.steps["prepare"].out
    assert "96 rows: train " in out
    assert "12 different media files" in out
    assert "absent: picture " in out
    manifests = list(job.folder.glob("*.dataset/*/manifest.json"))
    assert len(manifests) == 1  # `train` found it and made no other
    assert str(manifests[0].parent.name) in out


def test_train_says_what_comes_next_and_leaves_a_whole_run(job: Job) -> None:
    out = job.steps["train"].out
    assert re.search(r"epoch \d\.\d: validation loss \d\.\d+, answer accuracy \d\.\d+ ← best", out)
    assert "Next: omnifuse evaluate runs/one" in out
    names = {path.name for path in (job.folder / "runs" / "one").iterdir()}
    assert {"config.json", "model.safetensors", "processors.json", "run.json", "history.jsonl", "README.md", "checkpoints"} <= names


def test_evaluate_shows_figures_floor_and_shuffle_test(job: Job) -> None:
    run = job.folder / "runs" / "one"
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["test"]["answer"]
    out = job.steps["evaluate"].out
    assert f"accuracy {metrics['accuracy']:.4f}" in out
    assert "floor: always answering no gives accuracy" in out
    for column in ("picture", "question", "size", "shop", "price"):
        assert f"{column}: accuracy" in out
    assert "<html" in (run / "report.html").read_text(encoding="utf-8")
    assert "columns" in json.loads((run / "evaluation.json").read_text(encoding="utf-8"))["shuffle"]["answer"]


def test_predict_adds_answers_to_the_columns_of_the_table(job: Job) -> None:
    asked, answered = read_csv(job.folder / "new.csv"), read_csv(job.folder / "answers.csv")
    assert list(answered[0]) == [*asked[0], "predicted_answer", "predicted_answer_probability"]
    assert [{name: row[name] for name in asked[0]} for row in answered] == asked
    assert {row["predicted_answer"] for row in answered} <= {"yes", "no"}
    assert all(0.5 <= float(row["predicted_answer_probability"]) <= 1 for row in answered)
    assert "Wrote 10 rows to answers.csv" in job.steps["predict"].out


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_every_ending_holds_the_same_answers(job: Job, here: Here, ending: str) -> None:
    out = job.folder / f"again{ending}"
    assert here(job.folder, "predict", "runs/one", "new.csv", "--out", out, "--probabilities").code == 0
    reference = read_csv(job.folder / "answers.csv")
    if ending == ".parquet":
        rows = pq.read_table(out).to_pylist()
    elif ending == ".jsonl":
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    else:
        rows = [{**row, "predicted_answer_probabilities": json.loads(row["predicted_answer_probabilities"])} for row in read_csv(out)]
    assert [row["note"] for row in rows] == [row["note"] for row in reference]
    assert [row["predicted_answer"] for row in rows] == [row["predicted_answer"] for row in reference]
    for row, expected in zip(rows, reference, strict=True):
        assert float(row["predicted_answer_probability"]) == pytest.approx(float(expected["predicted_answer_probability"]), abs=1e-6)
        assert sum(row["predicted_answer_probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_one_row_is_answered_as_json(job: Job, here: Here) -> None:
    inputs = ["--input", "picture=red-0.png", "--input", "question=is it red?", "-i", "size=10"]
    ended = here(job.folder, "predict", "runs/one", *inputs)
    assert (ended.code, ended.err) == (0, "")
    answer = json.loads(ended.out)
    assert set(answer) == {"answer", "answer_probability"}
    more = json.loads(here(job.folder, "predict", "runs/one", *inputs, "--probabilities").out)
    assert set(more["answer_probabilities"]) == {"yes", "no"}
    assert more["answer"] == answer["answer"]


def test_a_value_may_hold_an_equals_sign(job: Job, here: Here) -> None:
    ended = here(job.folder, "predict", "runs/one", "--input", "question=1+1=2?")
    assert ended.code == 0, ended.err


def test_a_table_without_rows_gives_a_table_without_answers_or_one_line(job: Job, here: Here) -> None:
    (job.folder / "none.csv").write_text("picture,question,size,shop\n", encoding="utf-8")
    ended = here(job.folder, "predict", "runs/one", "none.csv", "--out", "none-answered.csv")
    if ended.code:
        assert "none.csv" in ended.line
        assert not (job.folder / "none-answered.csv").exists()
    else:
        assert "0 rows" in ended.out


def test_another_table_is_evaluated_under_its_own_name(job: Job, here: Here) -> None:
    rows = colour_rows(job.folder, 30, seed=2)
    write_rows(job.folder / "later.csv", rows)
    before = json.loads((job.folder / "runs/one/metrics.json").read_text(encoding="utf-8"))
    ended = here(job.folder, "evaluate", "runs/one", "--data", "later.csv")
    assert ended.code == 0, ended.err
    assert "(30 rows, later.csv)" in ended.out
    after = json.loads((job.folder / "runs/one/metrics.json").read_text(encoding="utf-8"))
    assert after["test"] == before["test"]
    assert after["later.csv"]["answer"]["accuracy"] >= 0


def test_a_finished_run_is_resumed_without_training_again(job: Job, here: Here) -> None:
    settings = [word for pair in ("model.dim=16", "train.epochs=2", "train.batch_size=32") for word in ("--set", pair)]
    before = files(job.folder / "runs" / "one" / "checkpoints")
    ended = here(job.folder, "train", "recipe.yaml", "--out", "runs/one", "--resume", *settings)
    assert ended.code == 0, ended.err
    assert "already trained" in ended.out
    assert files(job.folder / "runs" / "one" / "checkpoints") == before


def test_a_run_works_from_another_folder_and_after_it_was_moved(job: Job, tmp_path: Path, here: Here) -> None:
    moved = tmp_path / "moved"
    (job.folder / "runs" / "one").rename(moved)
    try:
        ended = here(tmp_path, "predict", moved, "--input", f"picture={job.folder / 'red-0.png'}")
        assert ended.code == 0, ended.err
        ended = here(tmp_path, "evaluate", moved)
        assert ended.code == 0, ended.err
    finally:
        moved.rename(job.folder / "runs" / "one")


def test_init_without_a_target_takes_a_column_called_answer(job: Job, tmp_path: Path, here: Here) -> None:
    ended = here(tmp_path, "init", job.folder / "rows.csv", "--out", "found.yaml")
    assert ended.code == 0, ended.err
    assert yaml.safe_load((tmp_path / "found.yaml").read_text(encoding="utf-8"))["columns"]["answer"]["role"] == "target"
