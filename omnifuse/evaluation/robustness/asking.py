"""The score of every row, for rows that are encoded already: of a target, what its kind makes of the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from omnifuse.data.loader import Loader
from omnifuse.evaluation.answers import Answers, Candidates
from omnifuse.evaluation.kinds import kind_of
from omnifuse.evaluation.robustness.rows import FirstRows
from omnifuse.pipeline.features import EncodedRows
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.pipeline.retrieval import embed_values


class Target:
    """What a target is asked, and how its answers are scored."""

    def __init__(self, pipeline: Pipeline, loader: Loader, truth: Sequence[Any], name: str, batch_size: int) -> None:
        """Args: loader: of the whole rows; truth: (N,) of all of them, `None` where it is absent."""
        self.name, self.kind = name, kind_of(pipeline.head_config(name))
        self.tells, self.head, self.processor = pipeline.head_config(name).tells, pipeline.model.head(name), pipeline.processors[name]
        self.labels = list(self.processor.state().get("labels", []))
        self.candidates = None
        if self.tells == "embedding":
            values = [value for value in dict.fromkeys(truth) if self.processor.is_known(value)]
            self.candidates = Candidates(values, embed_values(pipeline, loader, name, values, batch_size))
        self.places = [place for place, value in enumerate(truth) if value is not None]
        self._truth = [truth[place] for place in self.places]

    def floor(self) -> float:
        """The main metric of the best answer that looks at no input."""
        answers = Answers(truth=self._truth, labels=self.labels, candidates=self.candidates)
        return float(self.kind.floor(answers)[self.kind.main])

    def scores(self, predictions: Tensor, truth: Sequence[Any]) -> np.ndarray:
        """(K,) of the rows whose target is known; predictions are of all of these rows, or their losses (B,) where a head draws."""
        known = [place for place, value in enumerate(truth) if value is not None]
        predicted, kept = self._read(predictions, truth)
        answers = Answers(
            rows=known,
            truth=[truth[place] for place in known],
            predicted=[predicted[place] for place in known],
            scores=kept[known],
            labels=self.labels,
            candidates=self.candidates,
        )
        return self.kind.row_scores(answers) if known else np.empty(0)

    def _read(self, predictions: Tensor, truth: Sequence[Any]) -> tuple[list[Any], np.ndarray]:
        """Decoded answers, and what the kind of target keeps of the predictions."""
        if not self.head.predicts:
            return [None] * len(predictions), predictions.numpy()[:, None]
        if self.tells == "embedding":
            return [None] * len(predictions), predictions.numpy()
        decoded = self.processor.decode(self.head.answer(predictions))
        if self.tells == "quantiles":
            return decoded, np.array([self.processor.decode(level) for level in predictions.unbind(1)], dtype=np.float64).T
        if self.tells == "text":
            return decoded, np.empty((len(decoded), 0))
        scores = np.array(decoded, dtype=np.float64) if self.tells == "number" else predictions.numpy()
        return decoded, self.kind.keep(scores, truth, self.labels)


class Asker:
    """Asks a model about encoded rows, each target with what is hidden for it."""

    def __init__(self, pipeline: Pipeline, loader: Loader, rows: FirstRows, batch_size: int) -> None:
        """Args: loader: of the rows with their targets; batch_size: rows at a time through fusion and heads."""
        self.pipeline, self.loader, self.batch_size = pipeline, loader, batch_size
        self.truths = rows.take(range(len(rows)), pipeline.schema.targets)
        self.targets = {name: Target(pipeline, loader, self.truths[name], name, batch_size) for name in pipeline.schema.targets}

    @torch.inference_mode()
    def scores(self, encoded: EncodedRows, part: np.ndarray, but: str = "") -> dict[str, np.ndarray]:
        """By target, the scores of those of the rows `part` whose target is known; nothing of the target `but`."""
        truths = {name: [self.truths[name][place] for place in part] for name in self.targets}
        told: dict[str, list[np.ndarray]] = {}
        for targets, hidden in self.pipeline.schema.questions:
            asked = [self.targets[name] for name in targets if name != but]
            given = encoded.without(hidden)
            for start in range(0, len(encoded) if asked else 0, self.batch_size):
                rows = slice(start, start + self.batch_size)
                for name, predictions in self._ask(given, rows, asked, truths).items():
                    told.setdefault(name, []).append(self.targets[name].scores(predictions.cpu(), truths[name][rows]))
        return {name: np.concatenate(parts) for name, parts in told.items()}

    def _ask(self, given: EncodedRows, rows: slice, asked: Sequence[Target], truths: Mapping[str, list[Any]]) -> dict[str, Tensor]:
        """Predictions, and the losses of heads that draw."""
        model = self.pipeline.model
        outputs = model.outputs(model.fuse(given.select(rows)), [target.name for target in asked])
        drawn = [target.name for target in asked if not target.head.predicts]
        batch = {name: self.loader.encode(name, truths[name][rows]).to(self.pipeline.device) for name in drawn}
        losses = model.losses({name: outputs[name] for name in drawn}, batch)
        return {**model.answers(outputs), **{name: loss.per_row for name, loss in losses.items()}}
