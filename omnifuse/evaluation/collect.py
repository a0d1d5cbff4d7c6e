"""One pass over the data: truths, predictions, and what is told with each column shuffled, and with only some columns known."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from omnifuse.core.seeds import seed_of
from omnifuse.data.dataset import Dataset
from omnifuse.data.loader import Loader
from omnifuse.evaluation.answers import Answers, Candidates, Told
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


@dataclass(frozen=True)
class Subsets:
    """Which sets of input columns are to be known, with how many of the rows, and what hides the others.

    Attributes:
        known: sets of columns.
        rows: the first so many of the rows.
        dealt: columns that are hidden by dealing their values out anew among the rows; the others are taken away.
    """

    known: Sequence[frozenset[str]] = ()
    rows: int = CHUNK
    dealt: Collection[str] = ()

    def hide(self, encoded: EncodedRows, known: frozenset[str], seed: int) -> EncodedRows:
        """The rows with only these columns known."""
        hidden = [name for name in encoded.index if name not in known]
        given = encoded.without([name for name in hidden if name not in self.dealt])
        for name in hidden:
            if name in self.dealt:
                given = given.shuffled(name, torch.Generator().manual_seed(seed_of(seed, "subsets", name)))
        return given


def collect(
    pipeline: Pipeline,
    data: Dataset,
    *,
    batch_size: int,
    shuffle_rows: int = 0,
    seed: int = 0,
    absent: Collection[str] = (),
    subsets: Subsets | None = None,
) -> dict[str, Answers]:
    """Ask the model about every row of the data; encoders run once for each different value.

    Args:
        pipeline: schema, processors, model.
        data: rows with their targets.
        batch_size: rows at a time through fusion and heads.
        shuffle_rows: with how many of the rows the shuffle test is done; 0 for none.
        seed: of the shuffling.
        absent: input columns that are taken away from every row.
        subsets: of columns, that are asked as well.

    Returns:
        By target, its answers. Rows without the target are left out. What is retrieved is chosen from the different values
        that the target has in these rows. A column of role `both` is asked for while it is hidden. Where samples are drawn there
        are no answers, only losses.
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
                    others = [judge for judge in judges if judge.name != column]
                    mixed = _ask(pipeline, encoded.shuffled(column, generator), others, truths, loader, batch_size, learned=False)
                    for judge in others:
                        judge.take_shuffled(column, truths[judge.name], mixed[judge.name])
            count = min(len(part), subsets.rows - int(part[0])) if subsets else 0
            if subsets and count > 0:
                some, answerable = encoded.first(count), [judge for judge in judges if judge.head.predicts]
                heads = {judge.name: truths[judge.name][:count] for judge in answerable}
                for known in subsets.known:
                    if known >= some.index.keys() - set(absent):
                        told = said
                    else:
                        given = subsets.hide(some, known, seed + int(part[0]))
                        told = _ask(pipeline, given, answerable, heads, loader, batch_size, learned=False)
                    for judge in answerable:
                        judge.take_subset(known, heads[judge.name], told[judge.name], said[judge.name])
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
        self.subsets: dict[frozenset[str], list[Told]] = {}

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
        if mixed := self.answers_to(truth, said):
            self.shuffled.setdefault(column, []).append(self.kind.row_scores(mixed))

    def take_subset(self, known: frozenset[str], truth: Sequence[Any], told: _Said, said: _Said) -> None:
        """Remember what the same rows say when only some columns are known, beside what was said of the whole rows."""
        if some := self.answers_to(truth, told):
            whole = [answer for answer, value in zip(said.predicted, truth, strict=False) if value is not None]
            surprise = self.kind.surprise(some)
            each = Told(self.kind.row_scores(some), self.kind.support(some, whole), np.empty(0) if surprise is None else surprise)
            self.subsets.setdefault(known, []).append(each)

    def answers_to(self, truth: Sequence[Any], said: _Said) -> Answers | None:
        """What was said of the rows whose target is known; `None` where no row has one."""
        known = [i for i, value in enumerate(truth) if value is not None]
        if not known:
            return None
        return Answers(
            truth=[truth[i] for i in known],
            predicted=[said.predicted[i] for i in known],
            scores=np.concatenate(said.scores)[known],
            labels=self.blank.labels,
            candidates=self.blank.candidates,
        )

    def answers(self) -> Answers:
        """All that was taken."""
        self.blank.scores = np.concatenate(self.scores) if self.scores else self.blank.scores
        self.blank.losses = np.concatenate(self.losses) if self.losses else self.blank.losses
        self.blank.shuffled = {column: np.concatenate(parts) for column, parts in self.shuffled.items()}
        for known, parts in self.subsets.items():
            scores, support, surprise = (np.concatenate(values) for values in zip(*map(astuple, parts), strict=True))
            self.blank.subsets[known] = Told(scores, support, surprise)
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
    loader: Loader,
    batch_size: int,
    learned: bool = True,
) -> dict[str, _Said]:
    """Fuse all encoded rows, answer them with what is asked for hidden, and decode the answers; compute the losses where they are
    `learned`, or all that a head tells.
    """
    model = pipeline.model
    said = {judge.name: _Said([], [], []) for judge in judges}
    for targets, hidden in pipeline.schema.questions:
        asked = [judge for judge in judges if judge.name in targets]
        given = encoded.without(hidden)
        for start in range(0, len(encoded) if asked else 0, batch_size):
            rows = slice(start, start + batch_size)
            outputs = model.outputs(model.fuse(given.select(rows)), [judge.name for judge in asked])
            weighed = [judge.name for judge in asked if learned or not judge.head.predicts]
            batch = {name: loader.encode(name, truths[name][rows]).to(pipeline.device) for name in weighed}
            losses, predictions = model.losses({name: outputs[name] for name in weighed}, batch), model.answers(outputs)
            for judge in asked:
                if judge.head.predicts:
                    predicted, scores = judge.read(predictions[judge.name].cpu(), truths[judge.name][rows])
                else:
                    scores = losses[judge.name].per_row.cpu().numpy()[:, None]
                    predicted = [None] * len(scores)
                said[judge.name].predicted.extend(predicted)
                said[judge.name].scores.append(scores)
                if judge.name in losses:
                    loss = losses[judge.name]
                    said[judge.name].losses.append(loss.per_row[loss.present].cpu().numpy())
    return said
