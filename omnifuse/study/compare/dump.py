"""A comparison as `compare.json` keeps it, by fixed keys; docs/compare.md says what each holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from omnifuse.evaluation.statistics import Interval
from omnifuse.page.page import versions_of
from omnifuse.study.compare.contenders import Contender
from omnifuse.study.compare.runs import Result, Runs
from omnifuse.study.compare.standing import Figure, Gain, Outcome, Standing

FORMAT = 1


def dump_comparison(
    runs: Runs,
    contenders: Sequence[Contender],
    results: Mapping[int, Mapping[str, Result]],
    left_out: Mapping[str, str],
    outcomes: Mapping[str, Outcome],
    seeds: int,
) -> dict[str, Any]:
    """Everything that is known after the seeds in `results`, of `seeds` in all."""
    several = len(outcomes) > 1
    recipe = runs.recipe
    first = runs.datasets[recipe.seed]
    divided = len({dataset.manifest["content"] for dataset in runs.datasets.values()}) > 1
    return {
        "format": FORMAT,
        "name": recipe.name,
        "sentences": [f"{target}: {outcome.sentence}" if several else outcome.sentence for target, outcome in outcomes.items()],
        "finished": len(results) == seeds,
        "seeds": list(results),
        "varies": "weights, order, noise"
        + (" and the division of the rows" if divided else f"; the rows are divided as by seed {recipe.seed}"),
        "rows": dict(first.manifest["splits"]),
        "budget": {"epochs": recipe.train.epochs, "batch_size": recipe.train.batch_size, "patience": recipe.train.patience},
        "targets": {target: _outcome(outcome, results) for target, outcome in outcomes.items()},
        "contenders": {
            contender.key: _contender(contender, runs, [results[seed][contender.key] for seed in results]) for contender in contenders
        },
        "left_out": [{"name": name, "reason": reason} for name, reason in left_out.items()],
        "recipe": recipe.dump(),
        "dataset": str(first.path.resolve()),
        "versions": versions_of(("torch",)),
    }


def _outcome(outcome: Outcome, results: Mapping[int, Mapping[str, Result]]) -> dict[str, Any]:
    return {
        "metric": outcome.measure.metric,
        "lower_is_better": outcome.measure.lower_is_better,
        "unit": outcome.measure.unit,
        "test_rows": outcome.rows,
        "test_groups": outcome.groups,
        "verdict": outcome.verdict,
        "sentence": outcome.sentence,
        "best_single": outcome.single,
        "best_fusion": outcome.fusion,
        "rival": None if outcome.rival is None else {"contender": outcome.rival.key, "gain": _gain(outcome.rival.gain)},
        "ranking": [_standing(standing, outcome.target, results) for standing in outcome.standings],
    }


def _standing(standing: Standing, target: str, results: Mapping[int, Mapping[str, Result]]) -> dict[str, Any]:
    key, gain = standing.contender.key, standing.gain
    metrics = [each[key].metrics["test"][target] for each in results.values()]
    return {
        "contender": key,
        "test": _figure(standing.test),
        "validation": standing.validation,
        "gain": None if gain is None else {**_gain(gain), "p_holm": gain.p_holm},
        "metrics": {name: fmean(each[name] for each in metrics) for name in metrics[0] if all(name in each for each in metrics)},
    }


def _gain(gain: Gain) -> dict[str, Any]:
    return {**_figure(gain), "p": gain.p}


def _figure(figure: Figure | Gain) -> dict[str, Any]:
    return {
        **_interval(figure.interval),
        "over_seeds": None if figure.over_seeds is None else _interval(figure.over_seeds),
        "over_rows": _interval(figure.over_rows),
        "seeds": figure.seeds,
    }


def _contender(contender: Contender, runs: Runs, results: Sequence[Result]) -> dict[str, Any]:
    return {
        "name": contender.name,
        "kind": contender.kind,
        "columns": list(contender.columns),
        "fusion": contender.fusion.model_dump(mode="json"),
        "encoders": {name: encoder.model_dump(mode="json") for name, encoder in contender.encoders.items()},
        "runs": f"runs/{contender.key}",
        "costs": {
            **runs.costs(contender),
            "train_seconds": fmean(result.train_seconds for result in results),
            "steps": fmean(result.steps for result in results),
        },
    }


def _interval(interval: Interval) -> dict[str, float | None]:
    """Ends that are not known are null: JSON has no infinity."""
    ends = {"low": interval.low, "high": interval.high}
    return {"mean": interval.mean, **{name: value if math.isfinite(value) else None for name, value in ends.items()}}
