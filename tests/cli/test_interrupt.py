"""Ctrl-C stops a training cleanly, and it goes on with --resume."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import MAIN, Ended, environment, no_leftovers, start


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_an_interrupted_training_exits_130_with_one_line_and_is_resumed(work: Path) -> None:
    words = ["train", "recipe.yaml", "--out", "run", "--set", "train.epochs=60", "--set", "train.batch_size=8"]
    process = subprocess.Popen([*MAIN, *words], cwd=work, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not list(work.glob("run/checkpoints/step-*")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    ended = Ended(process.returncode, out, err)
    assert ended.code == 130, (out, err)
    assert ended.line == "omnifuse: stopped; a training goes on with --resume"
    assert not (work / "run" / "config.json").exists()

    assert "already holds a run; go on with it by --resume" in start(*words, cwd=work).line
    stopped = max(int(path.name.removeprefix("step-")) for path in work.glob("run/checkpoints/step-*"))
    resumed = start(*words, "--resume", cwd=work)
    assert resumed.code == 0, resumed.err
    assert f"going on after step {stopped:,} of" in resumed.out
    trained = json.loads((work / "run" / "config.json").read_text(encoding="utf-8"))["trained"]
    assert trained["epochs"] >= 60
    assert no_leftovers(work)
