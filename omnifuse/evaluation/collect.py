"""One pass over the data: truths, predictions, and predictions with each column shuffled."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from omnifuse.core.seeds import seed_of
from omnifuse.core.values import Batch
from omnifuse.data.dataset import Dataset
from omnifuse.data.loader import Loader
from omnifuse.pipeline.features import EncodedRows, chunks, encode_rows
from omnifuse.pipeline.pipeline import Pipeline

CHUNK = 4096


@dataclass
class Answers:
    """What a model said about one target, for the N rows whose target is known.

    Attributes:
        rows: (N,) their places in the dataset.
        truth: their true values.
        predicted: the answers.
        scores: (N, K) probabilities of a category, (N,) of a number in its unit.
        losses: (L,) the loss of the head, of the rows whose target the model can learn.
        shuffled: by input column, the answers to the first rows when that column is dealt out anew.
    """

    rows: list[int] = field(default_factory=list)
    truth: list[Any] = field(default_factory=list)
    predicted: list[Any] = field(default_factory=list)
    scores: np.ndarray = field(default_factory=lambda: np.empty(0))
    losses: np.ndarray = field(default_factory=lambda: np.empty(0))
    shuffled: dict[str, list[Any]] = field(default_factory=dict)


class _Said(NamedTuple):
    """Answers to all rows of a chunk, about one target."""

    predicted: list[Any]
    scores: np.ndarray
    losses: np.ndarray


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
        By target, its answers. Rows without the target are left out.
    """
    targets = pipeline.schema.targets
    loader = Loader(data, pipeline.processors, pipeline.schema.inputs, targets, cache_mb=256)
    answers = {name: Answers() for name in targets}
    with pipeline.evaluating():
        for part in chunks(len(data), CHUNK):
            truths = data.take(part, targets)
            batch = {name: loader.encode(name, truths[name]).to(pipeline.device) for name in targets}
            known = {name: [i for i, value in enumerate(truths[name]) if value is not None] for name in targets}
            encoded = encode_rows(pipeline.model, loader, part, pipeline.device, batch_size).without(absent)
            for name, said in _ask(pipeline, encoded, batch, batch_size).items():
                _extend(answers[name], part, truths[name], said, known[name])
            if part[0] < shuffle_rows and len(part) > 1:
                for column in (name for name in pipeline.schema.inputs if name not in absent):
                    generator = torch.Generator().manual_seed(seed_of(seed, "shuffle", column, part[0]))
                    for name, said in _ask(pipeline, encoded.shuffled(column, generator), batch, batch_size).items():
                        answers[name].shuffled.setdefault(column, []).extend(said.predicted[i] for i in known[name])
    return answers


def _extend(answers: Answers, part: np.ndarray, truth: list[Any], said: _Said, known: list[int]) -> None:
    answers.rows += [int(part[i]) for i in known]
    answers.truth += [truth[i] for i in known]
    answers.predicted += [said.predicted[i] for i in known]
    answers.scores = np.concatenate([answers.scores, said.scores[known]]) if answers.scores.size else said.scores[known]
    answers.losses = np.concatenate([answers.losses, said.losses])


@torch.inference_mode()
def _ask(pipeline: Pipeline, encoded: EncodedRows, targets: Batch, batch_size: int) -> dict[str, _Said]:
    """Fuse and answer all encoded rows, and decode the answers."""
    model = pipeline.model
    predictions: dict[str, list[Tensor]] = {name: [] for name in targets}
    losses: dict[str, list[Tensor]] = {name: [] for name in targets}
    for start in range(0, len(encoded), batch_size):
        rows = slice(start, start + batch_size)
        outputs = model.outputs(model.fuse(encoded.select(rows)))
        for name, answer in model.answers(outputs).items():
            predictions[name].append(answer)
        for name, loss in model.losses(outputs, {name: values.select(rows) for name, values in targets.items()}).items():
            losses[name].append(loss.per_row[loss.present])
    result = {}
    for name in targets:
        prediction = torch.cat(predictions[name]).cpu()
        decoded = pipeline.processors[name].decode(model.head(name).answer(prediction))
        scores = prediction.numpy() if prediction.ndim > 1 else np.array(decoded, dtype=np.float64)
        result[name] = _Said(decoded, scores, torch.cat(losses[name]).cpu().numpy())
    return result
