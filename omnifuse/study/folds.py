"""Folds: every row is predicted once by a model that has not seen it, nor anything that belongs to it."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from omnifuse.core.atomic import read_json, replacing, write_json
from omnifuse.core.errors import OmnifuseError, first_line
from omnifuse.core.schema import Schema
from omnifuse.core.seeds import seed_of
from omnifuse.data.annotate.rows import Subset
from omnifuse.data.dataset import GROUP, Dataset
from omnifuse.data.modalities.fitting import fit_processors, load_processors, save_processors
from omnifuse.pipeline.pipeline import Pipeline, write_tensors
from omnifuse.study.suggest import ask
from omnifuse.train.config import TrainConfig
from omnifuse.train.recipe import Recipe
from omnifuse.train.tracking import Observer, Silent

FILE = "folds.json"
HELD_OUT = 0.1


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of models that had not seen the rows.

    Attributes:
        folds: (N,) which fold each row of the dataset is in; −1 for rows whose target is absent.
        labels: the K labels, for a category.
        scores: (N, K) probabilities of a category, (N,) standardised answers to a number; NaN in fold −1.
        answers: (N,) numbers in the user's unit; empty for a category.
    """

    folds: np.ndarray
    labels: list[str]
    scores: np.ndarray
    answers: np.ndarray


def predict_out_of_fold(
    dataset: Dataset, recipe: Recipe, target: str, out: Path, *, folds: int = 5, observer: Observer | None = None
) -> OutOfFold:
    """Train one model for each fold on the other folds, and let it answer the fold.

    A tenth of the groups it is trained on is held out to choose the best epoch, so that wrong labels are not learned by
    heart. What is done stands in `out`: a study that was killed goes on where it was, within the fold too.

    Args:
        dataset: all rows of it take part, whatever split they are in.
        recipe: model and training.
        target: the column whose labels are looked at.
        out: folder of the study.
        folds: how many.
        observer: told what happens.

    Raises:
        OmnifuseError: `out` holds another study, or there are fewer groups than folds.
    """
    observer = observer or Silent()
    values = dataset.take(range(len(dataset)), [target])[target]
    groups = group_keys(dataset)
    assigned = assign_folds(groups, values, folds, recipe.seed)
    _claim(out, dataset, recipe, target, folds)
    schema = _schema(dataset.schema, target)
    known = Subset(dataset, np.flatnonzero(assigned >= 0))
    of_target = fit_processors(Schema([schema[target]]), known, {})[target]
    labels = list(of_target.state().get("labels", []))
    scores = np.full((len(dataset), len(labels)) if labels else len(dataset), np.nan, dtype=np.float32)
    answers = np.full(0 if labels else len(dataset), np.nan)
    for fold in range(folds):
        rows = np.flatnonzero(assigned == fold)
        path = out / f"fold-{fold}.safetensors"
        if not path.exists():
            observer.said(f"fold {fold + 1} of {folds}: training on {int((assigned >= 0).sum()) - len(rows):,} rows")
            others = np.flatnonzero((assigned >= 0) & (assigned != fold))
            pipeline = _train(dataset, schema, recipe, target, of_target, others, groups, out / f"fold-{fold}", fold, observer)
            said = ask(pipeline, Subset(dataset, rows))
            tensors = {"rows": torch.from_numpy(rows), "scores": torch.from_numpy(said.scores[target])}
            if not labels:
                tensors["answers"] = torch.tensor(said.answers[target], dtype=torch.float64)
            with replacing(path) as temporary:
                write_tensors(tensors, temporary)
            shutil.rmtree(out / f"fold-{fold}", ignore_errors=True)
        done = _read(path)
        scores[done["rows"].numpy()] = done["scores"].numpy()
        if not labels:
            answers[done["rows"].numpy()] = done["answers"].numpy()
    return OutOfFold(assigned, labels, scores, answers)


def group_keys(dataset: Dataset) -> np.ndarray:
    """(N,) words; rows of one word stay together: those of one group, and those with the same inputs."""
    names = dataset.schema.inputs
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    keys: list[str] = []
    for start in range(0, len(dataset), 4096):
        part = dataset.take(range(start, min(start + 4096, len(dataset))), [GROUP, *names])
        for place, group in enumerate(part[GROUP]):
            inputs = repr([part[name][place] for name in names]).encode("utf-8", "surrogatepass")
            key = "i" + hashlib.blake2b(inputs, digest_size=12).hexdigest()
            if group is not None:
                parent[root(key)] = root(f"g{group}")
            keys.append(key)
    return np.array([root(key) for key in keys])


def assign_folds(groups: Sequence[str] | np.ndarray, values: Sequence[Any], folds: int, seed: int) -> np.ndarray:
    """(N,) fold of each row: groups stay whole, labels are spread evenly; −1 where the value is absent.

    Groups of one label (the most frequent in the group) are dealt out in turn, in the order of a hash of their name and the
    seed, so that neither the order of rows nor that of groups matters.

    Raises:
        OmnifuseError: fewer groups than folds.
    """
    labels: dict[str, Counter[Any]] = defaultdict(Counter)
    for group, value in zip(groups, values, strict=True):
        if value is not None:
            labels[group][value if isinstance(value, str) else ""] += 1
    if len(labels) < folds:
        raise OmnifuseError(f"--folds: {folds} folds cannot be cut from {len(labels)} different groups of rows; choose fewer")
    main = {group: min(counts, key=lambda label: (-counts[label], label)) for group, counts in labels.items()}
    order = sorted(labels, key=lambda group: (main[group], seed_of(seed, "fold", group)))
    places = {group: place % folds for place, group in enumerate(order)}
    return np.array([-1 if value is None else places[group] for group, value in zip(groups, values, strict=True)], dtype=np.int64)


def _train(
    dataset: Dataset,
    schema: Schema,
    recipe: Recipe,
    target: str,
    of_target: Any,
    rows: np.ndarray,
    groups: np.ndarray,
    run: Path,
    fold: int,
    observer: Observer,
) -> Pipeline:
    """One model, from the last checkpoint of `run` if there is one."""
    from omnifuse.train.loop import Trainer

    config = _training(recipe.train, target)
    held_out = np.array([seed_of(recipe.seed, "held out", fold, group) % 1000 < 1000 * HELD_OUT for group in groups[rows]])
    train, validation = Subset(dataset, rows[~held_out]), Subset(dataset, rows[held_out])
    seed = seed_of(recipe.seed, "fold", fold)
    model = recipe.model
    if (run / "processors.json").exists():
        processors = load_processors(schema, run)
    else:
        processors = {**fit_processors(schema, train, model.demands(schema)), target: of_target}
        run.mkdir(parents=True, exist_ok=True)
        save_processors(processors, run)
    torch.manual_seed(seed_of(seed, "weights"))
    pipeline = Pipeline.build(schema, processors, model)
    pipeline.features_gb = recipe.data.features_gb
    trainer = Trainer(
        pipeline,
        cast(Dataset, train),
        cast(Dataset, validation) if len(validation) else None,
        config,
        run,
        _accelerator(config),
        seed=seed,
        cache_mb=recipe.data.cache_mb,
        observer=observer,
    )
    trainer.run()
    return pipeline


def _accelerator(config: TrainConfig) -> Any:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()  # an earlier model of this process may have had another precision
    return Accelerator(mixed_precision="no" if config.precision == "fp32" else config.precision, cpu=config.device == "cpu")


def _schema(schema: Schema, target: str) -> Schema:
    """The inputs and the one target."""
    return Schema([schema[name] for name in [*schema.inputs, target]])


def _training(config: TrainConfig, target: str) -> TrainConfig:
    """The recipe's training with one target and without files that nobody looks at."""
    monitor = config.monitor if config.monitor.rpartition(".")[0] == target else "loss"
    weights = {name: weight for name, weight in config.target_weights.items() if name == target}
    return config.model_copy(update={"monitor": monitor, "target_weights": weights, "tracking": []})


def _claim(out: Path, dataset: Dataset, recipe: Recipe, target: str, folds: int) -> None:
    """Make `out` the folder of this study, or check that it is."""
    value = recipe.dump()
    kept = {"model": value["model"], "train": value["train"], "columns": value["columns"], "seed": recipe.seed}
    identity = {"dataset": dataset.path.name, "target": target, "folds": folds, **kept}
    if not (out / FILE).exists():
        if out.exists() and any(out.iterdir()):
            raise OmnifuseError(f"{out}: holds files that are not a study of label errors; choose another --out")
        write_json(out / FILE, identity)
        return
    known = read_json(out / FILE, "study of label errors")
    changed = [name for name, value in identity.items() if known.get(name) != value]
    if changed:
        raise OmnifuseError(f"{out}: holds a study with another {changed[0]}; undo the change or choose another --out")


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise OmnifuseError(f"{path}: is damaged; remove it and run again ({first_line(error)})") from None
