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


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole = recipe(tmp_path)
    train(whole, tmp_path / "whole", base=tmp_path)
    store = prepare_recipe(whole, tmp_path).store
    for path in (store / "features").rglob("*.safetensors"):
        path.unlink()
    (tmp_path / "recipe.yaml").write_text(json.dumps({**whole.dump(), "data": {**whole.dump()["data"], "source": "rows.jsonl"}}))
    script = "from omnifuse.cli.main import main; main()"
    arguments = ["train", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "killed"), "--set", "train.checkpoint_steps=1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 50
    while not list((tmp_path / "killed" / "checkpoints").glob("step-*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = Recipe.make({**whole.dump(), "train": {**whole.dump()["train"], "checkpoint_steps": 1}})
    train(again, tmp_path / "killed", base=tmp_path, resume=True)
    assert equal_weights(tmp_path / "whole", tmp_path / "killed")


def test_two_ranks_share_what_they_keep(tmp_path: Path) -> None:
    whole = recipe(tmp_path).dump()
    (tmp_path / "recipe.yaml").write_text(json.dumps(whole))
    (tmp_path / "main.py").write_text("from omnifuse.cli.main import main; main()")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(tmp_path / "main.py")]
    done = subprocess.run(
        [*launcher, "train", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "two")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
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
