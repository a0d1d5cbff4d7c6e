"""`omnifuse evaluate` with several runs, against another, by columns, and with damage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Ended, Job, write_rows
from tests.conftest import colour_rows

Here = Callable[..., Ended]
SMALL = [word for pair in ("model.dim=16", "train.batch_size=32", "train.epochs=1", "seed=1") for word in ("--set", pair)]


def details(run: Path, name: str = "evaluation.json") -> dict[str, Any]:
    return json.loads((run / name).read_text(encoding="utf-8"))


@pytest.fixture
def runs(job: Job, here: Here) -> list[Path]:
    """The run of the job, and another of the same data."""
    folders = [job.folder / "runs" / "one", job.folder / "runs" / "two"]
    if not folders[1].exists():
        shutil.copytree(folders[0], folders[1])
    return folders


def test_one_run_against_another(job: Job, here: Here, runs: list[Path]) -> None:
    ended = here(job.folder, "evaluate", "runs/one", "--against", "runs/two")
    assert ended.code == 0, ended.err
    found = details(runs[0])["against"]["answer"]
    accuracy = found["metrics"]["accuracy"]
    assert accuracy["difference"] == pytest.approx(accuracy["ours"] - accuracy["theirs"])
    assert accuracy["interval"][0] <= accuracy["difference"] <= accuracy["interval"][1]
    assert found["names"] == ["one", "two"] and found["runs"] == [1, 1]
    [sentence] = found["sentences"]
    assert sentence in ended.out
    page = (runs[0] / "report.html").read_text(encoding="utf-8")
    assert "Against two" in page and sentence.split(":")[0] in page


def test_a_run_against_itself_is_no_different(job: Job, here: Here) -> None:
    ended = here(job.folder, "evaluate", "runs/one", "--against", "runs/one")
    assert "one and one cannot be told apart" in ended.out


def test_several_seeds_have_an_interval_over_seeds(job: Job, here: Here, runs: list[Path]) -> None:
    shutil.rmtree(runs[1])
    assert here(job.folder, "train", "recipe.yaml", "--out", "runs/two", *SMALL[:-2], "--set", "train.optimizer.lr=0.0001").code == 0
    ended = here(job.folder, "evaluate", "runs/one", "runs/two", "--against", "runs/two", "--against", "runs/one")
    assert ended.code == 0, ended.err
    seeds = details(runs[0])["seeds"]["answer"]["accuracy"]
    assert len(seeds["values"]) == 2 and seeds["mean"] == pytest.approx(sum(seeds["values"]) / 2)
    assert seeds["interval"][0] <= seeds["mean"] <= seeds["interval"][1]
    assert "over 2 seeds" in ended.out
    assert "over_seeds" in details(runs[0])["against"]["answer"]


def test_by_columns_and_with_damage(job: Job, here: Here, runs: list[Path]) -> None:
    ended = here(job.folder, "evaluate", "runs/two", "--by", "shop", "--robustness")
    assert ended.code == 0, ended.err
    found = details(runs[1])
    assert "shop" in json.dumps(found["groups"]["answer"])
    assert found["robustness"]["answer"]["columns"].keys() >= {"picture", "question"}
    page = (runs[1] / "report.html").read_text(encoding="utf-8")
    assert "Does it hold?" in page and "shop" in page


def test_an_unknown_column_to_tell_by_is_named_with_the_nearest(job: Job, here: Here) -> None:
    assert 'did you mean "shop"' in here(job.folder, "evaluate", "runs/one", "--by", "shpo").line


def test_new_rows_are_compared_with_the_training_rows(job: Job, here: Here, runs: list[Path]) -> None:
    rows = [{**row, "size": row["size"] + 1000} for row in colour_rows(job.folder, 150, seed=5)]
    write_rows(job.folder / "january.csv", rows)
    ended = here(job.folder, "evaluate", "runs/one", "--data", "january.csv")
    assert ended.code == 0, ended.err
    found = details(runs[0], "evaluation-january.csv.json")["drift"]
    assert found["columns"]["size"]["verdict"] == "drifted"
    assert any("size" in line and "drift" in line for line in found["sentences"])
    assert "New rows" in (runs[0] / "report-january.csv.html").read_text(encoding="utf-8")
    assert "calibration" in details(runs[0], "evaluation-january.csv.json"), "what the run has learned of its confidence is used"


def test_the_report_is_there_as_markdown_too(job: Job, runs: list[Path]) -> None:
    text = (runs[0] / "report.md").read_text(encoding="utf-8")
    metrics = json.loads((runs[0] / "metrics.json").read_text(encoding="utf-8"))
    assert f"| accuracy | {metrics['test']['answer']['accuracy']:.3f} |" in text
    assert "| picture + question" in text
    assert set(metrics) >= {"test", "validation"}


def test_runs_of_other_rows_cannot_be_compared(job: Job, here: Here) -> None:
    other = job.folder / "elsewhere"
    shutil.copytree(job.folder, other, ignore=shutil.ignore_patterns("*.dataset", "runs", "elsewhere"))
    write_rows(other / "rows.csv", colour_rows(other, 60, seed=9))
    assert here(other, "train", "recipe.yaml", "--out", "runs/three", *SMALL).code == 0
    line = here(job.folder, "evaluate", "runs/one", "--against", "elsewhere/runs/three").line
    assert "the runs have no test row in common" in line


def test_options_that_would_do_nothing_are_told(job: Job, here: Here, runs: list[Path]) -> None:
    assert "--root is the folder of media in --data TABLE" in here(job.folder, "evaluate", "runs/one", "--root", ".").line
    line = here(job.folder, "evaluate", "runs/one", "--data", "rows.csv", "--split", "train").line
    assert "give --data TABLE or a --split of the run's own dataset, not both" in line


def test_a_table_without_rows_cannot_be_explained(job: Job, here: Here, runs: list[Path]) -> None:
    (job.folder / "empty.csv").write_text("picture,question,size,shop,answer\n", encoding="utf-8")
    assert "empty.csv: holds no row; there is nothing to explain" in here(job.folder, "explain", "runs/one", "empty.csv").line
