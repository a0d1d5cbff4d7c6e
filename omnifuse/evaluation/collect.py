"""One pass over the data: truths, predictions, and what is told with each column shuffled, and with only some columns known."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from omnifuse.core.seeds import seed_of
from omnifuse.data.loader import RawRows
from omnifuse.evaluation.answers import Answers, Told, join_answers
from omnifuse.evaluation.asking import CHUNK, Asker
from omnifuse.pipeline.features import EncodedRows
from omnifuse.pipeline.pipeline import Pipeline

WRITTEN = 256  # rows whose texts are written anew with a column shuffled or hidden, for that takes a step a token


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
    data: RawRows,
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
    columns = [name for name in pipeline.schema.inputs if name not in absent]
    with pipeline.evaluating():
        asker = Asker(pipeline, data, data.take(range(len(data)), pipeline.schema.targets), batch_size)
        parts = {name: [target.blank] for name, target in asker.targets.items()}
        for part, whole in asker.encoded():
            encoded = whole.without(absent)
            said = asker.ask(encoded, part, asker.targets, losses=True)
            if part[0] < shuffle_rows and len(part) > 1:
                _tell_shuffled(asker, encoded, part, columns, said, seed)
            if subsets and part[0] < subsets.rows:
                count = min(len(part), subsets.rows - int(part[0]))
                _tell_subsets(asker, encoded.first(count), part[:count], subsets, frozenset(columns), said, seed)
            for name, answers in said.items():
                parts[name].append(answers)
    return {name: join_answers(each) for name, each in parts.items()}


def _tell_shuffled(
    asker: Asker, encoded: EncodedRows, part: np.ndarray, columns: Sequence[str], said: dict[str, Answers], seed: int
) -> None:
    """Add to what was said of these rows how they are scored with each column shuffled."""
    for column in columns:
        generator = torch.Generator().manual_seed(seed_of(seed, "shuffle", column, part[0]))
        mixed = encoded.shuffled(column, generator)
        for names, count in _by_rows(asker, said, part):
            others = [name for name in names if name != column]
            for name, scores in asker.scores(mixed.first(count), part[:count], others).items():
                said[name].shuffled[column] = scores


def _tell_subsets(
    asker: Asker, encoded: EncodedRows, part: np.ndarray, subsets: Subsets, columns: frozenset[str], said: dict[str, Answers], seed: int
) -> None:
    """Add to what was said of these rows, and more, what is told of them when only some columns are known."""
    for names, count in _by_rows(asker, said, part):
        rows, some = part[:count], encoded.first(count)
        whole = {
            name: said[name].at(range(sum(row <= rows[-1] for row in said[name].rows))) for name in names if asker.targets[name].predicts
        }
        for known in subsets.known:
            told = whole if known >= columns else asker.ask(subsets.hide(some, known, seed + int(part[0])), rows, whole)
            for name, answers in told.items():
                if answers.truth:
                    kind = asker.targets[name].kind
                    surprise = kind.surprise(answers)
                    support = kind.support(answers, whole[name].predicted)
                    said[name].subsets[known] = Told(kind.row_scores(answers), support, np.empty(0) if surprise is None else surprise)


def _by_rows(asker: Asker, names: Iterable[str], part: np.ndarray) -> Iterator[tuple[list[str], int]]:
    """Targets with the number of these rows that are asked again: all of them, but of texts the first 256 alone."""
    written = [name for name in names if asker.targets[name].tells == "text"]
    if quick := [name for name in names if name not in written]:
        yield quick, len(part)
    if written and part[0] == 0:
        yield written, min(WRITTEN, len(part))
