"""From answers to rows with known truth: how sure the model may be, and whether that holds on other rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.data.loader import RawRows
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.evaluation.answers import Answers, places_of
from omnifuse.evaluation.calibration.abstention import area, risk_at, risk_curve
from omnifuse.evaluation.calibration.coverage import coverage_table, rows_by_pattern
from omnifuse.evaluation.calibration.effective_rows import effective_rows, shared_by
from omnifuse.evaluation.calibration.reliability import (
    bin_table,
    bins_of,
    brier_score,
    calibration_error,
    chance_error,
    error_intervals,
    log_loss,
)
from omnifuse.evaluation.calibration.sentences import calibration_sentences
from omnifuse.evaluation.calibration.temperature import fit_temperature
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.kinds.label import Label
from omnifuse.evaluation.kinds.number import Number
from omnifuse.evaluation.kinds.quantiles import Quantiles
from omnifuse.pipeline.calibration import LEVELS, Calibration, Pattern, TargetCalibration, availability, fingerprint
from omnifuse.pipeline.conformal import METHODS, Method, Scores, log_probabilities, number_scores, temper, true_label_scores
from omnifuse.pipeline.pipeline import Pipeline

LEAST_ROWS, ANSWERED, MOST_POINTS = 100, 0.8, 100
Groups = Sequence[np.ndarray]


def patterns_and_groups(
    pipeline: Pipeline, data: RawRows, answers: Mapping[str, Answers], absent: Collection[str] = ()
) -> tuple[dict[str, list[Pattern]], dict[str, list[np.ndarray]]]:
    """By target, what its answered rows have (`availability`) and what they share (`shared_by`), without columns that were taken away."""
    patterns, groups = {}, {}
    for name, each in answers.items():
        if pipeline.head_config(name).tells in METHODS:
            inputs = [column for column in pipeline.schema.inputs_for(name) if column not in absent]
            patterns[name] = availability(data, each.rows, inputs)
            groups[name] = shared_by(data, each.rows, [c for c in inputs if processor_class(pipeline.schema[c].modality).is_media])
    return patterns, groups


def calibrate(
    pipeline: Pipeline,
    answers: Mapping[str, Answers],
    patterns: Mapping[str, Sequence[Pattern]],
    groups: Mapping[str, Groups] | None = None,
    *,
    method: Method = "lac",
    least: int = LEAST_ROWS,
    seed: int = 0,
) -> Calibration:
    """Learn from calibration rows (the validation split) how sure the model may be.

    Of labels the temperature and the scores of conformal sets, of numbers and quantiles those of intervals; other targets, and those
    without an answered row, have none. Rows that chose which epoch is kept are a little too well answered: coverage on test rows tells.

    Args:
        pipeline: whose answers they are.
        answers: to the calibration rows, by target.
        patterns: by target, the inputs that each of these rows has.
        groups: by target, what these rows share.
        method: of labels; `lac` has the smallest sets and no chance in it, `aps` sets that grow where a row is hard.
        least: a pattern has thresholds of its own from so many (independent) rows on; other rows have the common ones.
        seed: of `aps`.
    """
    if method not in METHODS["label"]:
        raise unknown("method", method, METHODS["label"])
    found: dict[str, TargetCalibration] = {}
    for name, given in answers.items():
        tells = pipeline.head_config(name).tells
        if tells not in METHODS or not given.truth:
            continue
        used = method if tells == "label" else METHODS[tells][0]
        shared = (groups or {}).get(name, ())
        told = calibrate_target(tells, given, patterns[name], shared, method=used, least=least, seed=seed)
        found[name] = replace(told, weights=fingerprint(pipeline.model.head(name)))
    return Calibration(found)


def calibrate_target(
    tells: str,
    answers: Answers,
    patterns: Sequence[Pattern],
    groups: Groups = (),
    *,
    method: Method = "lac",
    least: int = LEAST_ROWS,
    seed: int = 0,
) -> TargetCalibration:
    """`calibrate` for one target that tells a `label`, a `number` or `quantiles`, without the fingerprint of a head."""
    truth = true_values(answers, tells)
    scores = true_label_scores(answers.scores, truth, method, seed) if tells == "label" else number_scores(answers.scores, truth)
    return TargetCalibration(
        tells=tells,
        method=method,
        common=_scores(scores, groups),
        patterns=_by_pattern(scores, patterns, groups, least),
        weights="",
        temperature=fit_temperature(answers.scores, truth) if tells == "label" else None,
        seed=seed,
        least=least,
    )


def judge_calibration(
    calibration: Calibration | None,
    target: str,
    kind: Kind,
    answers: Answers,
    patterns: Sequence[Pattern],
    groups: Groups = (),
    seed: int = 0,
) -> dict[str, Any]:
    """Whether the confidence in one target can be trusted, on rows that it was not calibrated with.

    Args:
        calibration: what `calibrate` learned; `None` where there was nothing to learn from.
        target: its name.
        kind: of the target.
        answers: to the test rows.
        patterns: the inputs that each of them has.
        groups: what they share.
        seed: of bootstraps and draws.

    Returns:
        Nothing for a kind of target that tells no confidence. Else, as far as the kind has it:

        - `before` and, at the `temperature`, `after`: `confidence`, `right`, `gap_interval` (of confidence − right), `ece`, its
          `ece_interval` and what `chance` leaves of it, `ece_equal_mass`, `brier`, `log_loss`, `bins`, `bins_equal_mass`
        - `levels`: of quantiles, each level with the share of truths `below` it
        - `method`, and `coverage`: for each of 0.8, 0.9 and 0.95 what `coverage_table` tells
        - `sentences`: the same in words
        - `abstention`: the `metric`, its mean at `all` rows and at the surest 80 % (`at_80`), `area`, `best_area` (of an order that knows
          the losses), `curve` of pairs (share answered, mean loss)
    """
    tells = _tells(kind)
    if tells is None or not answers.truth:
        return {}
    known = calibration.targets.get(target) if calibration else None
    truth = true_values(answers, tells)
    details: dict[str, Any] = {"tells": tells, "rows": len(answers.truth)}
    if tells == "label":
        said = places_of(answers.predicted, answers.labels)
        details["before"] = reliability(answers.scores, truth, said, groups, seed)
        if known and known.temperature:
            details["temperature"] = known.temperature
            details["after"] = reliability(temper(answers.scores, known.temperature), truth, said, groups, seed)
        details["abstention"] = abstention("errors", answers.scores[np.arange(len(said)), said], 1 - kind.row_scores(answers))
    if tells == "quantiles":
        levels = getattr(kind, "levels", ())
        details["levels"] = [{"level": level, "below": float((truth <= answers.scores[:, i]).mean())} for i, level in enumerate(levels)]
        if answers.scores.shape[1] > 1:
            details["abstention"] = abstention(kind.main, answers.scores[:, 0] - answers.scores[:, -1], kind.row_scores(answers))
    if known:
        details |= {"method": known.method, "least_rows": known.least, "coverage": {}, "unlimited": []}
        for level in LEVELS:
            details["coverage"][str(level)] = coverage_table(known, answers.scores, truth, patterns, groups, level, seed)
            details["unlimited"] += [words] if (words := known.unlimited(target, level)) else []
    return details | {"sentences": calibration_sentences(target, details)}


def reliability(probabilities: np.ndarray, truth: np.ndarray, said: np.ndarray, groups: Groups = (), seed: int = 0) -> dict[str, Any]:
    """How probabilities (N, K) agree with what is right.

    Args:
        probabilities: (N, K).
        truth: (N,) places of the true labels, −1 for an unknown one.
        said: (N,) places of the answers; their probabilities are the confidences.
        groups: what rows share; the coarsest way is drawn whole in the bootstrap.
        seed: of the draws.
    """
    confidence, right = probabilities[np.arange(len(said)), said].astype(np.float64), (truth == said).astype(np.float64)
    width, mass = bins_of(confidence), bins_of(confidence, equal_mass=True)
    ways = sorted((np.unique(code, return_inverse=True)[1] for code in groups), key=lambda code: int(code.max(initial=0)))
    chance = chance_error(confidence, width, seed)
    interval, gap = error_intervals(confidence, right, width, ways[0] if ways else None, seed, chance)
    return {
        "confidence": float(confidence.mean()),
        "right": float(right.mean()),
        "gap_interval": gap,
        "ece": calibration_error(confidence, right, width),
        "ece_interval": interval,
        "chance": chance,
        "ece_equal_mass": calibration_error(confidence, right, mass),
        "brier": brier_score(probabilities, truth),
        "log_loss": log_loss(log_probabilities(probabilities), truth) if (truth >= 0).any() else None,
        "bins": bin_table(confidence, right, width),
        "bins_equal_mass": bin_table(confidence, right, mass),
    }


def abstention(metric: str, surety: np.ndarray, loss: np.ndarray) -> dict[str, Any]:
    """What is gained by answering only the surest rows; `metric` names the loss."""
    risks = risk_curve(surety, loss)
    places = np.unique(np.linspace(0, len(risks) - 1, min(len(risks), MOST_POINTS)).round().astype(np.int64))
    return {
        "metric": metric,
        "all": float(risks[-1]),
        "at_80": risk_at(risks, ANSWERED),
        "area": area(risks),
        "best_area": area(risk_curve(-loss, loss)),
        "curve": [[float((place + 1) / len(risks)), float(risks[place])] for place in places],
    }


def true_values(answers: Answers, tells: str) -> np.ndarray:
    """(N,) true values as scores are made of them: places of labels, −1 for an unknown one, or numbers."""
    return places_of(answers.truth, answers.labels) if tells == "label" else np.asarray(answers.truth, dtype=np.float64)


def _scores(scores: np.ndarray, groups: Groups) -> Scores:
    alone = Scores.of(scores)
    held = {level: np.where(np.isnan(scores), np.inf, scores) <= alone.threshold(level) for level in LEVELS}
    return Scores.of(scores, {level: effective_rows(each, groups) for level, each in held.items()})


def _by_pattern(scores: np.ndarray, patterns: Sequence[Pattern], groups: Groups, least: int) -> dict[Pattern, Scores]:
    """Of the patterns with enough rows, the most frequent first; where all rows have one pattern, its scores are the common ones."""
    if len(scores) != len(patterns):
        raise OmnifuseError(f"patterns: {len(patterns)} given for {len(scores)} answered rows")
    found, each_rows = {}, rows_by_pattern(patterns)
    for pattern, rows in each_rows.items() if len(each_rows) > 1 else ():
        own = _scores(scores[rows], [code[rows] for code in groups]) if len(rows) >= least else None
        if own is not None and min(own.effective.values()) >= least:
            found[pattern] = own
    return found


def _tells(kind: Kind) -> str | None:
    """What a target tells, as far as confidence can be had of it."""
    if isinstance(kind, Quantiles):
        return "quantiles"
    return "number" if isinstance(kind, Number) else "label" if isinstance(kind, Label) else None
