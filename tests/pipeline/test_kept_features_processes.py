"""Features are kept by processes that are killed, and by several at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from safetensors.torch import load_file

from omnifuse.train.fit import prepare_recipe, train
from omnifuse.train.recipe import Recipe
from tests.pipeline.frozen_run import equal_weights, recipe

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def command(folder: Path, run: str, *more: str) -> subprocess.Popen[bytes]:
    """`omnifuse train` in a process of its own, with one thread: another number of threads may give other last bits."""
    script = "from omnifuse.cli.main import main; main()"
    arguments = ["train", str(folder / "recipe.yaml"), "--out", str(folder / run), "--set", "train.checkpoint_steps=1", *more]
    return subprocess.Popen([sys.executable, "-c", script, *arguments], env=ENVIRONMENT, stdout=subprocess.DEVNULL)


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole = recipe(tmp_path)
    (tmp_path / "recipe.yaml").write_text(json.dumps(whole.dump()))
    assert command(tmp_path, "whole").wait() == 0
    for path in (prepare_recipe(whole, tmp_path).store / "features").rglob("*.safetensors"):
        path.unlink()
    process = command(tmp_path, "killed")
    deadline = time.monotonic() + 50
    while not list((tmp_path / "killed" / "checkpoints").glob("step-*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "killed in the middle of its work"
    assert command(tmp_path, "killed", "--resume").wait() == 0
    assert equal_weights(tmp_path / "whole", tmp_path / "killed")


def test_two_ranks_share_what_they_keep(tmp_path: Path) -> None:
    whole = recipe(tmp_path).dump()
    (tmp_path / "recipe.yaml").write_text(json.dumps(whole))
    (tmp_path / "main.py").write_text("from omnifuse.cli.main import main; main()")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(tmp_path / "main.py")]
    done = subprocess.run(
        [*launcher, "train", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "two")],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    dataset = prepare_recipe(Recipe.make(whole), tmp_path)
    files = list((dataset.store / "features").rglob("*.safetensors"))
    assert len(files) >= 4, "each rank writes files of its own for two networks"
    before = set(files)
    train(Recipe.make(whole), tmp_path / "one", base=tmp_path)
    assert set((dataset.store / "features").rglob("*.safetensors")) == before, "one rank finds all that the two have kept"
    first, second = load_file(tmp_path / "one" / "model.safetensors"), load_file(tmp_path / "two" / "model.safetensors")
    assert max(float((first[name] - second[name]).abs().max()) for name in first) < 1e-4
