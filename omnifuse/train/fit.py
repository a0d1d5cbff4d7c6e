"""From a recipe to a trained pipeline in a run directory."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import omnifuse
from omnifuse.core.atomic import alone
from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.schema import Schema
from omnifuse.core.seeds import seed_of
from omnifuse.data.dataset import Dataset
from omnifuse.data.modalities.fitting import FILE as PROCESSORS
from omnifuse.data.modalities.fitting import fit_processors, load_processors, save_processors
from omnifuse.data.prepare import prepare
from omnifuse.data.sources.places import local_path
from omnifuse.data.table import count_rows
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.train.checkpoint import Checkpoints
from omnifuse.train.design import suggest_design
from omnifuse.train.earlier import EarlierRun
from omnifuse.train.recipe import Recipe, apply_settings
from omnifuse.train.run_folder import DATASET, RUN, check_run, claim_run, compare_run, run_identity
from omnifuse.train.tracking import Observer, Silent

if TYPE_CHECKING:
    from accelerate import Accelerator


def fit(
    data: Any,
    *,
    target: str | list[str] | None = None,
    columns: Mapping[str, Any] | Schema | None = None,
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    observer: Observer | None = None,
) -> Pipeline:
    """Train on a table; what is not said is inferred.

        pipeline = of.fit("reviews.csv", target="recommended", out="runs/reviews", settings={"train.epochs": 5})

    Args:
        data: path of a table, list of dicts, dict of lists, pandas, PyArrow or Daft table.
        target: the column or columns to learn; may be left out when `columns` says it.
        columns: modality or options by column, as in a recipe; columns that are not named are inferred, unless no
            `target` is given: then exactly these columns are used.
        out: the run directory; a temporary one, gone with the process, when left out.
        settings: dotted options of the recipe.
        resume: go on with the run in `out`.
        observer: told what happens.

    Raises:
        OmnifuseError: anything in the data or the options that cannot be used.
    """
    from omnifuse.data.infer import Found, infer_columns, kept_together, media_folder

    targets = [target] if isinstance(target, str) else list(target or [])
    chosen = Schema.parse(columns).dump() if columns else {}
    found: dict[str, Found] = {}
    if targets or not chosen:
        found = infer_columns(data, targets)
        chosen = {**{name: item.column.dump() for name, item in found.items()}, **chosen}
    for name in targets:
        if name not in chosen:
            raise unknown("column", name, chosen, where="target")
        chosen[name] = {**chosen[name], "role": "target"}
    run = Path(out) if out else Path(tempfile.mkdtemp(prefix="omnifuse-"))
    if not out:
        atexit.register(shutil.rmtree, run, ignore_errors=True)
    is_file = isinstance(data, str | Path)
    preset = any(key.split(".")[:2] == ["model", "preset"] for key in settings or {})
    design = suggest_design(Schema.parse(chosen), count_rows(data), preset)
    value = {
        "name": Path(data).stem if is_file else run.name,
        "columns": chosen,
        "data": {
            "source": str(data) if is_file else "given rows",
            **({"split": {"by": together[0]}} if (together := kept_together(found)) else {}),
            **({"root": str(root)} if (root := media_folder(found)) else {}),
        },
        **design,
    }
    recipe = Recipe.make(apply_settings(value, [f"{key}={_yaml(inner)}" for key, inner in (settings or {}).items()]))
    return train(recipe, run, base=Path.cwd(), source=None if is_file else data, resume=resume, observer=observer)


def train(
    recipe: Recipe,
    out: str | Path,
    *,
    base: Path,
    source: Any = None,
    resume: bool = False,
    observer: Observer | None = None,
    reading: Callable[[int], None] | None = None,
    prepared: Dataset | None = None,
) -> Pipeline:
    """Prepare the data where needed, train, and write the run directory.

    Args:
        recipe: what to do.
        out: the run directory.
        base: folder that the recipe's paths are relative to.
        source: the data themselves, in place of `data.source`.
        resume: go on with the run in `out`, which must come from the same recipe and data.
        observer: told what happens.
        reading: told how many rows have been read.
        prepared: a dataset to train on, in place of all sources; it may hold more columns than the recipe uses.

    Raises:
        OmnifuseError: `out` holds another run, or anything in the data or the recipe that cannot be used.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import InitProcessGroupKwargs

    from omnifuse.train.loop import Trainer, check_batch

    recipe.columns.check_trainable()
    out, observer = Path(out), observer or Silent()
    config = recipe.train
    AcceleratorState._reset_state()  # an earlier run of this process may have had another precision
    patience = InitProcessGroupKwargs(timeout=timedelta(days=1))  # ranks wait for the first one to prepare and to validate
    accelerator = Accelerator(
        mixed_precision="no" if config.precision == "fp32" else config.precision, cpu=config.device == "cpu", kwargs_handlers=[patience]
    )
    if config.precision == "fp16" and accelerator.device.type == "cpu":
        raise OmnifuseError("train.precision: fp16 needs an accelerator; use bf16 or fp32 on the CPU")
    check_run(out, resume)
    if prepared is not None:
        dataset = prepared.reading(recipe.columns)
    else:
        dataset = _on_main_first(accelerator, lambda: prepare_recipe(recipe, base, out, source=source, progress=reading))
    identity = run_identity(recipe, dataset)
    compare_run(out, identity)
    if (out / "config.json").exists():
        observer.said(f"{out} is already trained")
        return Pipeline.load(out, accelerator.device)
    check_batch(config, accelerator.num_processes)
    with alone(out, "trains") if accelerator.is_main_process else nullcontext():
        pipeline, told = _on_main_first(accelerator, lambda: _begin(recipe, dataset, out, identity, accelerator.is_main_process))
        if told and accelerator.is_main_process:
            observer.said(told)
        validation = dataset.split("validation")
        trainer = Trainer(
            pipeline,
            dataset.split("train"),
            validation if len(validation) else None,
            config,
            out,
            accelerator,
            seed=recipe.seed,
            cache_mb=recipe.data.cache_mb,
            observer=observer,
        )
        progress = trainer.run()
        if accelerator.is_main_process:
            trained = {
                "seconds": round(progress.seconds, 3),
                "steps": progress.step,
                "epochs": round(progress.step * config.batch_size / trainer.rows, 3),
                "best_step": progress.best_step,
                "best_score": progress.best_score,
                "monitor": config.monitor,
                "device": str(accelerator.device),
                "ranks": accelerator.num_processes,
            }
            root = {"root": str(local_path(recipe.data.root, base).resolve())} if recipe.data.root else {}
            about = {"name": recipe.name, **root, "recipe": recipe.dump(), "dataset": str(dataset.path.resolve()), "trained": trained}
            versions = {"omnifuse": omnifuse.__version__, "torch": str(torch.__version__)}
            pipeline.save(out, {**about, "versions": versions})
    accelerator.wait_for_everyone()
    return pipeline


def prepare_recipe(
    recipe: Recipe, base: Path, out: Path | None = None, *, source: Any = None, progress: Callable[[int], None] | None = None
) -> Dataset:
    """The dataset of a recipe, prepared now or earlier.

    Args:
        recipe: its `columns`, `data` and `seed` count.
        base: folder that paths are relative to.
        out: a run directory; rows given as objects are kept there.
        source: the data themselves, in place of `data.source`.
        progress: told how many rows have been read.
    """
    config = recipe.data
    if source is None:
        source = config.source
        store = base / (config.store or f"{recipe.name}.dataset")
    else:
        assert out is not None, "rows given as objects need a run directory"
        store = out / DATASET
    root = local_path(config.root, base) if config.root else None
    return prepare(source, recipe.columns, config, store=store, base=base, root=root, seed=recipe.seed, progress=progress)


def _begin(recipe: Recipe, dataset: Dataset, out: Path, identity: dict[str, Any], main: bool) -> tuple[Pipeline, str]:
    """A pipeline with fitted processors (those of the run, when there are any) and fresh weights, or those of an earlier run.

    Beside it, what was taken from that one.
    The main rank claims the folder only when everything is built, so a recipe that is refused leaves it free.
    """
    begun = (out / RUN).exists() and (out / PROCESSORS).exists()
    earlier = EarlierRun(recipe.train.init) if recipe.train.init and not Checkpoints(out).all() else None
    if begun:
        processors = load_processors(recipe.columns, out)
    else:
        processors = fit_processors(recipe.columns, dataset.split("train"), recipe.model.demands(recipe.columns))
        processors = processors if earlier is None else earlier.processors(recipe.columns, processors)
    torch.manual_seed(seed_of(recipe.seed, "weights"))
    pipeline = Pipeline.build(recipe.columns, processors, recipe.model)
    pipeline.features_gb = recipe.data.features_gb
    told = "" if earlier is None else earlier.hand_on(pipeline)
    if main:
        claim_run(out, identity)
        if not begun:
            save_processors(processors, out)
    return pipeline, told


def _on_main_first(accelerator: Accelerator, work: Callable[[], Any]) -> Any:
    """Run something that writes on the main rank, then on the others, which find it done."""
    with accelerator.main_process_first():
        return work()


def _yaml(value: Any) -> str:
    import yaml

    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
