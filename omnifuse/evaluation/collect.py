"""One pass over the data: truths, predictions, and the scores of predictions with each column shuffled."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from omnifuse.core.seeds import seed_of
from omnifuse.data.dataset import Dataset
from omnifuse.data.loader import Loader
from omnifuse.evaluation.answers import Answers, Candidates
from omnifuse.evaluation.kinds import kind_of
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.pipeline.features import EncodedRows, chunks, encode_rows
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.pipeline.retrieval import embed_values

CHUNK = 4096


class _Said(NamedTuple):
    """Answers to all rows of a chunk, about one target, and the losses of those that can be learned."""

    predicted: list[Any]
    scores: list[np.ndarray]
    losses: list[np.ndarray]


def collect(
    pipeline: Pipeline, data: Dataset, *, batch_size: int, shuffle_rows: int = 0, seed: int = 0, absent: Collection[str] = ()
) -> dict[str, Answers]:
    """Ask the model about every row of the data; encoders run once for each different value.

    Args:
        pipeline: schema, processors, model.
        data: rows with their targets.
        batch_size: rows at a time through fusion and heads.
        shuffle_rows: with how many of the rows the shuffle test is done; 0 for none.
        seed: of the shuffling.
        absent: input columns that are taken away from every row.

    Returns:
        By target, its answers. Rows without the target are left out. What is retrieved is chosen from the different values
        that the target has in these rows.
    """
    targets = pipeline.schema.targets
    loader = pipeline.loader(data, targets)
    with pipeline.evaluating():
        judges = [_Judge(pipeline, loader, data, name, batch_size) for name in targets]
        for part in chunks(len(data), CHUNK):
            truths = data.take(part, targets)
            encoded = encode_rows(pipeline.model, loader, part, pipeline.device, batch_size).without(absent)
            said = _ask(pipeline, encoded, judges, truths, loader, batch_size)
            for judge in judges:
                judge.take(part, truths[judge.name], said[judge.name])
            if part[0] < shuffle_rows and len(part) > 1:
                for column in (name for name in pipeline.schema.inputs if name not in absent):
                    generator = torch.Generator().manual_seed(seed_of(seed, "shuffle", column, part[0]))
                    mixed = _ask(pipeline, encoded.shuffled(column, generator), judges, truths, None, batch_size)
                    for judge in judges:
                        judge.take_shuffled(column, truths[judge.name], mixed[judge.name])
    return {judge.name: judge.answers() for judge in judges}


class _Judge:
    """Gathers what is said about one target."""

    def __init__(self, pipeline: Pipeline, loader: Loader, data: Dataset, name: str, batch_size: int) -> None:
        self.name, self.head, self.processor = name, pipeline.model.head(name), pipeline.processors[name]
        self.tells = pipeline.head_config(name).tells
        self.kind: Kind = kind_of(pipeline.head_config(name))
        candidates = _candidates(pipeline, loader, data, name, batch_size) if self.tells == "embedding" else None
        self.blank = Answers(labels=list(self.processor.state().get("labels", [])), candidates=candidates)
        self.scores: list[np.ndarray] = []
        self.losses: list[np.ndarray] = []
        self.shuffled: dict[str, list[np.ndarray]] = {}

    def read(self, prediction: Tensor, truth: Sequence[Any]) -> tuple[list[Any], np.ndarray]:
        """Decoded answers to a few rows, and what is kept of the predictions."""
        if self.tells == "embedding":
            assert self.blank.candidates is not None
            scores = prediction.numpy()
            nearest = (scores @ self.blank.candidates.vectors.T).argmax(axis=1)
            return [self.blank.candidates.values[place] for place in nearest], scores
        decoded = self.processor.decode(self.head.answer(prediction))
        if self.tells == "quantiles":
            return decoded, np.array([self.processor.decode(level) for level in prediction.unbind(1)], dtype=np.float64).T
        if self.tells == "text":
            return decoded, np.empty((len(decoded), 0))
        scores = np.array(decoded, dtype=np.float64) if self.tells == "number" else prediction.numpy()
        return decoded, self.kind.keep(scores, truth, self.blank.labels)

    def take(self, part: np.ndarray, truth: Sequence[Any], said: _Said) -> None:
        """Remember the rows of a chunk whose target is known."""
        known = [i for i, value in enumerate(truth) if value is not None]
        self.blank.rows += [int(part[i]) for i in known]
        self.blank.truth += [truth[i] for i in known]
        self.blank.predicted += [said.predicted[i] for i in known]
        self.scores.append(np.concatenate(said.scores)[known])
        self.losses += said.losses

    def take_shuffled(self, column: str, truth: Sequence[Any], said: _Said) -> None:
        """Remember how the same rows are scored with a column shuffled."""
        known = [i for i, value in enumerate(truth) if value is not None]
        if known:
            mixed = Answers(
                truth=[truth[i] for i in known],
                predicted=[said.predicted[i] for i in known],
                scores=np.concatenate(said.scores)[known],
                labels=self.blank.labels,
                candidates=self.blank.candidates,
            )
            self.shuffled.setdefault(column, []).append(self.kind.row_scores(mixed))

    def answers(self) -> Answers:
        """All that was taken."""
        self.blank.scores = np.concatenate(self.scores) if self.scores else self.blank.scores
        self.blank.losses = np.concatenate(self.losses) if self.losses else self.blank.losses
        self.blank.shuffled = {column: np.concatenate(parts) for column, parts in self.shuffled.items()}
        return self.blank


def _candidates(pipeline: Pipeline, loader: Loader, data: Dataset, name: str, batch_size: int) -> Candidates:
    """The different values of a target that can be told from each other."""
    different: dict[Any, None] = {}
    for part in chunks(len(data), CHUNK):
        different.update(dict.fromkeys(data.take(part, [name])[name]))
    values = [value for value in different if loader.processors[name].is_known(value)]
    return Candidates(values, embed_values(pipeline, loader, name, values, batch_size))


@torch.inference_mode()
def _ask(
    pipeline: Pipeline,
    encoded: EncodedRows,
    judges: Sequence[_Judge],
    truths: dict[str, list[Any]],
    loader: Loader | None,
    batch_size: int,
) -> dict[str, _Said]:
    """Fuse and answer all encoded rows, and decode the answers; with a loader of the targets, compute the losses too."""
    model = pipeline.model
    said = {judge.name: _Said([], [], []) for judge in judges}
    for start in range(0, len(encoded), batch_size):
        rows = slice(start, start + batch_size)
        outputs = model.outputs(model.fuse(encoded.select(rows)))
        predictions = model.answers(outputs)
        for judge in judges:
            predicted, scores = judge.read(predictions[judge.name].cpu(), truths[judge.name][rows])
            said[judge.name].predicted.extend(predicted)
            said[judge.name].scores.append(scores)
        if loader is not None:
            batch = {name: loader.encode(name, truths[name][rows]).to(pipeline.device) for name in said}
            for name, loss in model.losses(outputs, batch).items():
                said[name].losses.append(loss.per_row[loss.present].cpu().numpy())
    return said
