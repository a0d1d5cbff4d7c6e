"""Whose run directory is it? A run never overwrites another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omnifuse.core.atomic import ALONE, is_leftover, read_json, remove_leftovers, write_json
from omnifuse.core.errors import OmnifuseError
from omnifuse.data.dataset import Dataset
from omnifuse.train.recipe import Recipe

RUN = "run.json"
DATASET = "dataset"
IDLE = (
    ("train", "log_steps"),
    ("train", "tracking"),
    ("data", "cache_mb"),
    ("data", "features_gb"),
    ("data", "store"),
    ("data", "runner"),
    ("data", "ray_address"),
)


def check_run(out: Path, resume: bool) -> None:
    """Raise when `out` holds something that this run must not touch."""
    if out.exists() and not out.is_dir():
        raise OmnifuseError(f"{out}: is a file; --out names a folder")
    if not out.is_dir() or all(is_leftover(path) or path.name in (DATASET, ALONE) for path in out.iterdir()):
        return
    if not (out / RUN).exists():
        raise OmnifuseError(f"{out}: holds files that are not a run; choose another --out")
    if not resume:
        raise OmnifuseError(f"{out}: already holds a run; go on with it by --resume, or choose another --out")


def claim_run(out: Path, identity: dict[str, Any]) -> None:
    """Make `out` the directory of this run, and remove what an interrupted write left there."""
    remove_leftovers(out)
    remove_leftovers(out / "checkpoints")
    write_json(out / RUN, identity)


def compare_run(out: Path, identity: dict[str, Any]) -> None:
    """Raise when `out` holds a run that was started from another recipe or other data."""
    if not (out / RUN).exists():
        return
    known = read_json(out / RUN, "run")
    for path, old, new in differences(known["recipe"], identity["recipe"]):
        raise OmnifuseError(f"{out}: holds a run with {path} = {old!r}, now it is {new!r}; undo the change or choose another --out")
    if known["data"] != identity["data"]:
        changed = "the data have changed since this run began, or omnifuse keeps them in another format"
        raise OmnifuseError(f"{out}: {changed}; choose another --out")


def differences(old: Any, new: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Where two recipes differ: path, old and new value."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [found for key in keys for found in differences(old.get(key), new.get(key), f"{path}.{key}".strip("."))]
    return [] if old == new else [(path, old, new)]


def run_identity(recipe: Recipe, dataset: Dataset) -> dict[str, Any]:
    """What must be equal for a run to go on: everything but what does not change the weights."""
    value = recipe.dump()
    for section, option in IDLE:
        value[section].pop(option)
    value.pop("evaluate")
    return {"recipe": value, "data": dataset.path.name}
