"""What a user holds after training: schema, fitted processors and model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from omnifuse.core.atomic import read_json, replacing, write_json, write_text
from omnifuse.core.errors import OmnifuseError, first_line, nearest
from omnifuse.core.schema import Schema
from omnifuse.core.spec import ValueSpec
from omnifuse.data.loader import RawRows
from omnifuse.data.memory import MemoryRows
from omnifuse.data.modalities.fitting import Processors, load_processors, save_processors, specs_of
from omnifuse.data.sources import source_base
from omnifuse.data.table import iterate_rows, read_table
from omnifuse.model.config import ModelConfig
from omnifuse.model.heads.config import HeadConfig
from omnifuse.model.heads.sampling import Sampling
from omnifuse.model.multimodal import MultimodalModel
from omnifuse.pipeline.answers import answer_columns
from omnifuse.pipeline.calibration import Calibration, TargetCalibration, asked_of, availability, conformal_columns, tempered
from omnifuse.pipeline.card import model_card
from omnifuse.pipeline.features import ask_heads, chunks, encode_rows
from omnifuse.pipeline.frozen import FeatureLoader
from omnifuse.pipeline.generation import Seeds, check_sampling, draw_between, draw_rows, generation_targets
from omnifuse.pipeline.kept_features import KeptFeatures
from omnifuse.pipeline.retrieval import closest, embed_candidates, embed_rows, retrieval_target

FORMAT = 1
CHUNK = 2048


class Pipeline:
    """Raw rows in, raw answers out.

        pipeline = Pipeline.load("runs/demo")
        pipeline.predict([{"image": "photo.png", "question": "what color is the circle?"}])
        # [{"answer": "red", "answer_probability": 0.998}]

    A run directory is a pipeline directory: `config.json`, `model.safetensors`, `processors.json`, `README.md`.
    Nothing in it is unpickled.
    """

    def __init__(self, schema: Schema, processors: Processors, model: MultimodalModel, config: ModelConfig) -> None:
        """Put the parts together; `load` and `build` are the usual ways."""
        self.schema, self.processors, self.model, self.config = schema, processors, model, config
        self.max_file_mb, self.features_gb = 64.0, 20.0
        self.calibration: Calibration | None = None
        self._kept: dict[Path, KeptFeatures] = {}

    @classmethod
    def build(cls, schema: Schema, processors: Processors, config: ModelConfig) -> Pipeline:
        """Make a pipeline with an untrained model for these columns."""
        config.check(schema)
        specs = specs_of(processors)
        return cls(schema, processors, _model(schema, specs, config), config.resolved())

    def head_config(self, target: str) -> HeadConfig:
        """The options of the head of a target."""
        return self.config.head_of(target, self.schema[target].modality)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def to(self, device: str | torch.device) -> Pipeline:
        """Move the model to a device; returns the pipeline."""
        self.model.to(device)
        return self

    def loader(self, rows: RawRows, targets: Sequence[str] = (), cache_mb: int = 256) -> FeatureLoader:
        """Batches of rows as the model takes them: values, and of columns whose encoder is frozen their features.

        Args:
            rows: a dataset, or rows in memory; features are kept on disk (`features_gb` of a network) beside a dataset only.
            targets: to load as well.
            cache_mb: memory for items that are encoded.
        """
        inputs = self.schema.inputs
        answering = {name: getattr(self.model.head(name), "encoder", None) for name in targets if name not in inputs}
        encoders = {name: encoder for name, encoder in answering.items() if isinstance(encoder, torch.nn.Module)}
        encoders |= {name: self.model.encoders[name] for name in inputs if name not in self.schema.targets}
        return FeatureLoader(
            rows, self.processors, inputs, targets, cache_mb, encoders=encoders, kept=self._kept, max_bytes=self.features_gb * 1e9
        )

    def predict(
        self,
        rows: Any,
        *,
        probabilities: bool = False,
        k: int = 10,
        coverage: float | None = None,
        calibrated: bool = False,
        root: str | Path | None = None,
        batch_size: int = 256,
    ) -> list[dict[str, Any]]:
        """Answer every row.

        Args:
            rows: a list of dicts, one dict, a table (pandas, PyArrow, Daft) or the path of one. Columns that a row
                lacks are absent, and absent is ordinary.
            probabilities: add the probability of every label, or all quantiles of a number.
            k: how many items of a ranking are told.
            coverage: how often the truth is to be in a set of labels or an interval, such as 0.9; of a run that was evaluated.
            calibrated: tell probabilities of labels at the temperature that the evaluation found; answers, sets and intervals stay.
            root: folder of relative media paths; the folder of the table, or the working directory.
            batch_size: rows at a time through fusion and heads.

        Returns:
            One dict a row, in order: the answer under the name of the target (a list where it is a set), with
            `NAME_probability` for a category, `NAME_low` and `NAME_high` for quantiles, `NAME_best` and `NAME_scores` for a
            ranking; and when asked for `NAME_probabilities` (label → probability) or `NAME_quantiles` (level → value). With a
            `coverage`, `NAME_set` for a category (labels, the most probable first, perhaps none), and `NAME_low` and `NAME_high` for
            a number or its quantiles, which are infinite where there were too few rows to calibrate with (`Calibration.unlimited`).

        Raises:
            OmnifuseError: a column the model does not know in a dict, a value that cannot be read (with its row), a model
                that only ranks candidates (see `retrieve`), or a coverage of a run that was not calibrated.
        """
        each = self.predict_each(
            rows, probabilities=probabilities, k=k, coverage=coverage, calibrated=calibrated, root=root, batch_size=batch_size
        )
        return list(each)

    def predict_each(
        self,
        rows: Any,
        *,
        probabilities: bool = False,
        k: int = 10,
        coverage: float | None = None,
        calibrated: bool = False,
        root: str | Path | None = None,
        batch_size: int = 256,
    ) -> Iterator[dict[str, Any]]:
        """As `predict`, a few rows at a time in memory."""
        kinds = {self.head_config(name).tells for name in self.schema.targets}
        if kinds == {"embedding"}:
            raise OmnifuseError("this model answers by ranking candidates: give them, with `Pipeline.retrieve` or `--candidates TABLE`")
        if kinds <= {"embedding", "sample"}:
            raise OmnifuseError("this model answers by drawing samples: use `Pipeline.generate` or `omnifuse generate`")
        asked = asked_of(self, coverage, calibrated)
        for memory in self.read(rows, root):
            start = 0
            for answers in self.answers(memory, batch_size):
                columns: dict[str, list[Any]] = {}
                for name, prediction in answers.items():
                    known = asked.get(name)
                    told = tempered(prediction, known) if known and calibrated and known.temperature else None
                    columns |= answer_columns(self, name, prediction, probabilities, k, told)
                    if known and coverage is not None:
                        columns |= self._conformal(memory, start, name, prediction, known, coverage)
                start += batch_size
                yield from (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))

    def _conformal(
        self, memory: MemoryRows, start: int, target: str, prediction: torch.Tensor, known: TargetCalibration, coverage: float
    ) -> dict[str, list[Any]]:
        """Sets or intervals of the rows from `start` on."""
        patterns = availability(memory, range(start, start + len(prediction)), self.schema.inputs_for(target))
        return conformal_columns(self, target, prediction, known, patterns, coverage)

    def retrieve(
        self, rows: Any, candidates: Any, k: int = 10, *, target: str | None = None, root: str | Path | None = None, batch_size: int = 256
    ) -> list[list[dict[str, Any]]]:
        """Rank candidates for every row, with a contrastive head.

            pipeline.retrieve([{"photo": "cat.png"}], ["a cat", "a dog"], k=1)
            # [[{"name": "a cat", "candidate": 0, "similarity": 0.83}]]

        Args:
            rows: as for `predict`.
            candidates: raw values of the target, rows that hold it, or a table (or the path of one) with its column.
            k: how many candidates a row gets, the most similar first.
            target: which one, where several have such a head.
            root: folder of relative media paths.
            batch_size: rows or candidates at a time.

        Raises:
            OmnifuseError: no such target, no candidate, or a value that cannot be read.
        """
        return list(self.retrieve_each(rows, candidates, k, target=target, root=root, batch_size=batch_size))

    def retrieve_each(
        self, rows: Any, candidates: Any, k: int = 10, *, target: str | None = None, root: str | Path | None = None, batch_size: int = 256
    ) -> Iterator[list[dict[str, Any]]]:
        """As `retrieve`, a few rows at a time in memory."""
        target = retrieval_target(self, target)
        given, vectors = embed_candidates(self, candidates, target, root, batch_size)
        for memory in self.read(rows, root):
            places, similarities = closest(embed_rows(self, memory, target, batch_size), vectors, k)
            for row, near in zip(places.tolist(), similarities.tolist(), strict=True):
                yield [{target: given[i], "candidate": i, "similarity": s} for i, s in zip(row, near, strict=True)]

    def generate(
        self,
        inputs: Any = None,
        targets: Sequence[str] | None = None,
        *,
        num_samples: int = 1,
        guidance: float | None = None,
        steps: int | None = None,
        solver: Literal["euler", "heun"] | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        beams: int | None = None,
        seed: int = 0,
        root: str | Path | None = None,
        batch_size: int = 64,
    ) -> list[dict[str, Any]]:
        """Make values of some columns from those that are given.

            pipeline.generate({"word": "seven"}, ["image"], num_samples=4)
            # four dicts {"image": array of (28, 28, 1)}

        Args:
            inputs: as the rows of `predict`; nothing at all, `None`, is one row without anything, for samples of no condition. What
                a row gives of a target is not looked at.
            targets: what to make; by default all that no row has.
            num_samples: answers to each row.
            guidance, steps, solver: of pictures, sounds, series and points: how far they are pushed towards the inputs, how many steps
                lead from noise to them, and by `euler` or `heun`.
            temperature, top_k, top_p: of texts and labels: draw by probability^(1/temperature), among the `top_k` most probable, or those
                that have a share `top_p` together. Without a temperature one answer is the most probable; several are drawn at 1.
            beams: of texts: answers that are followed up at the same time.
            seed: the same gives the same. The noise of a row depends on it, on what is given, and on how many equal rows came before.
            root: folder of relative media paths.
            batch_size: answers at a time.

        Returns:
            For every row `num_samples` dicts, one after another, with values by target that may be given to the pipeline again: a picture
            (H, W, C) uint8, a sound `{"array": (C, T) float32, "sampling_rate": …}`, series and points by channel `{"x": (T,), …}`, a text,
            a label, a number.

        Raises:
            OmnifuseError: no such target, a value that cannot be read, or an option that means nothing to any target.
        """
        sampling = Sampling(steps, solver, guidance, temperature, top_k, top_p, beams)
        return list(self.generate_each(inputs, targets, sampling, num_samples=num_samples, seed=seed, root=root, batch_size=batch_size))

    def generate_each(
        self,
        inputs: Any = None,
        targets: Sequence[str] | None = None,
        sampling: Sampling | None = None,
        *,
        num_samples: int = 1,
        seed: int = 0,
        root: str | Path | None = None,
        batch_size: int = 64,
    ) -> Iterator[dict[str, Any]]:
        """As `generate`, a few answers at a time in memory."""
        if num_samples < 1:
            raise OmnifuseError(f"num_samples: {num_samples} is too small; at least 1")
        seeds, sampling = Seeds(seed, num_samples), sampling or Sampling()
        for memory in self.read({} if inputs is None else inputs, root):
            targets = generation_targets(self, targets, memory)
            check_sampling(self, targets, sampling)
            drawing = sampling if num_samples == 1 or sampling.temperature or sampling.beams else replace(sampling, temperature=1.0)
            yield from draw_rows(self, memory, targets, seeds, drawing, batch_size)

    def interpolate(
        self,
        first: Mapping[str, Any],
        second: Mapping[str, Any],
        target: str,
        count: int = 8,
        *,
        sampling: Sampling | None = None,
        seed: int = 0,
        root: str | Path | None = None,
        batch_size: int = 64,
    ) -> list[Any]:
        """Values of a target on the way from one row to another: what fusion makes of both is mixed, the noise stays the same.

        Args:
            first, second: the rows at both ends.
            target: what to make.
            count: how many, the two ends among them.
            sampling, seed, root, batch_size: as of `generate`.

        Raises:
            OmnifuseError: as `generate`.
        """
        if count < 2:
            raise OmnifuseError(f"count: {count} is too small; the two ends are among them")
        [memory] = self.read([first, second], root)
        [target] = generation_targets(self, [target], memory)
        sampling = sampling or Sampling()
        check_sampling(self, [target], sampling)
        return draw_between(self, memory, target, count, seed, sampling, batch_size)

    def embed(self, rows: Any, *, target: str | None = None, root: str | Path | None = None, batch_size: int = 256) -> np.ndarray:
        """(N, D) what fusion makes of every row, or with a `target` (N, E) the rows in the space of its contrastive head."""
        target = None if target is None else retrieval_target(self, target)
        parts = [embed_rows(self, memory, target, batch_size) for memory in self.read(rows, root)]
        return np.concatenate(parts) if parts else np.empty((0, self.config.dim), dtype=np.float32)

    def read(self, rows: Any, root: str | Path | None = None) -> Iterator[MemoryRows]:
        """Raw rows made canonical, a few thousand at a time."""
        base = Path(root) if root else source_base(rows, Path.cwd()) if isinstance(rows, str | Path) else Path.cwd()
        each, first, most = self._iterate(rows), 1, int(self.max_file_mb * 1e6)
        while part := list(islice(each, CHUNK)):
            yield MemoryRows(part, self.processors, self.schema.inputs, sources=self.schema.sources, root=base, max_bytes=most, first=first)
            first += len(part)

    def answers(self, rows: RawRows, batch_size: int = 256) -> Iterator[dict[str, torch.Tensor]]:
        """Predictions of the heads that have one answer on the CPU, batch by batch, each of the kind its head tells.

        A column of role `both` is answered from the others alone.
        """
        loader, model = self.loader(rows), self.model
        able = [name for name in self.schema.targets if model.head(name).predicts]
        with self.evaluating():
            for part in chunks(len(rows), CHUNK):
                encoded = encode_rows(model, loader, part, self.device, batch_size)
                for _, outputs in ask_heads(model, self.schema, encoded, able, batch_size):
                    with torch.inference_mode():
                        answer = model.answers(outputs)
                    yield {name: answer[name].cpu() for name in able}

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The model in evaluation mode, and back as it was."""
        before = self.model.training
        self.model.eval()
        try:
            yield
        finally:
            self.model.train(before)

    def save(self, folder: str | Path, extra: Mapping[str, Any] | None = None) -> None:
        """Write the pipeline; each file whole or not at all, `config.json` last.

        Args:
            folder: made when it is not there.
            extra: more to say in `config.json` (where the data are, which recipe).
        """
        folder = Path(folder)
        save_processors(self.processors, folder)
        save_weights(self.model, folder / "model.safetensors")
        if self.calibration:
            self.calibration.save(folder)
        write_text(folder / "README.md", model_card(self.schema, self.config, self.model, extra or {}))
        write_json(
            folder / "config.json",
            {
                "format": FORMAT,
                "columns": self.schema.dump(),
                "specs": {name: spec.model_dump(mode="json") for name, spec in specs_of(self.processors).items()},
                "model": self.config.model_dump(mode="json"),
                **(extra or {}),
            },
        )

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "auto") -> Pipeline:
        """Read a pipeline that `save` or a training run wrote.

        Args:
            folder: the run.
            device: where the model goes; `auto` is an accelerator if there is one, else the CPU.

        Raises:
            OmnifuseError: there is none, it is incomplete, or its files do not belong together.
        """
        folder = Path(folder)
        if (folder / "checkpoints").is_dir() and not (folder / "config.json").exists():
            raise OmnifuseError(
                f"{folder}: this training has not finished; continue it with `omnifuse train RECIPE --out {folder} --resume`"
            )
        saved = read_json(folder / "config.json", "trained run")
        if not isinstance(saved, dict) or saved.get("format") != FORMAT:
            raise OmnifuseError(f"{folder}/config.json: not a run of this version of omnifuse (format {FORMAT})")
        try:
            schema = Schema.parse(saved["columns"])
            config = ModelConfig.parse(saved["model"], "model")
            specs = {name: ValueSpec.parse(spec) for name, spec in saved["specs"].items()}
            model = _model(schema, specs, config)
        except (KeyError, TypeError, AttributeError, OmnifuseError) as error:
            raise OmnifuseError(f"{folder}/config.json: incomplete or damaged ({type(error).__name__}: {error})") from None
        processors = load_processors(schema, folder)
        load_weights(model, folder / "model.safetensors")
        if device == "auto":
            device = torch.accelerator.current_accelerator() or torch.device("cpu") if torch.accelerator.is_available() else "cpu"
        pipeline = cls(schema, processors, model.eval(), config).to(device)
        pipeline.calibration = Calibration.load(folder)
        data = saved.get("recipe", {}).get("data", {})
        pipeline.max_file_mb = float(data.get("max_file_mb", pipeline.max_file_mb))
        pipeline.features_gb = float(data.get("features_gb", pipeline.features_gb))
        return pipeline

    def _iterate(self, rows: Any) -> Iterator[dict[str, Any]]:
        if isinstance(rows, Mapping) and not (rows and all(isinstance(value, list) for value in rows.values())):
            rows = [rows]
        sources = self.schema.sources
        asked = list(dict.fromkeys(sources[name] for name in self.schema.inputs))
        known = {*self.schema, *sources.values()}
        if isinstance(rows, Sequence) and not isinstance(rows, str):
            for number, row in enumerate(rows, start=1):
                if not isinstance(row, Mapping):
                    raise OmnifuseError(f"row {number}: expected a dict of columns, got {row!r}")
                for name in row:
                    if name not in known:
                        raise OmnifuseError(f'row {number}: the model has no column "{name}"; {nearest(name, asked)}')
            return iter([dict(row) for row in rows])
        table = read_table(rows)
        there = [name for name in asked if name in table.column_names]
        if not there:
            raise OmnifuseError(
                f"the table has none of the columns the model reads ({', '.join(asked)}); it has {', '.join(table.column_names)}"
            )
        for name in asked:
            others = [other for other in table.column_names if other not in known]
            if name not in there and (hint := nearest(name, others)).startswith("did you mean"):
                raise OmnifuseError(f'the table has no column "{name}"; {hint} Rename it, or drop it if {name} is really absent')
        return iterate_rows(table, there)


def save_weights(model: MultimodalModel, path: Path) -> None:
    """Write the weights as safetensors, atomically."""
    with replacing(path) as temporary:
        write_tensors({name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}, temporary)


def write_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write a safetensors file; a full disk is an `OSError`, as with other files.

    Tensors that share their memory, such as tied weights, are written under each of their names.
    """
    apart: dict[str, torch.Tensor] = {}
    known: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.contiguous()
        apart[name] = tensor.clone() if tensor.untyped_storage().data_ptr() in known else tensor
        known.add(tensor.untyped_storage().data_ptr())
    try:
        save_file(apart, path)
    except SafetensorError as error:
        raise OSError(str(error).removeprefix("Error while serializing: ")) from error


def load_weights(model: MultimodalModel, path: Path) -> None:
    """Read weights into the model.

    Raises:
        OmnifuseError: no such file, damage, or weights of another model.
    """
    try:
        weights = load_file(path)
    except FileNotFoundError:
        raise OmnifuseError(f"{path}: the weights are missing") from None
    except (SafetensorError, OSError) as error:
        raise OmnifuseError(f"{path}: the weights are damaged ({first_line(error)})") from None
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise OmnifuseError(f"{path}: these are the weights of another model ({str(error).splitlines()[1].strip()})") from None


def _model(schema: Schema, specs: Mapping[str, ValueSpec], config: ModelConfig) -> MultimodalModel:
    return MultimodalModel(config, {n: specs[n] for n in schema.inputs}, {n: specs[n] for n in schema.targets})
