"""A run that is killed goes on as if nothing had happened; a run directory belongs to one run."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from training import COLUMNS, QUIET, colour_rows, command, omnifuse, write_recipe

from omnifuse.core.atomic import ALONE, alone
from omnifuse.core.errors import OmnifuseError
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.train.checkpoint import Checkpoints
from omnifuse.train.fit import train
from omnifuse.train.recipe import Recipe
from omnifuse.train.tracking import History, read_history

FREQUENT: dict[str, Any] = {"epochs": 12, "checkpoint_steps": 1, "validate_steps": 5, "ema": 0.9}
BOTH_WAYS = {"size": {"modality": "number", "role": "both"}, "shop": {"modality": "category", "role": "both"}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, rows (some values and targets are missing) and a recipe: weights are averaged, columns go both ways."""
    folder = tmp_path_factory.mktemp("resume")
    rows = colour_rows(folder / "pictures", 60, absent=0.15)
    for row in rows[::7]:
        row["price"] = None
    write_recipe(folder, rows, columns={**COLUMNS, **BOTH_WAYS}, **FREQUENT)
    return folder


@pytest.fixture(scope="module")
def whole(home: Path) -> Path:
    """The run that nobody disturbed."""
    done = omnifuse("train", home / "recipe.yaml", "--out", home / "whole")
    assert done.returncode == 0, done.stderr
    return home / "whole"


def kill_when(run: Path, home: Path, is_time: Callable[[], bool], *more: str) -> bool:
    """Start or go on with a training and kill it at the moment; tells whether it was still running."""
    arguments = command("train", home / "recipe.yaml", "--out", run, *more)
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **QUIET})
    end = time.monotonic() + 120
    while process.poll() is None and not is_time() and time.monotonic() < end:
        time.sleep(0.0005)
    alive = process.poll() is None
    process.kill()
    process.wait()
    return alive


def steps_in(run: Path) -> int:
    """The last complete checkpoint."""
    return max((int(folder.name.removeprefix("step-")) for folder in (run / "checkpoints").glob("step-*")), default=0)


def after(run: Path, step: int, delay: float) -> Callable[[], bool]:
    """True from `delay` seconds after the checkpoint of the step on."""
    reached: list[float] = []

    def is_time() -> bool:
        if not reached and steps_in(run) >= step:
            reached.append(time.monotonic())
        return bool(reached) and time.monotonic() >= reached[0] + delay

    return is_time


def writing(run: Path, step: int) -> Callable[[], bool]:
    """True while a checkpoint after the step is being written."""
    return lambda: steps_in(run) >= step and any((run / "checkpoints").glob(".writing-*"))


def assert_same_run(run: Path, whole: Path) -> None:
    assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert (run / "processors.json").read_bytes() == (whole / "processors.json").read_bytes()
    times = ("seconds", "samples_per_s")
    histories = [[{k: v for k, v in entry.items() if k not in times} for entry in read_history(folder)] for folder in (run, whole)]
    assert histories[0] == histories[1]
    trained = [json.loads((folder / "config.json").read_text())["trained"] for folder in (run, whole)]
    assert trained[0]["best_step"] == trained[1]["best_step"]
    assert trained[0]["best_score"] == trained[1]["best_score"]
    assert not list(run.rglob(".writing-*"))


def test_a_training_that_is_killed_again_and_again_ends_with_the_same_weights(home: Path, whole: Path) -> None:
    run = home / "killed"
    chance = random.Random(os.urandom(8))
    delays = [chance.uniform(0, 0.03) for _ in range(2)]
    assert kill_when(run, home, lambda: (run / "run.json").exists())  # before the first checkpoint
    assert kill_when(run, home, after(run, 2, delays[0]), "--resume")
    first = steps_in(run)
    assert kill_when(run, home, writing(run, first + 2), "--resume")
    second = steps_in(run)
    assert second >= first + 2, "it went on from where it was"
    assert kill_when(run, home, after(run, second + 4, delays[1]), "--resume")
    assert not (run / "config.json").exists(), f"the run had ended before the last kill, delays {delays}"
    done = omnifuse("train", home / "recipe.yaml", "--out", run, "--resume")
    assert done.returncode == 0, done.stderr
    assert "going on after step" in done.stdout
    assert_same_run(run, whole)


def test_a_training_killed_between_its_last_step_and_its_end_only_needs_to_finish(home: Path, whole: Path) -> None:
    run = home / "late"
    shutil.copytree(whole, run)
    for name in ("config.json", "model.safetensors", "README.md"):
        (run / name).unlink()
    (run / ".writing-model.safetensors-12345678").write_bytes(b"half a file")
    with pytest.raises(OmnifuseError, match=r"has not finished; continue it with `omnifuse train RECIPE --out .* --resume`"):
        Pipeline.load(run)
    resume(home, run)
    assert_same_run(run, whole)


def resume(home: Path, run: Path, recipe: dict[str, Any] | None = None, **options: Any) -> Pipeline:
    """Go on in this process."""
    value = recipe or yaml.safe_load((home / "recipe.yaml").read_text())
    return train(Recipe.make({"name": home.name, **value}), run, base=home, resume=True, **options)


def test_going_on_with_a_finished_run_changes_nothing(home: Path, whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file() and path.name != "run.json"}
    done = omnifuse("train", home / "recipe.yaml", "--out", whole, "--resume")
    assert done.returncode == 0, done.stderr
    assert "already trained" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_resume_of_a_run_that_never_began_just_trains(home: Path) -> None:
    value = yaml.safe_load((home / "recipe.yaml").read_text())
    value["train"]["epochs"] = 1
    resume(home, home / "fresh", value)
    assert (home / "fresh" / "config.json").exists()


@pytest.mark.parametrize(
    ("section", "option", "value", "message"),
    [
        ("train", "epochs", 13, r"train\.epochs = 12\.0, now it is 13\.0"),
        ("train", "optimizer", {"lr": 0.5}, r"train\.optimizer\.lr = 0\.002, now it is 0\.5"),
        ("model", "dim", 16, r"model\.dim = 8, now it is 16"),
        ("data", "split", {"validation": 0.3}, r"data\.split\.validation = 0\.2, now it is 0\.3"),
    ],
)
def test_a_changed_recipe_is_refused_and_the_option_is_named(
    home: Path, whole: Path, section: str, option: str, value: Any, message: str
) -> None:
    recipe = yaml.safe_load((home / "recipe.yaml").read_text())
    recipe[section][option] = value
    with pytest.raises(OmnifuseError, match=message):
        resume(home, whole, recipe)


def test_options_that_do_not_change_the_weights_may_change(home: Path, whole: Path) -> None:
    recipe = yaml.safe_load((home / "recipe.yaml").read_text())
    recipe["train"]["log_steps"] = 7
    recipe["data"]["cache_mb"] = 1
    recipe["evaluate"] = {"examples": 3}
    state, kept = resume(home, whole, recipe).model.state_dict(), load_file(whole / "model.safetensors")
    assert all(torch.equal(state[name], tensor) for name, tensor in kept.items())


def test_changed_data_are_refused(home: Path, whole: Path) -> None:
    table = home / "rows.jsonl"
    text, times = table.read_text(), table.stat()
    try:
        table.write_text(text.replace("north", "south", 1))
        with pytest.raises(OmnifuseError, match="the data have changed since this run began"):
            resume(home, whole)
    finally:
        table.write_text(text)
        os.utime(table, ns=(times.st_atime_ns, times.st_mtime_ns))
    resume(home, whole)


def test_a_folder_that_holds_a_run_is_not_overwritten(home: Path, whole: Path) -> None:
    before = (whole / "model.safetensors").read_bytes()
    done = omnifuse("train", home / "recipe.yaml", "--out", whole)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        f"omnifuse: {whole}: already holds a run; go on with it by --resume, or choose another --out"
    ]
    assert (whole / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("resumed", [False, True])
def test_a_folder_with_other_files_is_left_alone(home: Path, tmp_path: Path, resumed: bool) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    recipe = Recipe.load(home / "recipe.yaml")
    with pytest.raises(OmnifuseError, match="holds files that are not a run; choose another --out"):
        train(recipe, tmp_path, base=home, resume=resumed)
    with pytest.raises(OmnifuseError, match="is a file; --out names a folder"):
        train(recipe, tmp_path / "thesis.txt", base=home, resume=resumed)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_kill_while_the_run_is_being_claimed_does_not_block_the_folder(home: Path, tmp_path: Path) -> None:
    (tmp_path / ".writing-run.json-0a1b2c3d").write_text('{"recipe": {')
    value = yaml.safe_load((home / "recipe.yaml").read_text())
    value["train"]["epochs"] = 1
    resume(home, tmp_path, value)
    assert (tmp_path / "config.json").exists()
    assert not list(tmp_path.glob(".writing-*"))


# What a checkpoint is


def test_nothing_in_a_run_is_a_pickle(whole: Path) -> None:
    files = [path for path in whole.rglob("*") if path.is_file()]
    assert any("checkpoints" in path.parts for path in files)
    for path in files:
        head = path.read_bytes()[:4]
        assert not head.startswith((b"\x80", b"PK", b"\x1f\x8b")), f"{path} is a pickle or an archive"
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".jsonl", ".md"}


def test_only_the_last_and_the_best_checkpoint_are_kept(whole: Path) -> None:
    trained = json.loads((whole / "config.json").read_text())["trained"]
    kept = {folder.name for folder in (whole / "checkpoints").iterdir()}
    assert kept == {f"step-{trained['steps']:08d}", f"step-{trained['best_step']:08d}"}
    best = whole / "checkpoints" / f"step-{trained['best_step']:08d}" / "model.safetensors"
    assert best.read_bytes() == (whole / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "progress.json"])
def test_a_damaged_checkpoint_is_named_in_one_line(home: Path, whole: Path, tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / "config.json").unlink()
    path = Checkpoints(run).all()[-1] / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(OmnifuseError, match=r"damaged|cannot be read") as error:
        resume(home, run)
    assert "\n" not in str(error.value)
    assert path.parent.name in str(error.value)


def test_the_state_of_the_optimizer_belongs_to_its_model(whole: Path, tmp_path: Path, home: Path) -> None:
    pipeline = Pipeline.load(whole)
    other = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(other.parameters())
    checkpoints = Checkpoints(whole)
    other.load_state_dict = lambda weights: None  # type: ignore[method-assign]
    with pytest.raises(OmnifuseError, match="the optimizer state belongs to another model"):
        checkpoints.restore(other, optimizer)  # type: ignore[arg-type]
    assert set(pipeline.schema.targets) == {"answer", "price", "size", "shop"}


# The history


def test_a_line_of_the_history_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    lines = [{"kind": "train", "step": step, "loss": 1.0 / step} for step in (1, 2, 3)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "history.jsonl").write_text(text[:-9])
    assert read_history(tmp_path) == lines[:2]
    history = History(tmp_path, [], step=1)
    history.add({"kind": "train", "step": 2, "loss": 0.5})
    history.close()
    assert read_history(tmp_path) == [lines[0], {"kind": "train", "step": 2, "loss": 0.5}]


def test_a_run_without_history_has_no_entries(tmp_path: Path) -> None:
    assert read_history(tmp_path) == []


def test_two_processes_do_not_train_one_run(home: Path, tmp_path: Path) -> None:
    recipe, run = Recipe.load(home / "recipe.yaml"), tmp_path / "run"
    with alone(run, "trains"), pytest.raises(OmnifuseError, match="another process trains here; wait for it"):
        train(recipe, run, base=home)
    assert not run.exists(), "nothing was put into it"
    (run / ALONE).parent.mkdir()
    (run / ALONE).touch()  # what a process that was killed leaves
    train(recipe, run, base=home)
    assert (run / "config.json").exists() and not (run / ALONE).exists()
