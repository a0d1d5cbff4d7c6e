"""The demo, cut short: from nothing to a report, again and again, and never over somebody else's files."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.e2e.conftest import offline

pytestmark = pytest.mark.skipif(find_spec("easy_vqa") is None, reason="the demo needs the package easy-vqa")
TWICE = """
import sys
from omnifuse.cli.main import main

for turn in range(2):
    sys.argv = ["omnifuse", "demo", "--out", "runs/demo", "--set", "train.epochs=0.05", "--set", "train.tracking=[]"]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, turn
"""
FOREIGN = """
import sys
from omnifuse.cli.main import main

sys.argv = ["omnifuse", "demo", "--out", "mine"]
main()
"""


def test_the_demo_works_offline_twice_in_a_row(tmp_path: Path) -> None:
    ended = offline(TWICE, tmp_path, timeout=280)
    assert ended.returncode == 0, ended.stderr
    run = tmp_path / "runs" / "demo"
    out = ended.stdout
    for step in ("1. prepare", "2. train", "3. evaluate", "4. use"):
        assert out.count(step) == 2, step
    assert "48,248 rows" in out
    assert "5,000 different media files" in out
    assert "answer (9,673 rows, test): accuracy" in out
    assert f"Report: {(run / 'report.html').resolve()}" in out
    assert (run / "report.html").stat().st_size > 0
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["test"]["answer"]
    assert 0 <= metrics["accuracy"] <= 1
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"demo", "demo-data"}
    calls = tmp_path / "calls.txt"
    assert not calls.exists(), calls.read_text(encoding="utf-8")


@pytest.mark.parametrize("content", ["letters.txt", "run.json"])
def test_the_demo_refuses_a_folder_that_is_not_its_own(tmp_path: Path, content: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / content).write_text('{"recipe": {"name": "reviews"}}', encoding="utf-8")
    ended = offline(FOREIGN, tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.strip() == "omnifuse: mine: holds something that is not a demo; choose another --out"
    assert (tmp_path / "mine" / content).exists()
    assert not (tmp_path / "mine-data").exists()
