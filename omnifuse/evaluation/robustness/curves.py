"""Curves of quality against planted damage: each input column is damaged in every way, more and more, and the model is asked again.

What is not damaged is encoded once; a point of a curve costs one encoder, the fusion and the heads. The curve of absence costs no encoder.

Source: Liang et al. 2021 (MultiBench), arXiv 2107.07502; Taori et al. 2020, arXiv 2007.00644.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.seeds import seed_of
from omnifuse.core.values import Tokens
from omnifuse.data.loader import RawRows
from omnifuse.evaluation.answers import Answers, join_answers
from omnifuse.evaluation.asking import Asker
from omnifuse.evaluation.intervals import clusters_of, interval_of
from omnifuse.evaluation.kinds import kind_of
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.robustness.corruptions import ABSENT, CORRUPTIONS, Corruption, Known
from omnifuse.evaluation.robustness.rows import Corrupted, FirstRows
from omnifuse.evaluation.robustness.summaries import Intact, curve_of, sentences
from omnifuse.pipeline.features import EncodedRows, encode_rows
from omnifuse.pipeline.pipeline import Pipeline

TAKEN_AWAY = Corruption(ABSENT, "share of rows without it", (0.25, 0.5, 0.75, 1.0), "", strongest=1)
Scores = dict[tuple[str, str, float], dict[str, list[np.ndarray]]]


def robustness(
    pipeline: Pipeline,
    data: RawRows,
    *,
    batch_size: int = 512,
    rows: int = 500,
    seed: int = 0,
    columns: Sequence[str] | None = None,
    corruptions: Sequence[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Measure how the main metric of every target falls when input columns are damaged, or taken away from a share of the rows.

    Args:
        pipeline: trained.
        data: rows with their targets, such as a split of a dataset.
        batch_size: rows at a time.
        rows: the first so many are used.
        seed: of the damage; the same gives every model the same damage.
        columns: input columns to damage; all by default.
        corruptions: names of damages, `absent` among them; all that the modality of a column has by default.

    Returns:
        By target `metric`, `lower_is_better`, `unit_of_one`, `rows` (whose target is known), `intact` with its 95 % bootstrap `interval`,
        `floor`, `columns` (by column its `modality` and its `curves`, by damage, as `curve_of` gives them) and `sentences`. A column of
        role `both` has no curve where it is asked for itself. Targets that no row has are left out.

    Raises:
        OmnifuseError: no row, no such input column, or no such damage; the nearest is offered.
    """
    some = FirstRows(data, rows)
    if len(some) == 0:
        raise OmnifuseError("robustness: there is no row to damage")
    plan = plan_of(pipeline, columns, corruptions)
    whole: list[dict[str, Answers]] = []
    scores: Scores = {}
    with pipeline.evaluating():
        asker = Asker(pipeline, data, some.take(range(len(some)), pipeline.schema.targets), batch_size)
        known = {column: _known(pipeline, some, column) for column in plan}
        for part, encoded in asker.encoded():
            whole.append(asker.ask(encoded, part, asker.targets))
            for column, each in plan.items():
                for corruption in each:
                    for level in corruption.levels:
                        if corruption.name == ABSENT:
                            damaged = without_in(encoded, column, taken_away(some.ids, column, level, seed)[part])
                        else:
                            broken = Corrupted(some, column, corruption, level, known[column], seed)
                            damaged = _reencoded(pipeline, broken, encoded, column, part, batch_size)
                        others = [name for name in asker.targets if name != column]
                        for name, each_row in asker.scores(damaged, part, others).items():
                            scores.setdefault((column, corruption.name, level), {}).setdefault(name, []).append(each_row)
    answers = {name: join_answers([said[name] for said in whole]) for name in asker.targets}
    return {
        name: _summary(pipeline, name, _intact(asker.targets[name].kind, told, some.groups, seed), scores, plan)
        for name, told in answers.items()
        if told.truth
    }


def plan_of(pipeline: Pipeline, columns: Sequence[str] | None, corruptions: Sequence[str] | None) -> dict[str, list[Corruption]]:
    """By input column, the damages that are asked for.

    Raises:
        OmnifuseError: an unknown name.
    """
    schema = pipeline.schema
    for column in columns or ():
        if column not in schema.inputs:
            raise unknown("input column", column, schema.inputs, where="robustness.columns")
    chosen = schema.inputs if columns is None else [name for name in schema.inputs if name in columns]
    able = {name: [*CORRUPTIONS.get(schema[name].modality, {}).values(), TAKEN_AWAY] for name in chosen}
    names = list(dict.fromkeys(corruption.name for each in able.values() for corruption in each))
    for name in corruptions or ():
        if name not in names:
            raise unknown("corruption", name, names, where="robustness.corruptions")
    wanted = {name: [each for each in able[name] if corruptions is None or each.name in corruptions] for name in chosen}
    return {name: each for name, each in wanted.items() if each}


def taken_away(ids: Sequence[str], column: str, share: float, seed: int) -> np.ndarray:
    """(N,) bool: the ⌊share·N⌉ rows whose draw is smallest; of a smaller share they are among those of a larger one."""
    draws = np.array([seed_of(seed, ABSENT, column, row) for row in ids])
    taken = np.zeros(len(ids), dtype=bool)
    taken[np.argsort(draws, kind="stable")[: round(share * len(ids))]] = True
    return taken


def without_in(encoded: EncodedRows, column: str, taken: np.ndarray) -> EncodedRows:
    """The same rows with the value of a column absent in those that are `taken` (N,) bool."""
    tokens, index = encoded.tokens[column], encoded.index[column]
    blank = Tokens(torch.zeros_like(tokens.values[:1]), torch.zeros_like(tokens.mask[:1]))
    gone = torch.as_tensor(taken, device=index.device)
    replaced = torch.where(gone, len(tokens.mask), index)
    return EncodedRows({**encoded.tokens, column: Tokens.concatenate([tokens, blank])}, {**encoded.index, column: replaced})


def _reencoded(pipeline: Pipeline, rows: RawRows, encoded: EncodedRows, column: str, part: np.ndarray, batch_size: int) -> EncodedRows:
    """The same rows with one column as it is in these."""
    own = encode_rows(pipeline.model, pipeline.loader(rows), part, pipeline.device, batch_size, columns=[column])
    return EncodedRows({**encoded.tokens, **own.tokens}, {**encoded.index, **own.index})


def _known(pipeline: Pipeline, rows: FirstRows, column: str) -> Known:
    """What damage may know of a column; the values of other rows where they are no files."""
    processor = pipeline.processors[column]
    others = () if processor.is_media else rows.take(range(len(rows)), [column])[column]
    return Known(pipeline.schema[column].modality, processor, [value for value in others if value is not None])


def _intact(kind: Kind, answers: Answers, groups: Sequence[str | None], seed: int) -> Intact:
    clusters = clusters_of([groups[row] for row in answers.rows], len(answers.rows))
    floor = float(kind.floor(answers)[kind.main])
    return Intact(kind.row_scores(answers), clusters, floor, kind.lower_is_better, kind.unit_of_one, seed)


def _summary(pipeline: Pipeline, target: str, intact: Intact, scores: Scores, plan: dict[str, list[Corruption]]) -> dict[str, Any]:
    """All that is told of one target."""
    columns: dict[str, Any] = {}
    for column, each in plan.items():
        if column == target:
            continue
        curves = {}
        for corruption in each:
            levels = np.stack([np.concatenate(scores[column, corruption.name, level][target]) for level in corruption.levels])
            curves[corruption.name] = curve_of(corruption, intact, levels)
        columns[column] = {"modality": pipeline.schema[column].modality, "curves": curves}
    found = {
        "metric": kind_of(pipeline.head_config(target)).main,
        "lower_is_better": intact.lower_is_better,
        "unit_of_one": intact.unit_of_one,
        "rows": len(intact.scores),
        "intact": float(intact.scores.mean()),
        "interval": interval_of(intact.draw(intact.scores[None])[:, 0]),
        "floor": intact.floor,
        "columns": columns,
    }
    return {**found, "sentences": sentences(target, found)}
