"""What users wrote is shown as it stands, and answers and figures never take the place of other ones."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Ended


def _table(path: Path, rows: int = 60) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["[/x]", "size", "price $", "listed", "same", "zip", "y"])
        for i in range(rows):
            writer.writerow(
                [f"[red]{i % 3}", i % 7, f"${1000 + i:,}.50", f"2024-01-{i % 28 + 1:02d}", "all", f"0{i % 40:04d}", f"[/{i % 2}]"]
            )
    return path


def test_brackets_are_shown_and_odd_columns_are_explained(tmp_path: Path, here: Callable[..., Ended]) -> None:
    _table(tmp_path / "t.csv")
    ended = here(tmp_path, "init", "t.csv", "--target", "y")
    assert ended.code == 0, ended.err
    assert "[/x]" in ended.out
    recipe = (tmp_path / "recipe.yaml").read_text(encoding="utf-8")
    for name, why in (("price $", "numbers written as"), ("listed", "dates such as"), ("same", "the same value in every row")):
        assert why in next(line for line in recipe.splitlines() if line.strip().startswith(name)), name
    assert "codes with leading zeros" in recipe


def test_a_run_is_judged_on_another_table_beside_its_own_test_split(tmp_path: Path, here: Callable[..., Ended]) -> None:
    _table(tmp_path / "test.csv")
    assert here(tmp_path, "init", "test.csv", "--target", "y").code == 0
    assert here(tmp_path, "train", "recipe.yaml", "--out", "run", "--set", "train.epochs=1").code == 0
    ended = here(tmp_path, "evaluate", "run")
    assert ended.code == 0, ended.err
    assert "always answering [/" in ended.out
    first, page = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"], (tmp_path / "run" / "report.html").read_bytes()
    assert here(tmp_path, "evaluate", "run", "--data", "test.csv").code == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["test"] == first
    assert set(metrics) == {"test", "validation", "test.csv"}
    assert "test.csv" in metrics
    assert (tmp_path / "run" / "report.html").read_bytes() == page
    assert (tmp_path / "run" / "report-test.csv.html").exists()

    assert here(tmp_path, "predict", "run", "test.csv", "--out", "answers.csv").code == 0
    again = here(tmp_path, "predict", "run", "answers.csv", "--out", "more.csv")
    assert again.code == 1
    assert "predicted_y" in again.err
    onto = here(tmp_path, "predict", "run", "test.csv", "--out", "test.csv")
    assert onto.code == 1
    assert "is the table of rows itself" in onto.err
