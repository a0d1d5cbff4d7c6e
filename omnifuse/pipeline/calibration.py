"""`calibration.json` of a run: how sure the model may be, as calibration rows told, and its use on new rows.

`omnifuse.evaluation.calibration` finds it out; here it is kept, read and applied.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from omnifuse.core.atomic import read_json, write_text
from omnifuse.core.errors import OmnifuseError
from omnifuse.data.loader import RawRows
from omnifuse.pipeline.conformal import (
    METHODS,
    Method,
    Scores,
    intervals,
    label_scores,
    label_sets,
    number_scores,
    rows_needed,
    temper,
    true_label_scores,
)

if TYPE_CHECKING:
    from omnifuse.pipeline.pipeline import Pipeline

FILE, FORMAT, CHUNK = "calibration.json", 1, 4096
LEVELS = (0.8, 0.9, 0.95)
Pattern = tuple[str, ...]


@dataclass(frozen=True)
class TargetCalibration:
    """What calibration rows told about one target.

    Attributes:
        tells: the kind of its predictions.
        method: the score: `lac` or `aps` of labels, `residual` of a number, `cqr` of quantiles.
        common: scores of all calibration rows.
        patterns: by the input columns that a row has, the scores of such rows alone, where there are enough of them.
        weights: fingerprint of the head it belongs to.
        temperature: of probabilities of labels; `None` for numbers.
        seed: of `aps`.
        least: from how many independent rows on a pattern is among `patterns`.
    """

    tells: str
    method: Method
    common: Scores
    patterns: Mapping[Pattern, Scores]
    weights: str
    temperature: float | None = None
    seed: int = 0
    least: int = 100

    def scores_for(self, pattern: Pattern, coverage: float) -> Scores:
        """Those of the pattern, or the common ones where it has too few rows (of its own, or for this coverage)."""
        own = self.patterns.get(pattern)
        return self.common if own is None or own.rank(coverage) is None else own

    def unlimited(self, name: str, coverage: float) -> str | None:
        """In words, why the common threshold is infinite, where it is."""
        if math.isfinite(self.common.threshold(coverage)):
            return None
        told = f"{name}: {'every label' if self.tells == 'label' else 'every number'} is in at a coverage of {coverage:g}"
        if self.common.rank(coverage) is None:
            return f"{told}, for it takes {rows_needed(coverage):,} calibration rows, and there are {self.common.rows:,}"
        return f"{told}, for the model does not know the labels of too many calibration rows"

    def thresholds(self, patterns: Sequence[Pattern], coverage: float) -> np.ndarray:
        """(N,) the threshold of each row by its pattern (Mondrian conformal prediction; Vovk et al. 2003)."""
        known = {pattern: self.scores_for(pattern, coverage).threshold(coverage) for pattern in set(patterns)}
        return np.array([known[pattern] for pattern in patterns], dtype=np.float64)

    def true_scores(self, prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """(N,) scores of the true values, of which labels are given by their places."""
        if self.tells == "label":
            return true_label_scores(prediction, truth, self.method, self.seed)
        return number_scores(prediction, truth)

    def kept(self, probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """(N, K) which labels are in the set of each row."""
        return label_scores(probabilities, self.method, self.seed) <= thresholds[:, None]


@dataclass(frozen=True)
class Calibration:
    """What calibration rows told about the targets of a model, by name."""

    targets: Mapping[str, TargetCalibration]

    def save(self, run: str | Path) -> None:
        """Write `calibration.json` into a run, whole or not at all."""
        targets = {name: _dump(each) for name, each in self.targets.items()}
        write_text(Path(run) / FILE, json.dumps({"format": FORMAT, "targets": targets}, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, run: str | Path) -> Calibration | None:
        """Read it, where a run has it.

        Raises:
            OmnifuseError: the file is damaged.
        """
        path = Path(run) / FILE
        if not path.exists():
            return None
        saved = read_json(path, "calibration")
        try:
            if saved["format"] != FORMAT:
                raise KeyError(f"format {saved['format']}")
            return cls({name: _parse(each) for name, each in saved["targets"].items()})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise OmnifuseError(
                f"{path}: damaged or of another version ({type(error).__name__}: {error}); remove it and run `omnifuse evaluate`"
            ) from None

    def unlimited(self, coverage: float) -> list[str]:
        """In words, where there are too few calibration rows for a coverage, so that sets hold every label and intervals every number."""
        return [words for name, each in self.targets.items() if (words := each.unlimited(name, coverage))]


def asked_of(pipeline: Pipeline, coverage: float | None, calibrated: bool) -> dict[str, TargetCalibration]:
    """The calibration of the targets that a prediction asks for; nothing where it asks for none.

    Raises:
        OmnifuseError: a coverage that is no share, a run that was not calibrated or has other weights now, or no target that sets,
            intervals or tempered probabilities could be of.
    """
    if coverage is not None and not 0 < coverage < 1:
        raise OmnifuseError(f"coverage: {coverage:g} is no share; write 0.9 for nine truths of ten")
    found: dict[str, TargetCalibration] = {}
    if calibrated:
        found |= _able(pipeline, "calibrated", ("label",), "probabilities are tempered of categories")
    if coverage is not None:
        found |= _able(pipeline, "coverage", METHODS, "sets are of categories, intervals of numbers")
    return found


def _able(pipeline: Pipeline, option: str, kinds: Collection[str], what: str) -> dict[str, TargetCalibration]:
    tells = {name: pipeline.head_config(name).tells for name in pipeline.schema.targets}
    able = [name for name, kind in tells.items() if kind in kinds]
    if not able:
        raise OmnifuseError(f"{option}: {what}, and this model tells {', '.join(f'{name} ({kind})' for name, kind in tells.items())}")
    known = pipeline.calibration.targets if pipeline.calibration else {}
    missing = [name for name in able if name not in known]
    if missing:
        raise OmnifuseError(f"{option}: {', '.join(missing)} was not calibrated; run `omnifuse evaluate RUN` first, with validation rows")
    for name in able:
        if known[name].weights != fingerprint(pipeline.model.head(name)):
            raise OmnifuseError(f"{option}: {FILE} is of other weights of {name} than this run has; run `omnifuse evaluate RUN` again")
    return {name: known[name] for name in able}


def tempered(prediction: Tensor, calibration: TargetCalibration) -> Tensor:
    """Probabilities (B, K) at the temperature that was found."""
    assert calibration.temperature is not None, "labels have a temperature"
    return torch.from_numpy(temper(prediction.numpy(), calibration.temperature)).to(prediction.dtype)


def conformal_columns(
    pipeline: Pipeline, target: str, prediction: Tensor, calibration: TargetCalibration, patterns: Sequence[Pattern], coverage: float
) -> dict[str, list[Any]]:
    """`NAME_set`, the labels that may be true, the most probable first, or `NAME_low` and `NAME_high`.

    Args:
        pipeline: whose head predicted.
        target: its name.
        prediction: (B, …) on the CPU, as the head told it.
        calibration: of the target.
        patterns: which inputs each row has.
        coverage: how often the truth is to be in.
    """
    thresholds, processor = calibration.thresholds(patterns, coverage), pipeline.processors[target]
    if calibration.tells == "label":
        probabilities = prediction.numpy()
        labels = processor.state()["labels"]
        return {f"{target}_set": label_sets(probabilities, calibration.kept(probabilities, thresholds), labels)}
    levels = [prediction] if calibration.tells == "number" else list(prediction.unbind(1))
    values = np.array([processor.decode(level) for level in levels], dtype=np.float64)
    low, high = intervals(values[0] if calibration.tells == "number" else values.T, thresholds)
    return {f"{target}_low": low.tolist(), f"{target}_high": high.tolist()}


def availability(data: RawRows, rows: Sequence[int] | np.ndarray, inputs: Sequence[str]) -> list[Pattern]:
    """For each of these rows, the input columns that it has, in their order. Reads values and keys, no file."""
    return [pattern for part in _parts(rows) for pattern in _patterns(data.take(part, inputs), len(part), inputs)]


def fingerprint(head: nn.Module) -> str:
    """A word for the weights of a head, the part that every training changes."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(head.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _parts(rows: Sequence[int] | np.ndarray) -> Iterator[np.ndarray]:
    index = np.asarray(rows, dtype=np.int64)
    for start in range(0, len(index), CHUNK):
        yield index[start : start + CHUNK]


def _patterns(values: Mapping[str, Sequence[Any]], count: int, inputs: Sequence[str]) -> list[Pattern]:
    if not inputs:
        return [()] * count
    known: dict[tuple[bool, ...], Pattern] = {}
    there = zip(*([value is not None for value in values[name]] for name in inputs), strict=True)
    return [known.setdefault(row, tuple(compress(inputs, row))) for row in there]


def _dump(each: TargetCalibration) -> dict[str, Any]:
    def shown(scores: Scores) -> dict[str, Any]:
        thresholds = {str(level): scores.threshold(level) for level in LEVELS}
        return {"thresholds": {level: t if math.isfinite(t) else None for level, t in thresholds.items()}, **scores.dump()}

    return {
        "tells": each.tells,
        "method": each.method,
        "temperature": each.temperature,
        "seed": each.seed,
        "least": each.least,
        "weights": each.weights,
        "common": shown(each.common),
        "patterns": [{"columns": list(pattern), **shown(scores)} for pattern, scores in each.patterns.items()],
    }


def _parse(saved: Mapping[str, Any]) -> TargetCalibration:
    if saved["method"] not in METHODS[saved["tells"]]:
        raise ValueError(f"method {saved['method']}")
    return TargetCalibration(
        tells=saved["tells"],
        method=saved["method"],
        common=Scores.parse(saved["common"]),
        patterns={tuple(each["columns"]): Scores.parse(each) for each in saved["patterns"]},
        weights=saved["weights"],
        temperature=saved["temperature"],
        seed=saved["seed"],
        least=saved["least"],
    )
