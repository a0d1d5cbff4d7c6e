"""`omnifuse compare` as a user types it: what it says, and what it says of mistakes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from omnifuse.core.errors import OmnifuseError
from tests.cli.conftest import MAIN, Ended, environment, files, no_leftovers, start, write_recipe

SMALL = {
    "columns": {"size": "number", "shop": "category", "answer": {"modality": "category", "role": "target"}},
    "model": {"dim": 8, "fusion": "product"},
}
Here = Callable[..., Ended]


@pytest.fixture
def small(work: Path) -> Path:
    """The folder with a recipe of two small columns."""
    write_recipe(work / "recipe.yaml", SMALL)
    return work


def test_the_table_the_sentence_and_the_page_are_given(small: Path, here: Here, monkeypatch: pytest.MonkeyPatch):
    words = ("compare", "recipe.yaml", "--fusion", "concat,{name: low_rank, rank: 2}", "--seeds", 1, "--set", "train.epochs=1")
    ended = here(small, *words)
    assert ended.code == 0, ended.err
    assert "1 of 4: size alone, seed 0: validation answer accuracy" in ended.out
    assert "answer: accuracy on 12 test rows" in ended.out
    for name in ("size alone", "shop alone", "concat", "low_rank (rank 2)", "← best fusion", "← best single"):
        assert name in ended.out
    out = small / "runs" / f"compare-{small.name}"
    about = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    assert about["sentences"][0] in ended.out
    assert f"Report: runs/{out.name}/compare.html" in ended.out
    before = {name: stamp for name, stamp in files(small / "runs").items() if "runs/" in name}
    again = here(small, *words)
    assert again.code == 0, again.err
    assert "1 of 4" not in again.out, "nothing is trained a second time"
    assert about["sentences"][0] in again.out
    after = files(small / "runs")
    assert all(after[name] == stamp for name, stamp in before.items())
    assert no_leftovers(small)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fusion", "concta"], 'unknown fusion "concta"; did you mean "concat"'),
        (["--fusion", "{name: low_rank"], "write names with commas between them"),
        (["--encoder", "size"], "write it as COLUMN=NAME"),
        (["--encoder", "siez=mlp"], 'unknown input column "siez"; did you mean "size"'),
        (["--columns", "size,shpo"], 'unknown input column "shpo"; did you mean "shop"'),
        (["--columns", "size"], "name at least two input columns"),
        (["--out", "pictures"], "holds files that are not a comparison"),
        (["--set", "columns.shop.role=ignore"], "there is nothing to fuse"),
        (["--set", "train.epoch=3"], 'did you mean "epochs"'),
    ],
)
def test_a_mistake_is_told_in_one_line_before_anything_is_read(small: Path, here: Here, words: list[str], message: str):
    (small / "pictures").mkdir(exist_ok=True)
    (small / "pictures" / "photo.txt").write_text("mine")
    ended = here(small, "compare", "recipe.yaml", *words)
    assert message in ended.line
    assert not list(small.glob("*.dataset"))


def test_a_changed_recipe_is_refused(small: Path, here: Here):
    words = ("compare", "recipe.yaml", "--fusion", "concat", "--seeds", 1, "--out", "out", "--set")
    assert here(small, *words, "train.epochs=1").code == 0
    assert "holds a comparison with train.epochs = 1.0, now it is 2.0" in here(small, *words, "train.epochs=2").line


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_a_comparison_stopped_by_ctrl_c_goes_on_when_it_is_started_again(small: Path):
    words = ["compare", "recipe.yaml", "--fusion", "concat", "--seeds", "1", "--out", "out"]
    words += ["--set", "train.epochs=30", "--set", "train.batch_size=8"]
    process = subprocess.Popen([*MAIN, *words], cwd=small, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 200
        while not list(small.glob("out/runs/only-size-*/0/checkpoints/step-*")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    ended = Ended(process.returncode, out, err)
    assert ended.code == 130, (out, err)
    assert ended.line == "omnifuse: stopped; the comparison goes on when it is started again"
    again = start(*words, cwd=small)
    assert again.code == 0, again.err
    assert "size alone, seed 0: going on after step " in again.out
    assert "3 of 3: concat, seed 0: validation answer accuracy" in again.out
    assert no_leftovers(small)


def test_parts_with_options_are_read_as_yaml():
    from omnifuse.cli.compare import _parts

    assert _parts("concat, {name: low_rank, rank: 4}", "--fusion") == ["concat", {"name": "low_rank", "rank": 4}]
    with pytest.raises(OmnifuseError, match="write names with commas"):
        _parts("concat]", "--fusion")
