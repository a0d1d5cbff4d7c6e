"""Several ranks compute what one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import other_columns
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from training import COLUMNS, QUIET, colour_rows, furthest, weights_of, write_recipe

from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.train.fit import train
from omnifuse.train.recipe import Recipe

SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9}
SCRIPT = "from omnifuse.cli.main import main; main()"


def launch(folder: Path, *arguments: object, how: str = "torchrun") -> subprocess.CompletedProcess[str]:
    """Run a command on two CPU ranks, by `torchrun` or `accelerate launch`."""
    script = folder / "main.py"
    script.write_text(SCRIPT)
    if how == "torchrun":
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    else:
        launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
        launcher += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    command = [sys.executable, *launcher, str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env={**os.environ, **QUIET}, check=False)


def incomplete_rows(folder: Path) -> list[dict[str, Any]]:
    """Rows with pictures, missing values and missing targets."""
    rows = colour_rows(folder / "pictures", 80, absent=0.2)
    for row in rows[::5]:
        row["price"] = None
    for row in rows[1::6]:
        row["answer"] = None
    return rows


@pytest.mark.parametrize(
    ("how", "optimizer"), [("torchrun", SGD), ("accelerate", {"name": "adamw", "lr": 0.002})], ids=["torchrun-sgd", "accelerate-adamw"]
)
def test_two_ranks_end_with_the_weights_of_one(tmp_path: Path, how: str, optimizer: dict[str, Any]) -> None:
    path = write_recipe(tmp_path, incomplete_rows(tmp_path), epochs=3, optimizer=optimizer, checkpoint_steps=3)
    path.write_text(path.read_text().replace("dropout: 0.2", "dropout: 0.0"))  # its noise is drawn by rank
    train(Recipe.load(path), tmp_path / "one", base=tmp_path)
    both = launch(tmp_path, "train", path, "--out", tmp_path / "two", how=how)
    assert both.returncode == 0, both.stderr[-3000:]
    assert furthest(weights_of(tmp_path / "one"), weights_of(tmp_path / "two")) < 1e-4
    about = [json.loads((tmp_path / run / "config.json").read_text())["trained"] for run in ("one", "two")]
    assert [a["ranks"] for a in about] == [1, 2]
    assert about[0]["best_step"] == about[1]["best_step"]
    assert about[0]["best_score"] == pytest.approx(about[1]["best_score"], abs=1e-3)
    assert both.stdout.count("Trained:") == 1, "the first rank alone speaks"


def test_ranks_whose_batches_hold_different_columns_do_not_wait_for_each_other(tmp_path: Path) -> None:
    rows = colour_rows(tmp_path / "pictures", 60)
    for number, row in enumerate(rows):  # with a batch of two, each rank has one row: here a picture, there a text
        row["picture" if number % 2 else "question"] = None
        row["price" if number % 3 else "answer"] = None
    columns = {name: column for name, column in COLUMNS.items() if name not in ("size", "shop")}
    recipe = write_recipe(tmp_path, rows, columns=columns, epochs=1, batch_size=2, optimizer=SGD)
    both = launch(tmp_path, "train", recipe, "--out", tmp_path / "run")
    assert both.returncode == 0, both.stderr[-3000:]
    answers = Pipeline.load(tmp_path / "run").predict([{"question": "is it red?"}, {}])
    assert {row["answer"] for row in answers} <= {"yes", "no"}


def test_ranks_that_are_asked_for_different_columns_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """With a batch of two each rank has one row, which asks here for a picture and there for a text; the lengths differ too."""
    rows = [
        {**row, "walk": {"x": [0.5 * step for step in range(3 + number % 5)]}}
        for number, row in enumerate(colour_rows(tmp_path / "pictures", 24))
    ]
    columns = {
        "picture": {**COLUMNS["picture"], "role": "both"},
        "question": {**COLUMNS["question"], "role": "both"},
        "walk": {"modality": "series", "role": "both"},
    }
    recipe = write_recipe(tmp_path, rows, columns=columns, epochs=1, batch_size=2)
    small = {"name": "flow", "width": 8, "depth": 1, "heads": 2}
    heads = {"picture": small, "walk": small, "question": {"name": "decoder", "depth": 1, "heads": 2}}
    both = launch(tmp_path, "train", recipe, "--out", tmp_path / "run", "--set", f"model.heads={json.dumps(heads)}")
    assert both.returncode == 0, both.stderr[-3000:]
    [answer] = Pipeline.load(tmp_path / "run").generate({"question": "is it red?"})
    assert set(answer) == {"picture", "walk"}
    assert 1 <= len(answer["walk"]["x"]) <= 7


def test_a_rank_with_nothing_but_pictures_and_one_with_nothing_but_texts_train_one_model(tmp_path: Path) -> None:
    """For attention and pooled fusions, with and without modality dropout and heads of single columns."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", other_columns.__file__, tmp_path]
    root = str(Path(other_columns.__file__).parents[2])
    ran = subprocess.run(
        list(map(str, launcher)), capture_output=True, text=True, timeout=240, env={**os.environ, **QUIET, "PYTHONPATH": root}, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    for variant in other_columns.VARIANTS:
        name = other_columns.name_of(variant)
        first, second = (load_file(tmp_path / f"{name}-{rank}.safetensors") for rank in (0, 1))
        assert furthest(first, second) == 0, f"{name}: the ranks went apart"
        for weight, began in other_columns.model_of(variant).encoders.named_parameters(prefix="encoders"):
            assert not torch.equal(first[weight], began), f"{name}: {weight} learned nothing"
        if variant[1] == 0:  # what is dropped is drawn by rank
            alone = other_columns.train(variant, Accelerator(cpu=True)).state_dict()
            assert furthest(first, alone) < 1e-4, f"{name}: two ranks are not one"


def test_a_batch_that_ranks_cannot_share_is_refused(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, colour_rows(tmp_path / "pictures", 40), epochs=1, batch_size=15)
    both = launch(tmp_path, "train", recipe, "--out", tmp_path / "run")
    assert both.returncode != 0
    assert "train.batch_size: 15 rows cannot be divided over 2 ranks × 1 parts" in both.stderr
    assert not (tmp_path / "run" / "config.json").exists()
