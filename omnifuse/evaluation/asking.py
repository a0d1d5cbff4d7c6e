"""Asking a model about encoded rows whose truth is known: where what it says is decoded and set beside the truth."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from omnifuse.data.loader import Loader, RawRows
from omnifuse.evaluation.answers import Answers, Candidates, join_answers
from omnifuse.evaluation.kinds import kind_of
from omnifuse.model.multimodal import Loss
from omnifuse.pipeline.features import EncodedRows, ask_heads, chunks, encode_rows
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.pipeline.retrieval import embed_values

CHUNK = 4096


class Target:
    """A target, and how predictions of it are decoded.

    Attributes:
        kind: how it is judged.
        predicts: whether there are answers; where samples are drawn there are only losses.
        blank: the answers to no row.
    """

    def __init__(self, pipeline: Pipeline, loader: Loader, name: str, truth: Sequence[Any], batch_size: int) -> None:
        """Args: truth: of all rows; what is retrieved is chosen from its different values."""
        self.head, self.processor, self.tells = pipeline.model.head(name), pipeline.processors[name], pipeline.head_config(name).tells
        self.kind, self.predicts = kind_of(pipeline.head_config(name)), self.head.predicts
        candidates = candidates_of(pipeline, loader, name, truth, batch_size) if self.tells == "embedding" else None
        self.blank = Answers(labels=list(self.processor.state().get("labels", [])), candidates=candidates)

    def answers(self, part: np.ndarray, truth: Sequence[Any], prediction: Tensor | None, loss: Loss | None) -> Answers:
        """The answers to those of the rows `part` whose target is known; from the losses (B,) where nothing is predicted."""
        known = [i for i, value in enumerate(truth) if value is not None]
        if not known:
            return self.blank
        there = [truth[i] for i in known]
        if prediction is not None:
            predicted, scores = self._decoded(prediction.cpu()[known], there)
        else:
            assert loss is not None, "where samples are drawn there are losses"
            predicted, scores = [None] * len(known), loss.per_row.cpu().numpy()[known, None]
        return Answers(
            rows=[int(part[i]) for i in known],
            truth=there,
            predicted=predicted,
            scores=scores,
            losses=np.empty(0) if loss is None else loss.per_row[loss.present].cpu().numpy(),
            labels=self.blank.labels,
            candidates=self.blank.candidates,
        )

    def _decoded(self, prediction: Tensor, truth: Sequence[Any]) -> tuple[list[Any], np.ndarray]:
        """Decoded answers to a few rows, and what is kept of the predictions."""
        if self.tells == "embedding":
            assert self.blank.candidates is not None, "a retrieval has candidates"
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


class Asker:
    """Asks a model in evaluation mode about rows, and about variants of them, each target with what is hidden for it."""

    def __init__(self, pipeline: Pipeline, rows: RawRows, truths: Mapping[str, Sequence[Any]], batch_size: int) -> None:
        """Args: rows: N of them or more; truths: by target, (N,), `None` where it is absent; batch_size: through fusion and heads."""
        self.pipeline, self.truths, self.batch_size = pipeline, truths, batch_size
        self.loader = pipeline.loader(rows, list(truths))
        self.targets = {name: Target(pipeline, self.loader, name, truth, batch_size) for name, truth in truths.items()}

    def encoded(self) -> Iterator[tuple[np.ndarray, EncodedRows]]:
        """All N rows, a few thousand at a time: which they are, and their tokens."""
        for part in chunks(len(next(iter(self.truths.values()))), CHUNK):
            yield part, encode_rows(self.pipeline.model, self.loader, part, self.pipeline.device, self.batch_size)

    @torch.inference_mode()
    def ask(self, encoded: EncodedRows, part: np.ndarray, targets: Collection[str], *, losses: bool = False) -> dict[str, Answers]:
        """By target, the answers to those of the rows `part` whose target is known; encoded are these rows, or a variant of them.

        `losses` are of the rows whose target the model can learn, and cost the encoding of the truth; those of targets that are drawn
        are always there.
        """
        model = self.pipeline.model
        parts = {name: [self.targets[name].blank] for name in targets}
        for rows, outputs in ask_heads(model, self.pipeline.schema, encoded, targets, self.batch_size):
            truths = {name: [self.truths[name][place] for place in part[rows]] for name in outputs}
            weighed = [name for name in outputs if losses or not self.targets[name].predicts]
            batch = {name: self.loader.encode(name, truths[name]).to(self.pipeline.device) for name in weighed}
            lost, predictions = model.losses({name: outputs[name] for name in weighed}, batch), model.answers(outputs)
            for name in outputs:
                parts[name].append(self.targets[name].answers(part[rows], truths[name], predictions.get(name), lost.get(name)))
        return {name: join_answers(each) for name, each in parts.items()}

    def scores(self, encoded: EncodedRows, part: np.ndarray, targets: Collection[str]) -> dict[str, np.ndarray]:
        """By target that any of these rows has, the scores of those that have it."""
        said = self.ask(encoded, part, targets)
        return {name: self.targets[name].kind.row_scores(each) for name, each in said.items() if each.truth}


def candidates_of(pipeline: Pipeline, loader: Loader, target: str, truth: Sequence[Any], batch_size: int) -> Candidates:
    """The different values of a target that the model can tell from each other, with their vectors."""
    values = [value for value in dict.fromkeys(truth) if pipeline.processors[target].is_known(value)]
    return Candidates(values, embed_values(pipeline, loader, target, values, batch_size))
