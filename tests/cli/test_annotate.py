"""`omnifuse annotate`, as a user goes through it: choose rows, label them, bring labels back, doubt them."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Ended, Job, write_recipe, write_rows
from tests.conftest import colour_rows

Here = Callable[..., Ended]
RULES = """\
column: answer
rules:
  - {when: question, contains: red, label: "yes"}
  - {when: shop, equals: north, label: "no"}
"""


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def label_all(tasks: Path, export: Path, answers: dict[str, Callable[[dict[str, Any]], str]]) -> None:
    """What Label Studio would export when each annotator answers every task."""
    exported = []
    for number, task in enumerate(json.loads((tasks / "tasks.json").read_text())):
        annotations = []
        for who, answer in answers.items():
            result = [{"from_name": "answer", "to_name": "omnifuse_id", "type": "choices", "value": {"choices": [answer(task["data"])]}}]
            annotations.append({"completed_by": {"email": who}, "was_cancelled": False, "ground_truth": False, "result": result})
        exported.append({"id": number, "data": task["data"], "annotations": annotations})
    export.write_text(json.dumps(exported))


def test_from_unlabelled_rows_to_labels(job: Job, here: Here, tmp_path: Path):
    """next → export with suggestions → annotations → import → combine."""
    rows = [{k: v for k, v in row.items() if k not in ("answer", "price")} for row in colour_rows(job.folder, 40, seed=9)]
    write_rows(job.folder / "unlabelled.csv", rows)
    ended = here(job.folder, "annotate", "next", "runs/one", "unlabelled.csv", "--count", 8, "--out", tmp_path / "next")
    assert ended.code == 0, ended.err
    chosen = read(tmp_path / "next" / "next.csv")
    assert len(chosen) == 8
    assert "Report:" in ended.out

    words = ["export", "recipe.yaml", "--table", "unlabelled.csv", "--rows", tmp_path / "next" / "next.csv", "--run", "runs/one"]
    ended = here(job.folder, "annotate", *words, "--out", tmp_path / "tasks")
    assert ended.code == 0, ended.err
    assert "8 tasks about answer" in ended.out
    assert "8 suggestions" in ended.out
    tasks = json.loads((tmp_path / "tasks" / "tasks.json").read_text())
    assert {task["data"]["omnifuse_id"] for task in tasks} == {row["id"] for row in chosen}
    by_id = {row["id"]: row for row in chosen}
    for task in tasks:
        prediction = task["predictions"][0]
        assert prediction["model_version"] == "one"
        assert prediction["result"][0]["value"]["choices"] == [by_id[task["data"]["omnifuse_id"]]["predicted_answer"]]

    truth = lambda data: "yes" if len(data["question"]) % 2 else "no"  # noqa: E731
    label_all(tmp_path / "tasks", tmp_path / "export.json", {"ann@x.org": truth, "bob@x.org": truth, "wild@x.org": lambda data: "no"})
    ended = here(job.folder, "annotate", "import", tmp_path / "export.json", "--tasks", tmp_path / "tasks", "--out", tmp_path / "votes")
    assert ended.code == 0, ended.err
    assert "24 answers about 8 of 8 rows" in ended.out
    assert "Krippendorff" in ended.out
    assert len(read(tmp_path / "votes" / "votes.csv")) == 24

    votes = tmp_path / "votes" / "votes.csv"
    ended = here(
        job.folder, "annotate", "combine", votes, "--method", "majority", "--tasks", tmp_path / "tasks", "--out", tmp_path / "done"
    )
    assert ended.code == 0, ended.err
    labels = {row["id"]: row for row in read(tmp_path / "done" / "labels.csv")}
    for task in tasks:
        row = labels[task["data"]["omnifuse_id"]]
        assert row["answer"] == truth(task["data"])
        assert row["question"] == task["data"]["question"], "the row stands beside its label, ready to be a table of its own"
    people = read(tmp_path / "done" / "annotators.csv")
    assert people[-1]["annotator"] == "wild@x.org"

    ended = here(job.folder, "annotate", "agreement", votes, "--out", tmp_path / "agreement")
    assert ended.code == 0, ended.err
    assert (tmp_path / "agreement" / "report.html").exists()


@pytest.mark.parametrize("dataset", ["gone", "older"])
def test_a_table_needs_no_dataset_and_may_have_columns_called_like_ours(job: Job, here: Here, tmp_path: Path, dataset: str):
    """next → export, for a run whose dataset is no longer there, or was written in an older format."""
    shutil.copytree(job.folder / "runs" / "one", tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["dataset"] = str(tmp_path / dataset)
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "manifest.json").write_text('{"format": 1}')
    rows = [{**row, "order": i, "distance": "far"} for i, row in enumerate(colour_rows(tmp_path, 20, seed=9))]
    write_rows(tmp_path / "rows.csv", rows)
    ended = here(tmp_path, "annotate", "next", "run", "rows.csv", "--count", 4, "--out", "next")
    assert ended.code == 0, ended.err
    ended = here(
        tmp_path, "annotate", "export", "run", "--table", "rows.csv", "--rows", "next/next.csv", "--label", "yes", "--out", "tasks"
    )
    assert ended.code == 0, ended.err
    assert "4 tasks about answer" in ended.out
    line = here(tmp_path, "annotate", "export", "run", "--out", "more").line
    assert ("give the rows by --table" if dataset == "gone" else "prepare it again") in line


def test_rows_of_a_dataset_are_exported_with_a_limit(job: Job, here: Here, tmp_path: Path):
    settings = [job.folder / "runs" / "one", "--limit", 5, "--inline", "--out", tmp_path / "tasks"]
    ended = here(job.folder, "annotate", "export", *settings)
    assert ended.code == 0, ended.err
    assert "5 tasks about answer" in ended.out
    assert "5 suggestions" in ended.out


def test_a_project_without_any_label_can_begin(here: Here, tmp_path: Path):
    """A recipe and a table without the target: the labels are named on the command line."""
    rows = [{k: v for k, v in row.items() if k not in ("answer", "price")} for row in colour_rows(tmp_path, 10)]
    write_rows(tmp_path / "rows.csv", rows)
    write_recipe(tmp_path / "recipe.yaml")
    export = ["annotate", "export", "recipe.yaml", "--table", "rows.csv", "--out", "tasks"]
    assert "no label is known to choose from" in here(tmp_path, *export).err
    ended = here(tmp_path, *export, "--label", "yes", "--label", "no")
    assert ended.code == 0, ended.err
    assert (tmp_path / "tasks" / "labeling_config.xml").read_text().count("<Choice ") == 2


def test_rules_label_a_table(here: Here, work: Path):
    (work / "rules.yaml").write_text(RULES)
    ended = here(work, "annotate", "rules", "rules.yaml", "rows.csv", "--method", "majority", "--out", "by-rules")
    assert ended.code == 0, ended.err
    assert "question contains red: votes on" in ended.out
    labels = read(work / "by-rules" / "labels.csv")
    assert {row["answer"] for row in labels} == {"yes", "no"}
    assert all(row["answer"] == "no" for row in labels if row["shop"] == "north" and "red" not in row["question"])


def test_likely_errors_are_listed_and_a_second_call_trains_nothing(here: Here, work: Path):
    pytest.importorskip("cleanlab")
    words = ["annotate", "errors", "recipe.yaml", "--folds", 2, "--set", "train.epochs=1", "--out", "doubts"]
    ended = here(work, *words)
    assert ended.code == 0, ended.err
    assert "of 60 labels are likely wrong" in ended.out
    first = (work / "doubts" / "label_errors.csv").read_text()
    again = here(work, *words)
    assert again.code == 0, again.err
    assert "training on" in ended.out
    assert "training on" not in again.out
    assert (work / "doubts" / "label_errors.csv").read_text() == first


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "nothing.yaml", "--out", "o"], "is no recipe"),
        (["export", "recipe.yaml", "--column", "answr", "--out", "o"], 'did you mean "answer"'),
        (["import", "nothing.json", "--tasks", "t", "--out", "o"], "there is no folder of"),
        (["combine", "rows.csv", "--out", "o"], 'unknown column of votes "id"'),
        (["combine", "votes.csv", "--method", "majorty", "--out", "o"], 'did you mean "majority"'),
        (["combine", "votes.csv", "--kind", "numbr", "--out", "o"], 'did you mean "number"'),
        (["agreement", "votes.csv", "--column", "lable", "--out", "o"], 'did you mean "label"'),
        (["agreement", "votes.csv", "--out", "full"], "choose another --out"),
        (["rules", "no.yaml", "rows.csv", "--out", "o"], "no such file of rules"),
        (["errors", "recipe.yaml", "--folds", "90", "--out", "o"], "--folds: 90 folds cannot be cut"),
        (["next", "runs/none", "rows.csv", "--out", "o"], "is no recipe, no prepared dataset"),
    ],
)
def test_mistakes_end_in_one_line(here: Here, work: Path, words: list[str], message: str):
    (work / "votes.csv").write_text("id,annotator,label\n1,ann,yes\n1,bob,no\n")
    (work / "full").mkdir()
    (work / "full" / "mine.txt").write_text("mine")
    assert message in here(work, "annotate", *words).line
    assert not (work / "o" / "report.html").exists()
