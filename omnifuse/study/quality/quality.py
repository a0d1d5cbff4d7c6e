"""`of.quality`: how good is what a run makes, in every direction? Direction by direction, so that what was interrupted goes on."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import quote

import numpy as np
import torch

from omnifuse.core.atomic import read_json, remove_leftovers, write_json
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.dataset import Dataset
from omnifuse.model.heads.sampling import Sampling
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.study.judges import Judge, alignment_judge, label_judge
from omnifuse.study.quality.directions import Direction, usual_directions
from omnifuse.study.quality.figures import Samples, drawn_figures, written_figures
from omnifuse.study.quality.material import given_rows, held_out, nearest_values, some_rows, usual_label
from omnifuse.study.quality.page import main_words, write_quality_page
from omnifuse.study.quality.references import References, gather_references
from omnifuse.study.quality.showing import dump_exhibits, exhibits_of
from omnifuse.train.tracking import Observer, Silent

ANSWER, PAGE, FOLDER = "quality.json", "quality.html", "quality"
DRAWS = 16


class Watcher(Observer, Protocol):
    """Watches the work: the training of judges as an `Observer` does, and the samples of each direction."""

    def direction_begins(self, number: int, total: int, name: str, samples: int) -> None:
        """The samples of a direction are made next; it is number `number` (from 1) of `total`."""

    def drawn(self, more: int) -> None:
        """So many more samples of it are there."""

    def direction_ends(self, name: str, words: str) -> None:
        """It is measured; its main figures in words."""


class Unwatched(Silent):
    """Says nothing."""

    def direction_begins(self, number: int, total: int, name: str, samples: int) -> None:
        """Nothing."""

    def drawn(self, more: int) -> None:
        """Nothing."""

    def direction_ends(self, name: str, words: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Quality:
    """How good samples are.

    Attributes:
        out: the folder, with `quality.json`, `quality.html` and `judges/`.
        about: everything, as `quality.json` has it.
    """

    out: Path
    about: dict[str, Any]

    @property
    def figures(self) -> dict[str, dict[str, Any]]:
        """By direction, such as `word -> image`, its figures."""
        return {name: each["figures"] for name, each in self.about["directions"].items()}

    @property
    def page(self) -> Path:
        """The page that shows it."""
        return self.out / PAGE

    def __str__(self) -> str:
        return "\n".join(f"{name}: {main_words(each['figures'])}" for name, each in self.about["directions"].items())


def quality(
    pipeline: Pipeline,
    dataset: Dataset,
    out: str | Path,
    *,
    samples: int = 1000,
    label: str | None = None,
    directions: Sequence[Direction] | None = None,
    seed: int = 0,
    steps: int | None = None,
    solver: Literal["euler", "heun"] | None = None,
    guidance: float | None = None,
    observer: Watcher | None = None,
) -> Quality:
    """Make samples of test rows in every direction, judge them, and measure them beside real values.

        found = of.quality(of.Pipeline.load("runs/digits"), of.Dataset.open("digits.dataset"), "runs/digits", label="digit")
        print(found)  # word -> image: 98.4 % right …

    Pictures, sounds, series and points are judged by a small network that was trained on the training split to tell the `label` of
    a value; where there is no label, by one that lays them into one space with another column. It is trained when it is first needed.
    Texts and labels are compared with those of their own rows.

    Args:
        pipeline: trained.
        dataset: prepared, with its training and its test split.
        out: folder for judges and answers, as a rule that of the run.
        samples: of each direction; where there are fewer test rows, several of each.
        label: column that says what a value is; by default a category, else a text of few different words.
        directions: by default to every column that is drawn or written from each other input alone, and from all of them.
        seed: of the choice of rows, the noise, and the judges.
        steps, solver, guidance: of a flow, in place of the options of its head.
        observer: told what happens.

    Raises:
        OmnifuseError: nothing to make, no such column, no test row, or a folder of other judges.
    """
    if samples < 2:
        raise OmnifuseError(f"samples: {samples} is too small; figures are means over many")
    chosen = list(usual_directions(pipeline) if directions is None else directions)
    if not chosen:
        raise OmnifuseError("no target of this model is drawn or written, so there is nothing to judge; see `omnifuse evaluate`")
    observer = observer or Unwatched()
    columns = {**{name: dataset.schema[name] for name in dataset.schema}, **{name: pipeline.schema[name] for name in pipeline.schema.used}}
    settings = {"samples": samples, "label": label, "seed": seed, "steps": steps, "solver": solver, "guidance": guidance}
    key = {**settings, "data": dataset.path.name, "weights": _weights(pipeline)}
    work = _Work(pipeline, dataset.reading(Schema(columns.values())), Path(out), key, settings, observer)
    remove_leftovers(work.out)
    for number, direction in enumerate(chosen, start=1):
        work.done[direction.name] = work.found(direction) or work.measure(direction, number, len(chosen))
        observer.direction_ends(direction.name, main_words(work.done[direction.name]["figures"]))
        work.tell(finished=number == len(chosen))
    return Quality(work.out, work.tell(finished=True))


class _Work:
    """What is shared by the directions of one run."""

    def __init__(
        self, pipeline: Pipeline, dataset: Dataset, out: Path, key: dict[str, Any], settings: dict[str, Any], observer: Watcher
    ) -> None:
        self.pipeline, self.dataset, self.out, self.observer = pipeline, dataset, out, observer
        self.key, self.settings = key, settings
        self.test = held_out(dataset)
        self.judges: dict[str, Judge | None] = {}
        self.real: dict[str, References] = {}
        self.done: dict[str, dict[str, Any]] = {}

    def found(self, direction: Direction) -> dict[str, Any] | None:
        """What an earlier command has measured with the same settings, weights and data."""
        path = self._path(direction)
        known = read_json(path, "direction") if path.exists() else {}
        return known if known.get("key") == self.key else None

    def measure(self, direction: Direction, number: int, total: int) -> dict[str, Any]:
        """Make samples and measure them."""
        judge = self._judge(direction.target)
        rows, each = self._rows(direction, judge)
        self.observer.direction_begins(number, total, direction.name, len(rows) * each)
        began = time.perf_counter()
        made = self._draw(direction, rows, each)
        drawing_s = time.perf_counter() - began
        if self.pipeline.head_config(direction.target).tells == "sample":
            real = None if judge is None else self._references(judge)
            near = self._nearest(direction, rows) if judge is not None and judge.metric != "accuracy" else []
            figures, labels = drawn_figures(self.pipeline, made, self.dataset, self.test, judge, real, self.settings["seed"], near)
            wanted = self._wanted(made, judge)
        else:
            figures, wanted = written_figures(made, self.test, self._nearest(direction, rows), self.settings["seed"])
            labels = None
        shown = exhibits_of(self.pipeline, self.test, direction, made, wanted, labels, key=f"d{number}")
        entry = {
            "key": self.key,
            "given": list(direction.given),
            "target": direction.target,
            "modality": self.pipeline.schema[direction.target].modality,
            "samples": len(made.values),
            "rows": len(set(rows.tolist()) - {-1}),
            "seconds": round(drawing_s, 3),
            "judge": None if judge is None else judge.about(),
            "figures": figures,
            "exhibits": dump_exhibits(shown),
        }
        write_json(self._path(direction), entry)
        return entry

    def tell(self, finished: bool) -> dict[str, Any]:
        """Write what is known so far; returns it."""
        told = {name: {k: v for k, v in each.items() if k not in ("key", "exhibits")} for name, each in self.done.items()}
        about = {"settings": self.settings, "weights": self.key["weights"], "dataset": str(self.dataset.path.resolve())}
        about |= {"finished": finished, "directions": told}
        write_json(self.out / ANSWER, about)
        write_quality_page(self.out / PAGE, self.out.resolve().name, about, {name: each["exhibits"] for name, each in self.done.items()})
        return about

    def _path(self, direction: Direction) -> Path:
        return self.out / FOLDER / f"{quote(direction.name, safe=' ')}.json"

    def _judge(self, target: str) -> Judge | None:
        """Of a drawn target: by label, else by another column; `None` where there is neither, or where nothing needs to be judged."""
        if self.pipeline.head_config(target).tells != "sample":
            return None
        if target not in self.judges:
            spec = self.pipeline.processors[target].spec
            options: dict[str, Any] = {"seed": self.settings["seed"], "observer": self.observer}
            options["side"] = spec.shape[1] if spec.modality == "image" else None
            label = self.settings["label"] or usual_label(self.dataset, target)
            if label is not None and label != target:
                self.judges[target] = label_judge(self.out, self.dataset, target, label, **options)
            else:
                other = _companion(self.dataset.schema, target)
                judged = None if other is None else alignment_judge(self.out, self.dataset, target, other, **options)
                self.judges[target] = judged
        return self.judges[target]

    def _references(self, judge: Judge) -> References:
        if judge.column not in self.real:
            samples, seed = self.settings["samples"], self.settings["seed"]
            self.real[judge.column] = gather_references(self.pipeline, self.dataset, self.test, judge, samples, seed)
        return self.real[judge.column]

    def _rows(self, direction: Direction, judge: Judge | None) -> tuple[np.ndarray, int]:
        """Which test rows, and how many samples of each."""
        samples, is_drawn = self.settings["samples"], self.pipeline.head_config(direction.target).tells == "sample"
        if not direction.given:
            return np.full(samples if is_drawn else 1, -1), 1
        modality = self.pipeline.schema[direction.target].modality
        needed = list(direction.given)
        if judge is not None:
            needed.append(judge.other)
        if not is_drawn or modality == "series":
            needed.append(direction.target)
        needed = list(dict.fromkeys(needed))
        most = max(1, samples // DRAWS) if modality == "series" else samples
        rows = some_rows(self.test, needed, most, self.settings["seed"], direction.name)
        if not len(rows):
            raise OmnifuseError(f"{direction.name}: no test row has a value in {', '.join(needed)}; leave this direction out")
        return rows, math.ceil(samples / len(rows)) if is_drawn else 1

    def _draw(self, direction: Direction, rows: np.ndarray, each: int) -> Samples:
        given: list[dict[str, Any]] = given_rows(self.pipeline, self.test, direction, rows) if direction.given else [{} for _ in rows]
        is_drawn = self.pipeline.head_config(direction.target).tells == "sample"
        options = {name: self.settings[name] for name in ("steps", "solver", "guidance")} if is_drawn else {}
        values: list[Any] = []
        for answer in self.pipeline.generate_each(
            given, [direction.target], Sampling(**options), num_samples=each, seed=self.settings["seed"]
        ):
            values.append(answer[direction.target])
            self.observer.drawn(1)
        return Samples(direction.target, np.repeat(rows, each), values, each)

    def _nearest(self, direction: Direction, rows: np.ndarray) -> list[Any]:
        """What is looked up for the rows in the training split; nothing where nothing is given."""
        return nearest_values(self.pipeline, self.dataset, direction, rows) if direction.given else []

    def _wanted(self, made: Samples, judge: Judge | None) -> list[str] | None:
        if judge is None or judge.metric != "accuracy" or (made.rows < 0).any():
            return None
        return [str(label) for label in self.test.take(made.rows, [judge.other])[judge.other]]


def _companion(schema: Schema, target: str) -> str | None:
    """The column whose values a target is laid beside: a text if there is one."""
    others = [name for name in schema.used if name != target]
    return next((name for name in others if schema[name].modality == "text"), others[0] if others else None)


def _weights(pipeline: Pipeline) -> str:
    """A hash of everything the model has learned."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(pipeline.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
