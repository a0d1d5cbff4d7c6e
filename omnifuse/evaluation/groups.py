"""Figures by group: is a model as good for some as for others?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.schema import Column
from omnifuse.core.seeds import seed_of
from omnifuse.data.dataset import Dataset
from omnifuse.data.modalities.config import DatetimeConfig, column_config
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.data.modalities.instants import zone_of
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.intervals import bootstrap_weights, clusters_of, interval_of, scale_of
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.kinds.label import Label
from omnifuse.evaluation.kinds.labels import Labels
from omnifuse.evaluation.slices.quarters import moments_worded, numbers_of, quarters
from omnifuse.evaluation.statistics import holm
from omnifuse.evaluation.weighing import ratio
from omnifuse.page.words import figure, quantity, shorten, span

MOST_PARTS, MOST_LABELS, FEW_NUMBERS = 20, 10, 8
MOST_SAID = 2  # labels in sentences
LEAST_ROWS, LEAST_OF_LABEL = 30, 10  # that a part needs to be compared
LEVEL, DRAWS, FEWEST_DRAWS = 0.05, 1000, 500
AFFORDABLE = 40_000_000  # rows dealt out, all draws together
AT_ONCE = 20_000_000  # numbers in memory
SLOW = 100_000  # rows times labels, up to which slow metrics get intervals too
VISIBLE, SMALL = 0.02, 0.05  # points; twice that of the error of a number
ABSENT, OTHER = "absent", "other"

Part = tuple[str, np.ndarray]  # a name, and (N,) bool which rows


class Question(NamedTuple):
    """A mean over rows that is compared between parts: (N,) values, (N,) bool which rows it is about, and the rows a part needs."""

    values: np.ndarray
    about: np.ndarray
    least: int


def by_group(
    target: str,
    data: Dataset,
    answers: Answers,
    kind: Kind,
    columns: Sequence[str],
    *,
    groups: Sequence[str | None] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """All metrics of a target by the values of some columns, and how far the parts lie apart.

    A number or a moment is cut into quarters, a text of many values by its length; of more than 20 values the most frequent ones have
    a part of their own, and the others are together; absent is a part. Parts of fewer than 30 rows are told and not compared.

    Gap = largest − smallest mean of a part. Of labels also, for each of the ten most frequent: the gap of its recall (equal
    opportunity) and of the share of rows that get it as answer (demographic parity). The interval of a gap is that of a bootstrap over
    rows, or over groups of rows; its p that of dealing out the parts anew among the rows (among groups of the same size), with the
    statistic Σ_parts n·(mean − mean of all)², corrected by Holm over all that is compared.

    Source: Hardt et al. 2016, arXiv 1610.02413 (equal opportunity); Dwork et al. 2012, arXiv 1104.3913 (statistical parity).

    Args:
        target: its name.
        data: the rows that were judged.
        answers: to this target.
        kind: of the target.
        columns: of the dataset, those of role `meta` among them.
        groups: (N,) of the rows of the answers; rows of one group belong together.
        seed: of draws.

    Returns:
        `metric`; by column in `columns` its `parts` (`name`, `rows`, `metrics`, `intervals`; slow metrics have one where rows × labels are
        at most 100,000), `gap`, and `labels` (`label`, and of `recall` and `rate` the `values` by part and the `gap`); and `sentences`.
        A gap has `value`, `interval`, `highest`, `lowest`, `p` and a `verdict`: `differs`, `alike` (below 5 points, 10 % of the error of
        a number, with all of its interval) or `unclear`.

    Raises:
        OmnifuseError: no such column, or one of files.
    """
    clusters = clusters_of(groups, len(answers.truth))
    parts = {name: parts_of(_column(data, name), data.take(answers.rows, [name])[name]) for name in columns}
    questions = _questions(kind, answers)
    draws = min(max(DRAWS, 25 * len(questions) * len(columns)), max(FEWEST_DRAWS, AFFORDABLE // max(1, len(clusters))))
    compared = {name: _compare(each, questions, clusters, seed_of(seed, "groups", target, name), draws) for name, each in parts.items()}
    _correct([gap for gaps in compared.values() for gap in gaps.values() if gap], _scale(kind, answers))
    told = {}
    for name, each in parts.items():
        labels = list(dict.fromkeys(label for what, label in compared[name] if what != "score"))
        told[name] = {
            "parts": [_part(kind, answers, clusters, part, seed_of(seed, "part", target, name, part[0])) for part in each],
            "gap": compared[name]["score", ""],
            "labels": [
                {
                    "label": label,
                    **{what: _shares(each, questions[what, label], compared[name][what, label]) for what in ("recall", "rate")},
                }
                for label in labels
            ],
        }
    sentences = [said for name in columns for said in _sentences(target, name, kind, told[name])]
    return {"metric": kind.main, "columns": told, "sentences": sentences}


def parts_of(column: Column, values: Sequence[Any]) -> list[Part]:
    """The rows by the value of a column, each in one part; those that are absent last."""
    absent = np.array([value is None for value in values], dtype=bool)
    modality, different = column.modality, len({value for value in values if value is not None})
    if modality == "datetime" or (modality == "number" and different > FEW_NUMBERS):
        found = _amounts(column, numbers_of(list(values)))
    elif modality == "text" and different > MOST_PARTS:
        lengths = np.array([np.nan if value is None else len(value) for value in values])
        found = [(f"{words} letters", rows) for words, rows in quarters(lengths)]
    else:
        found = _most_frequent([None if value is None else _word(value) for value in values])
    return [*found, (ABSENT, absent)] if absent.any() else found


def _amounts(column: Column, values: np.ndarray) -> list[Part]:
    options = column_config(column)
    return quarters(values, moments_worded(values, zone_of(options.timezone)) if isinstance(options, DatetimeConfig) else quantity)


def _most_frequent(words: Sequence[str | None]) -> list[Part]:
    counts = Counter(word for word in words if word is not None)
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    named, rest = ordered[:MOST_PARTS], set(ordered[MOST_PARTS:])
    found = [(shorten(name, 60), np.array([word == name for word in words], dtype=bool)) for name in sorted(named)]
    return [*found, (OTHER, np.array([word in rest for word in words], dtype=bool))] if rest else found


def _word(value: Any) -> str:
    return ", ".join(value) or "empty" if isinstance(value, tuple) else quantity(value) if isinstance(value, float) else str(value)


def _column(data: Dataset, name: str) -> Column:
    if name not in data.schema.stored:
        raise unknown("column", name, data.schema.stored, where="evaluate.by")
    column = data.schema[name]
    if processor_class(column.modality).is_media or column.modality == "vector":
        raise OmnifuseError(
            f"evaluate.by: {name} holds a value of modality {column.modality} in each row; name a column of labels or numbers"
        )
    return column


def _scale(kind: Kind, answers: Answers) -> float:
    return (1 if kind.unit_of_one else 2) * scale_of(float(np.nanmean(kind.row_scores(answers))), kind.unit_of_one)


def _questions(kind: Kind, answers: Answers) -> dict[tuple[str, str], Question]:
    """What is compared, by (`score`, `recall` or `rate`, label)."""
    scores = kind.row_scores(answers)
    found = {("score", ""): Question(np.nan_to_num(scores), np.isfinite(scores), LEAST_ROWS)}
    if not isinstance(kind, Label | Labels):
        return found
    truth, said = ([value if isinstance(value, tuple) else (value,) for value in values] for values in (answers.truth, answers.predicted))
    counts = Counter(label for labels in truth for label in labels)
    for label in sorted(counts, key=lambda label: (-counts[label], label))[:MOST_LABELS]:
        is_true, is_said = (np.array([label in labels for labels in each]) for each in (truth, said))
        found["recall", str(label)] = Question(is_said.astype(np.float64), is_true, LEAST_OF_LABEL)
        found["rate", str(label)] = Question(is_said.astype(np.float64), np.ones(len(truth), dtype=bool), LEAST_ROWS)
    return found


def _compare(
    parts: Sequence[Part], questions: dict[tuple[str, str], Question], clusters: np.ndarray, seed: int, draws: int
) -> dict[tuple[str, str], dict[str, Any] | None]:
    """The gap of each question; `None` where fewer than two parts have enough rows."""
    inside = np.stack([rows for _, rows in parts], axis=1).astype(np.float32)  # (N, P)
    about = np.stack([each.about for each in questions.values()], axis=1).astype(np.float32)  # (N, Q)
    values = np.stack([each.values for each in questions.values()], axis=1).astype(np.float32) * about
    counts, sums = inside.T @ about, inside.T @ values  # (P, Q)
    enough = counts >= np.array([each.least for each in questions.values()])
    observed = ratio(sums.astype(np.float64), counts.astype(np.float64))
    resampled = _resampled(inside, values, about, clusters, seed)
    ps = _permutation_ps(inside, values, about, enough, clusters, seed, draws)
    gaps: dict[tuple[str, str], dict[str, Any] | None] = {}
    for place, key in enumerate(questions):
        able = np.flatnonzero(enough[:, place])
        gaps[key] = None
        if len(able) > 1:
            high, low = (int(able[pick(observed[able, place])]) for pick in (np.argmax, np.argmin))
            gaps[key] = {
                "value": float(observed[high, place] - observed[low, place]),
                "interval": interval_of(resampled[:, high, place] - resampled[:, low, place]),
                "highest": parts[high][0],
                "lowest": parts[low][0],
                "p": float(ps[place]),
            }
    return gaps


def _resampled(inside: np.ndarray, values: np.ndarray, about: np.ndarray, clusters: np.ndarray, seed: int) -> np.ndarray:
    """(B, P, Q) the means in draws of a bootstrap, of as many questions at a time as memory allows."""
    size = max(1, AT_ONCE // (2 * inside.size))
    blocks = []
    for at in range(0, values.shape[1], size):
        block = [each[:, at : at + size] for each in (values, about)]
        pairs = np.concatenate([(inside[:, :, None] * each[:, None, :]).reshape(len(inside), -1) for each in block], axis=1)
        drawn = np.concatenate([weights @ pairs for weights in bootstrap_weights(clusters, seed)]).astype(np.float64)
        above, below = np.split(drawn.reshape(len(drawn), 2, inside.shape[1], -1), 2, axis=1)
        blocks.append(ratio(above[:, 0], below[:, 0]))
    return np.concatenate(blocks, axis=2)


def _permutation_ps(
    inside: np.ndarray, values: np.ndarray, about: np.ndarray, enough: np.ndarray, clusters: np.ndarray, seed: int, draws: int
) -> np.ndarray:
    """(Q,) (1 + how many dealings have a statistic at least as large) / (1 + draws)."""
    columns = np.concatenate([values, about], axis=1)
    whole = ratio(values.sum(axis=0, dtype=np.float64), about.sum(axis=0, dtype=np.float64))

    def statistic(dealt: np.ndarray) -> np.ndarray:
        sums, counts = np.split((dealt.T @ columns).astype(np.float64), 2, axis=1)
        return np.where(enough & (counts > 0), counts * (ratio(sums, counts) - whole) ** 2, 0.0).sum(axis=0)

    seen, reached = statistic(inside), np.zeros(values.shape[1])
    for order in _dealings(clusters, seed, draws):
        reached += statistic(inside[order]) >= seen * (1 - 1e-9)
    return (1 + reached) / (1 + draws)


def _dealings(clusters: np.ndarray, seed: int, draws: int) -> Iterator[np.ndarray]:
    """(N,) from which row each row gets its part: whole clusters change places with others of their size."""
    generator = np.random.default_rng(seed_of(seed, "dealing"))
    sizes = np.bincount(clusters)[clusters]
    order = np.lexsort((clusters, sizes))
    blocks = [order[sizes[order] == size].reshape(-1, size) for size in np.unique(sizes)]
    for _ in range(draws):
        dealt = np.empty(len(clusters), dtype=np.int64)
        for block in blocks:
            dealt[block] = block[generator.permutation(len(block))]
        yield dealt


def _correct(gaps: Sequence[dict[str, Any]], scale: float) -> None:
    """Correct the ps, and give the verdicts; `scale` is 1 for shares."""
    for gap, p in zip(gaps, holm(np.array([gap["p"] for gap in gaps])), strict=True):
        gap["p"] = float(p)
        differs = p <= LEVEL and gap["value"] >= VISIBLE * scale
        gap["verdict"] = "differs" if differs else "alike" if gap["interval"][1] < SMALL * scale else "unclear"


def _part(kind: Kind, answers: Answers, clusters: np.ndarray, part: Part, seed: int) -> dict[str, Any]:
    name, rows = part
    chosen = np.flatnonzero(rows)
    if not len(chosen):
        return {"name": name, "rows": 0, "metrics": {}, "intervals": {}}
    own = answers.at(chosen)
    metrics = {metric: value for metric, value in kind.metrics(own).items() if np.isfinite(value)}
    is_quick = len(answers.truth) * max(1, len(answers.labels)) <= SLOW
    measure = kind.measure(own, leave_out=() if is_quick else kind.slow)
    _, renumbered = np.unique(clusters[chosen], return_inverse=True)
    drawn = [measure(weights) for weights in bootstrap_weights(renumbered, seed)]
    intervals = {metric: np.concatenate([each[metric] for each in drawn]) for metric in metrics if metric in drawn[0]}
    told = {metric: interval_of(values) for metric, values in intervals.items() if not np.isnan(values).all()}
    return {"name": name, "rows": len(chosen), "metrics": metrics, "intervals": told}


def _shares(parts: Sequence[Part], question: Question, gap: dict[str, Any] | None) -> dict[str, Any]:
    shares = {}
    for name, rows in parts:
        chosen = rows & question.about
        shares[name] = float(question.values[chosen].mean()) if chosen.any() else None
    return {"values": shares, "gap": gap}


def _sentences(target: str, column: str, kind: Kind, told: dict[str, Any]) -> Iterator[str]:
    """What differs; and where nothing does, that."""
    gap = told["gap"]
    if gap is None:
        yield f"For {target}, too few rows to compare {kind.main} by {column}: fewer than two parts have {LEAST_ROWS} rows."
        return
    values = {part["name"]: part["metrics"].get(kind.main, float("nan")) for part in told["parts"]}
    words = {"differs": "differs by", "alike": "is alike by", "unclear": "cannot be told apart by"}[gap["verdict"]]
    size = f"a gap of {figure(gap['value'])} ({span(gap['interval'])})"
    yield f"For {target}, {kind.main} {words} {column}: {_between(column, gap, values)}, {size}."
    for what, said in (("recall", "the share of {} that it finds"), ("rate", "the share of rows that it answers with {}")):
        apart = [(each["label"], each[what]) for each in told["labels"] if (each[what]["gap"] or {}).get("verdict") == "differs"]
        for label, found in sorted(apart, key=lambda pair: -pair[1]["gap"]["value"])[:MOST_SAID]:
            yield f"For {target}, {said.format(label)} differs by {column}: {_between(column, found['gap'], found['values'])}."


def _between(column: str, gap: dict[str, Any], values: dict[str, float]) -> str:
    """From where to where."""
    return " to ".join(f"{figure(values[gap[end]])} ({column} {gap[end]})" for end in ("lowest", "highest"))
