"""The figures of one direction: samples beside what they should be and beside real values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omnifuse.core.seeds import seed_of
from omnifuse.data.dataset import Dataset
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.generation.cepstral import cepstral_distortion, mel_cepstra
from omnifuse.evaluation.generation.distances import beside_floor, frechet_distance, kernel_distance
from omnifuse.evaluation.generation.forecast import absolute_errors, by_step, crps_of_samples
from omnifuse.evaluation.generation.recall import recall_at
from omnifuse.evaluation.generation.variety import label_entropy, nearness, spread
from omnifuse.evaluation.intervals import bootstrap_interval
from omnifuse.evaluation.kinds.text import Text
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.study.judges import Judge
from omnifuse.study.quality.material import as_given, made_array, raw_values, real_array, some_rows
from omnifuse.study.quality.references import References, pixels_of

HEARD, MOST_STEPS = 200, 200
Figures = dict[str, Any]


@dataclass(frozen=True)
class Samples:
    """What was made of some test rows.

    Attributes:
        target: the column.
        rows: (N,) places of the rows in the test split, for each sample; −1 of samples made from nothing.
        values: the N samples, those of one row one after another.
        each: how many samples each row has.
    """

    target: str
    rows: np.ndarray
    values: list[Any]
    each: int


def written_figures(samples: Samples, test: Dataset, nearest: Sequence[Any], seed: int) -> tuple[Figures, list[str]]:
    """Of texts and labels beside those of their rows: the metrics of a text, the interval of the first one, and what is right.

    Beside the metrics of a text stand those of the text of the `nearest` training row in place of each sample.
    """
    truth = [str(value) for value in test.take(samples.rows, [samples.target])[samples.target]]
    answers = Answers(truth=truth, predicted=[str(value) for value in samples.values])
    right, text = Text().row_scores(answers), Text()
    figures: Figures = {"accuracy": _share(right, seed, floor=float(text.floor(answers)["accuracy"]))}
    if test.schema[samples.target].modality == "text":
        figures["text"] = {name: value for name, value in text.metrics(answers).items() if name != "accuracy"}
        if nearest:
            figures["text_nearest"] = text.metrics(Answers(truth=truth, predicted=[str(value) for value in nearest]))
    return figures, truth


def drawn_figures(
    pipeline: Pipeline,
    samples: Samples,
    dataset: Dataset,
    test: Dataset,
    judge: Judge | None,
    real: References | None,
    seed: int,
    nearest: Sequence[Any] = (),
) -> tuple[Figures, list[str] | None]:
    """Of pictures, sounds, series and points: everything that the judge and the rows allow, and the labels it tells.

    Args:
        pipeline: what made them.
        samples: of test rows.
        dataset: all of the data; `test` is the split.
        judge: of the target; without one only what compares a sample with its own row is measured.
        real: what samples are measured beside.
        seed: of intervals and of pairs.
        nearest: for each row the value of the training row that is nearest by what was given, if it is known.
    """
    figures: Figures = {}
    labels: list[str] | None = None
    if judge is not None and real is not None:
        values = [as_given(value) for value in samples.values]
        features = judge.features(values)
        if judge.metric == "accuracy":
            labels = judge.labels(values)
            figures |= _labelled(samples, test, judge, labels, features, real, seed)
        else:
            figures |= _found(samples, test, judge, values, nearest, seed)
        figures |= _beside_real(pipeline, samples, features, real)
    modality = pipeline.schema[samples.target].modality
    own = samples.rows >= 0
    if modality == "audio" and own.any():
        figures |= _heard(pipeline, samples, dataset, test, judge, seed)
    if modality == "series" and own.any() and samples.each > 1:
        figures |= _foretold(pipeline, samples, dataset, test, seed)
    return figures, labels


def _labelled(
    samples: Samples, test: Dataset, judge: Judge, labels: list[str], features: np.ndarray, real: References, seed: int
) -> Figures:
    """Whether samples are what they should be, and how various they are within and over the labels."""
    figures: Figures = {}
    groups, real_labels = labels, real.real_labels or []
    if (samples.rows >= 0).all():
        wanted = [str(label) for label in test.take(samples.rows, [judge.other])[judge.other]]
        right = np.array([said == want for said, want in zip(labels, wanted, strict=True)], dtype=np.float64)
        figures["accuracy"] = _share(right, seed, samples.each, judge=judge.score)
        groups, compared = wanted, label_entropy(wanted)
    else:
        compared = label_entropy(real_labels)
    figures["labels"] = {"entropy": label_entropy(labels), "real": compared}
    every = np.concatenate([real.real, real.other_real])
    if len(set(groups)) < len(groups) and len(set(real_labels)) < len(real_labels):
        figures["spread_within"] = {"value": spread(features, groups), "real": spread(every, real_labels)}
    return figures


def _found(samples: Samples, test: Dataset, judge: Judge, values: list[Any], nearest: Sequence[Any], seed: int) -> Figures:
    """Whether samples lie where lies what they were made from, and where the real values of the same rows lie."""
    if (samples.rows < 0).any():
        return {}
    from omnifuse.pipeline.retrieval import embed_candidates

    others = raw_values(test, judge.other, samples.rows)
    keys = [repr(value) for value in others]
    different = {key: value for key, value in zip(keys, others, strict=True) if value is not None}
    _, candidates = embed_candidates(judge.pipeline, list(different.values()), judge.other)
    order = {key: place for place, key in enumerate(different)}
    places = np.array([order.get(key, -1) for key in keys], dtype=np.int64)
    rows, owner = np.unique(samples.rows, return_index=True)
    laid, real = judge.place(values), judge.place(raw_values(test, samples.target, rows))
    looked_up = judge.place(list(nearest)) if nearest else None
    return {
        f"recall@{k}": {
            **_share(recall_at(laid, candidates, places, k), seed, samples.each),
            **({} if looked_up is None else {"nearest": float(recall_at(looked_up, candidates, places[:: samples.each], k).mean())}),
            "real": float(recall_at(real, candidates, places[owner], k).mean()),
            "floor": min(1.0, k / len(candidates)),
        }
        for k in (1, 10)
    }


def _beside_real(pipeline: Pipeline, samples: Samples, features: np.ndarray, real: References) -> Figures:
    """How far samples lie from real values as a whole, and how near to the training set."""
    figures: Figures = {}
    if min(len(features), len(real.real), len(real.other_real)) > 1:
        figures["frechet"] = beside_floor(frechet_distance, features, real.real, real.other_real)._asdict()
        figures["kernel"] = beside_floor(kernel_distance, features, real.real, real.other_real)._asdict()
        figures["spread"] = {"value": spread(features), "real": spread(np.concatenate([real.real, real.other_real]))}
    every = np.concatenate([real.real, real.other_real])
    if len(every) and len(real.training):
        figures["nearest"] = {"features": {**nearness(features, every, real.training)._asdict(), "rows": len(real.training)}}
        pixels = pixels_of(pipeline, samples.target, samples.values)
        if pixels is not None and real.real_pixels is not None and real.training_pixels is not None:
            near = nearness(pixels, real.real_pixels, real.training_pixels)
            figures["nearest"]["pixels"] = {**near._asdict(), "rows": len(real.training_pixels)}
    return figures


def _heard(pipeline: Pipeline, samples: Samples, dataset: Dataset, test: Dataset, judge: Judge | None, seed: int) -> Figures:
    """Mel-cepstral distortion from the sound of the same row; beside it that of another real sound, of the same label if there is one."""
    target, rate_hz = samples.target, pipeline.processors[samples.target].spec.rate_hz
    there = np.flatnonzero([value is not None for value in test.take(samples.rows, [target])[target]])[:HEARD]
    if not len(there):
        return {}
    owns = [_cepstra(real_array(pipeline, target, data), rate_hz) for data in raw_values(test, target, samples.rows[there])]
    apart = [cepstral_distortion(_cepstra(made_array(samples.values[place]), rate_hz), own) for place, own in zip(there, owns, strict=True)]
    label = judge.other if judge is not None and judge.metric == "accuracy" else None
    training = dataset.split("train")
    pool = some_rows(training, [target] if label is None else [target, label], HEARD * 10, seed, target, "other sounds")
    kinds = [None] * len(pool) if label is None else training.take(pool, [label])[label]
    wanted = [None] * len(there) if label is None else test.take(samples.rows[there], [label])[label]
    draw = np.random.default_rng(seed_of(seed, "other sounds", target))
    chosen = [(own, draw.choice(places)) for own, want in zip(owns, wanted, strict=True) if len(places := _same(pool, kinds, want))]
    others = raw_values(training, target, [place for _, place in chosen])
    floors = [
        cepstral_distortion(_cepstra(real_array(pipeline, target, data), rate_hz), own)
        for (own, _), data in zip(chosen, others, strict=True)
    ]
    return {"cepstral": {"value": float(np.mean(apart)), "floor": float(np.mean(floors)) if floors else None, "rows": len(there)}}


def _foretold(pipeline: Pipeline, samples: Samples, dataset: Dataset, test: Dataset, seed: int) -> Figures:
    """CRPS and absolute error of the draws for each row, in deviations of each channel; beside them those of as many training series."""
    target, deviation = samples.target, np.asarray(pipeline.processors[samples.target].state()["std"])
    rows = samples.rows[:: samples.each]
    there = np.flatnonzero([value is not None for value in test.take(rows, [target])[target]])
    pool = some_rows(dataset.split("train"), [target], samples.each, seed, target, "other series")
    usual = [real_array(pipeline, target, data) for data in raw_values(dataset.split("train"), target, pool)]
    made = [made_array(value) for value in samples.values]
    scores: dict[str, list[np.ndarray]] = {"crps": [], "mae": [], "crps_floor": [], "mae_floor": []}
    for place, data in zip(there, raw_values(test, target, rows[there]), strict=True):
        truth = real_array(pipeline, target, data) / deviation
        for draws, suffix in ((made[place * samples.each : (place + 1) * samples.each], ""), (usual, "_floor")):
            fitted = np.stack([_fitted(draw / deviation, len(truth)) for draw in draws])
            scores[f"mae{suffix}"].append(absolute_errors(fitted, truth))
            scores[f"crps{suffix}"].append(crps_of_samples(fitted, truth) if len(fitted) > 1 else absolute_errors(fitted, truth))
    figures: Figures = {}
    for name in ("crps", "mae") if len(there) else ():
        by_row = np.array([np.nanmean(each) for each in scores[name]])
        floor = float(np.mean([np.nanmean(each) for each in scores[f"{name}_floor"]]))
        figures[name] = {
            **_share(by_row, seed),
            "floor": floor,
            "by_step": _steps(scores[name]),
            "floor_by_step": _steps(scores[f"{name}_floor"]),
        }
    return figures


def _share(scores: np.ndarray, seed: int, each: int = 1, **more: float) -> dict[str, Any]:
    """A mean over samples with its interval, which is over rows, since the samples of one row are alike."""
    by_row = scores.reshape(-1, each).mean(axis=1)
    return {"value": float(scores.mean()), "interval": bootstrap_interval(by_row, seed), **more}


def _cepstra(wave: np.ndarray, rate_hz: float) -> np.ndarray:
    return mel_cepstra(wave.mean(axis=0) if wave.size else np.zeros(1), rate_hz)


def _same(places: np.ndarray, kinds: Sequence[Any], wanted: Any) -> np.ndarray:
    return places[[kind == wanted for kind in kinds]]


def _fitted(series: np.ndarray, steps: int) -> np.ndarray:
    """(steps, C): cut, or with its last step repeated."""
    series = series if len(series) else np.zeros((1, *series.shape[1:]))
    return series[np.minimum(np.arange(steps), len(series) - 1)]


def _steps(scores: Sequence[np.ndarray]) -> list[float | None]:
    """Means by step of series of different lengths, at most 200 of them."""
    longest = max(len(each) for each in scores)
    padded = np.full((len(scores), longest, scores[0].shape[1]), np.nan)
    for row, each in enumerate(scores):
        padded[row, : len(each)] = each
    means = by_step(padded)[:: -(-longest // MOST_STEPS)]
    return [None if np.isnan(mean) else round(float(mean), 6) for mean in means]
