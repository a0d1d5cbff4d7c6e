"""How the contenders stand: chosen on validation, told on test, so that the best of many is not taken for better than it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal, NamedTuple

import numpy as np

from omnifuse.evaluation.statistics import Interval, Rows, holm, over_rows, over_seeds, paired_t, sign_flip
from omnifuse.study.compare.contenders import Contender
from omnifuse.study.compare.judging import Measure, Scores
from omnifuse.study.compare.words import gain_words

WORTH = 0.01  # a gain below one point of a hundred (or one percent of the error) is no help
Verdict = Literal["helps", "does not help", "cannot be told"]


class Figure(NamedTuple):
    """A mean over seeds and test rows.

    Attributes:
        interval: the mean, and to each side the wider reach of the two intervals.
        over_seeds: how far it holds for another training; `None` with one seed.
        over_rows: how far it holds for other rows.
        seeds: by seed.
    """

    interval: Interval
    over_seeds: Interval | None
    over_rows: Interval
    seeds: list[float]


class Gain(NamedTuple):
    """How much better a contender is than another, in the metric's own numbers; more than 0 is better, whatever the metric.

    Attributes:
        interval, over_seeds, over_rows, seeds: as those of a `Figure`.
        p: of no difference; the larger one of the two tests, so both have to be passed (intersection–union, Berger 1982).
        p_holm: corrected for the number of contenders.
    """

    interval: Interval
    over_seeds: Interval | None
    over_rows: Interval
    seeds: list[float]
    p: float
    p_holm: float


@dataclass(frozen=True)
class Standing:
    """How one contender did in one target.

    Attributes:
        contender: who.
        test: the metric on the test split.
        validation: its mean over seeds on the validation split.
        gain: over the best single column; `None` for that one itself.
    """

    contender: Contender
    test: Figure
    validation: float
    gain: Gain | None


class Rival(NamedTuple):
    """A single column, not the best one on validation, that the best fusion is not surely better than on test."""

    key: str
    gain: Gain


@dataclass(frozen=True)
class Outcome:
    """All contenders in one target, the best test figure first, and what follows from them.

    Attributes:
        target: its column.
        measure: the metric.
        rows: of the test split, whose target is known; `groups` of them belong together.
        standings: by rank.
        single, fusion: keys of the best single column and of the best fusion on the validation split; `None` without any.
        rival: a column that casts doubt on a gain over the best single one; of several the one that is doubted most.
        verdict: whether fusion helps.
        sentence: the same in words.
    """

    target: str
    measure: Measure
    rows: int
    groups: int
    standings: list[Standing]
    single: str | None
    fusion: str | None
    rival: Rival | None
    verdict: Verdict
    sentence: str

    def of(self, key: str) -> Standing:
        """The standing of a contender."""
        return next(standing for standing in self.standings if standing.contender.key == key)


class Field(NamedTuple):
    """What is compared: who takes part, what each scored by seed, and how far the seeds' training rows overlap (`over_seeds`)."""

    contenders: Sequence[Contender]
    scores: Mapping[str, Sequence[Scores]]
    overlap: float


def outcome_of(target: str, measure: Measure, field: Field) -> Outcome:
    """Rank the contenders of one target, and say whether fusion helps.

    The best single column and the best fusion are those with the best mean on the validation split over all seeds; the
    difference between these two is then told on the test split, which has chosen neither. Fusion *helps* when the interval
    of its gain lies above 0, over this column and over every other one alone: only then is it better than the best of them,
    whichever that is (intersection–union). It *does not help* when the whole interval of the gain lies below one point of a
    hundred (one percent of the error of a number). Else it *cannot be told*.
    """
    single = _best("single", measure, field)
    fusion = _best("fusion", measure, field)
    gains = {} if single is None else _gains(single, measure, field)
    standings = [_standing(contender, gains.get(contender.key), measure, field) for contender in field.contenders]
    standings.sort(
        key=lambda standing: (-measure.sign * standing.test.interval.mean, standing.contender.kind != "single", standing.contender.key)
    )
    first = next(iter(field.scores.values()))
    known = np.unique(np.concatenate([scores.test.clusters for scores in first]))
    rows = round(fmean(len(scores.rows) for scores in first))
    rival = _rival(single, fusion, gains, measure, field)
    found = Outcome(target, measure, rows, len(known), standings, single, fusion, rival, "cannot be told", "")
    verdict = _verdict(found)
    return replace(found, verdict=verdict, sentence=_sentence(replace(found, verdict=verdict)))


def _best(kind: str, measure: Measure, field: Field) -> str | None:
    """The one of its kind that is best on validation; of equal ones the first."""
    keys = [contender.key for contender in field.contenders if contender.kind == kind]
    return max(keys, key=lambda key: measure.sign * fmean(scores.validation for scores in field.scores[key]), default=None)


def _gains(single: str, measure: Measure, field: Field) -> dict[str, Gain]:
    """Of every other contender over the best single column."""
    base = field.scores[single]
    gains = {key: gain_of(scores, base, measure, field.overlap) for key, scores in field.scores.items() if key != single}
    corrected = holm(np.array([gain.p for gain in gains.values()]))
    return {key: gain._replace(p_holm=float(p)) for (key, gain), p in zip(gains.items(), corrected, strict=True)}


def _rival(single: str | None, fusion: str | None, gains: Mapping[str, Gain], measure: Measure, field: Field) -> Rival | None:
    """The column alone whose distance to the best fusion is least sure, where a gain over the best single column is sure."""
    if single is None or fusion is None or gains[fusion].interval.low <= 0:
        return None
    others = [contender.key for contender in field.contenders if contender.kind == "single" and contender.key != single]
    each = [Rival(key, gain_of(field.scores[fusion], field.scores[key], measure, field.overlap)) for key in others]
    return min((rival for rival in each if rival.gain.interval.low <= 0), key=lambda rival: rival.gain.interval.low, default=None)


def gain_of(own: Sequence[Scores], other: Sequence[Scores], measure: Measure, overlap: float = 0.0) -> Gain:
    """Compare two models seed by seed and row by row.

    Args:
        own, other: one for each seed, of the same rows.
        measure: which way is better.
        overlap: as in `over_seeds`.
    """
    pairs = list(zip(own, other, strict=True))
    assert all(np.array_equal(a.rows, b.rows) for a, b in pairs), "models of one seed are judged on the same rows"
    differences = [Rows(measure.sign * (a.test.values - b.test.values), a.test.clusters) for a, b in pairs]
    figure = figure_of(differences, overlap, _scale(measure, other))
    p = sign_flip(differences)
    if len(figure.seeds) > 1 and not math.isnan(p_seeds := paired_t(figure.seeds, overlap)):
        p = max(p, p_seeds)
    return Gain(*figure, p, p)


def figure_of(rows: Sequence[Rows], overlap: float, scale: float) -> Figure:
    """The mean over seeds and rows, and how sure it is.

    Args:
        rows: one number for each test row, by seed.
        overlap, scale: as in `over_seeds` and `over_rows`.
    """
    seeds = [float(each.values.mean()) for each in rows]
    between_rows = over_rows(rows, scale=scale)
    if len(seeds) == 1:
        return Figure(between_rows, None, between_rows, seeds)
    between = over_seeds(seeds, overlap)
    low, high = min(between.low, between_rows.low), max(between.high, between_rows.high)
    return Figure(Interval(between.mean, low, high), between, between_rows, seeds)


def _standing(contender: Contender, gain: Gain | None, measure: Measure, field: Field) -> Standing:
    scores = field.scores[contender.key]
    found = figure_of([each.test for each in scores], field.overlap, _scale(measure, scores))
    most = 1.0 if measure.in_points else math.inf
    over_seeds_ = None if found.over_seeds is None else _within(found.over_seeds, most)
    test = Figure(_within(found.interval, most), over_seeds_, _within(found.over_rows, most), found.seeds)
    return Standing(contender, test, fmean(each.validation for each in scores), gain)


def _within(interval: Interval, most: float) -> Interval:
    """No error is below 0, no share above 1."""
    return Interval(interval.mean, max(0.0, interval.low), min(most, interval.high))


def _scale(measure: Measure, other: Sequence[Scores]) -> float:
    """How far two models may differ in a row: from right to wrong; of a number as far as the error goes."""
    return 1.0 if measure.in_points else max(float(each.test.values.max()) for each in other) or 1.0


def _verdict(found: Outcome) -> Verdict:
    if found.single is None or found.fusion is None:
        return "cannot be told"
    gain = found.of(found.fusion).gain
    assert gain is not None, "only the best single column has none"
    worth = WORTH * (1.0 if found.measure.in_points else abs(found.of(found.single).test.interval.mean))
    if gain.interval.low > 0:
        return "helps" if found.rival is None else "cannot be told"
    return "does not help" if gain.interval.high < worth else "cannot be told"


def _sentence(found: Outcome) -> str:
    if found.single is None or found.fusion is None:
        missing = "single column" if found.single is None else "fusion"
        return f"it cannot be told whether fusion helps: no {missing} could be trained"
    winner, base = found.of(found.fusion), found.of(found.single)
    assert winner.gain is not None, "only the best single column has none"
    told = gain_words(winner.gain.interval, found.measure)
    against = "over" if winner.gain.interval.mean >= 0 and found.measure.in_points else "against"
    whom = f"{against} the best single modality ({base.contender.columns[0]})"
    if found.rival is not None:
        whom += f", but {gain_words(found.rival.gain.interval, found.measure)} against {found.of(found.rival.key).contender.name}"
    if found.verdict == "cannot be told":
        seeds = len(winner.test.seeds)
        return f"it cannot be told with {_seeds(seeds)} and {found.rows:,} test rows whether fusion helps: {told} {whom}"
    return f"fusion {found.verdict}: {told} {whom}"


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"
