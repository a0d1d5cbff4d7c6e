"""One column of new rows beside the same column of others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from omnifuse.data.loader import Loader, RawRows
from omnifuse.data.modalities.processor import Processor
from omnifuse.evaluation.drift.readable import readable_figures
from omnifuse.evaluation.drift.two_samples import Compared, chi_square, energy_distance, kolmogorov_smirnov
from omnifuse.pipeline.pipeline import Pipeline

LEAST = 2  # values of each side
BATCH = 128
MOST_LABELS = 20  # of sets
LABELS = ("category", "id", "set")


class Sides(NamedTuple):
    """Values of the new rows and of the others; `None` where absent."""

    new: list[Any]
    reference: list[Any]

    @property
    def present(self) -> Sides:
        """Those that are there."""
        return Sides(*([value for value in side if value is not None] for side in self))

    @property
    def enough(self) -> bool:
        """Whether there is something to compare."""
        return min(map(len, self)) >= LEAST


def entry(of: str, test: str, found: Compared, family: str, **told: Any) -> dict[str, Any]:
    """What is told of one test; tests of one family are corrected together."""
    return {"of": of, "test": test, "statistic": found.statistic, "effect": found.effect, "p": found.p, "family": family, **told}


def absence(sides: Sides) -> list[dict[str, Any]]:
    """Whether the share of absent values differs, by χ²."""
    shares = [sum(value is None for value in side) / max(1, len(side)) for side in sides]
    found = chi_square(*(Counter(value is None for value in side) for side in sides))
    return [entry("absent", "chi-square", found, "absent", new=shares[0], reference=shares[1])]


def numbers(of: str, new: np.ndarray, reference: np.ndarray, family: str) -> list[dict[str, Any]]:
    """Two sets of numbers (NaN is left out) by Kolmogorov and Smirnov, with the shift of the mean in deviations of the reference."""
    new, reference = new[np.isfinite(new)], reference[np.isfinite(reference)]
    if min(len(new), len(reference)) < LEAST:
        return []
    deviation, moved = float(reference.std()), float(new.mean() - reference.mean())
    shift = moved / deviation if deviation > 0 else (0.0 if moved == 0 else None)
    told = {"new": float(new.mean()), "reference": float(reference.mean()), "shift": shift}
    return [entry(of, "Kolmogorov-Smirnov", kolmogorov_smirnov(new, reference), family, **told)]


def labels(sides: Sides, known: set[str] | None = None) -> list[dict[str, Any]]:
    """How often labels occur, by χ², with the label whose share of the rows has changed most; of sets, each of the most frequent labels
    by itself. The share of `unseen` labels is of those that are not among the `known`.
    """
    is_set = any(isinstance(value, tuple) for side in sides for value in side)
    counts = [Counter(label for value in side for label in (value if isinstance(value, tuple) else (value,))) for side in sides]
    shares = [{label: count / len(side) for label, count in each.items()} for each, side in zip(counts, sides, strict=True)]
    totals = counts[0] + counts[1]
    if not totals:
        return []
    told = {} if known is None else {"unseen": sum(n for label, n in counts[0].items() if label not in known) / max(1, counts[0].total())}
    if not is_set:
        moved = max(sorted(totals, key=str), key=lambda label: abs(shares[0].get(label, 0.0) - shares[1].get(label, 0.0)))
        return [_label(moved, chi_square(*counts), shares, told)]
    found = []
    for label in sorted(totals, key=lambda label: (-totals[label], label))[:MOST_LABELS]:
        having = [Counter({True: each[label], False: len(side) - each[label]}) for each, side in zip(counts, sides, strict=True)]
        found.append(_label(label, chi_square(*having), shares, told))
    return found


def _label(label: Any, found: Compared, shares: Sequence[dict[Any, float]], told: dict[str, float]) -> dict[str, Any]:
    new, reference = (side.get(label, 0.0) for side in shares)
    return entry("labels", "chi-square", found, "values", label=str(label), new=new, reference=reference, **told)


def column_tests(
    pipeline: Pipeline, name: str, modality: str, sides: Sides, rows: tuple[RawRows, RawRows], seed: int
) -> list[dict[str, Any]]:
    """All tests of a column's values that are present but that of its encoder.

    Args:
        pipeline: whose processors are used.
        name: of the column.
        modality: its modality.
        sides: the values; of files only different ones.
        rows: where the files of both sides are.
        seed: of permutations.
    """
    there, processor = sides.present, pipeline.processors.get(name)
    if not there.enough:
        return []
    if modality in ("number", "datetime"):
        return numbers("values", *(np.array(side, dtype=np.float64) for side in there), family="values")
    if modality in LABELS:
        known = processor.state().get("labels") if processor is not None else None
        return labels(there, set(known) if known is not None else set(_flat(there.reference)))
    if processor is not None:
        return _readable_tests(name, processor, there, rows)
    if modality == "text":  # kept beside the rows: the model has nothing that reads it
        return numbers("letters", *(np.array([len(value) for value in side], dtype=np.float64) for side in there), family="figures")
    return _vectors("values", [np.array(side, dtype=np.float64) for side in there], seed) if modality == "vector" else []


def encoder_test(pipeline: Pipeline, name: str, sides: Sides, rows: tuple[RawRows, RawRows], seed: int) -> list[dict[str, Any]]:
    """What the model's encoder makes of the values of a column that are present, by energy distance."""
    there = sides.present
    if not there.enough:
        return []
    return _vectors("encoder", [_encoded(pipeline, name, side, source) for side, source in zip(there, rows, strict=True)], seed)


def _readable_tests(name: str, processor: Processor[Any], there: Sides, rows: tuple[RawRows, RawRows]) -> list[dict[str, Any]]:
    """Readable figures of single values."""
    figures = [
        readable_figures(Loader(source, {name: processor}, [name], cache_mb=64), name, side)
        for side, source in zip(there, rows, strict=True)
    ]
    found = []
    for figure in dict.fromkeys([*figures[0], *figures[1]]):
        pair = [side.get(figure, np.full(len(values), np.nan)) for side, values in zip(figures, there, strict=True)]
        found += numbers(figure, *pair, family="figures")
    return found


def _vectors(of: str, sides: Sequence[np.ndarray], seed: int) -> list[dict[str, Any]]:
    """Two sets of vectors, each place of them divided by its deviation over both, by their energy distance."""
    new, reference = sides
    if new.shape[1] != reference.shape[1]:
        return []
    deviation = np.concatenate([new, reference]).std(axis=0)
    scale = np.where(deviation > 1e-12, deviation, 1.0)
    return [entry(of, "energy distance", energy_distance(new / scale, reference / scale, seed), "values")]


def _encoded(pipeline: Pipeline, name: str, values: Sequence[Any], rows: RawRows) -> np.ndarray:
    """(N, D) the mean of the tokens that the encoder makes of each value; each different value goes through it once."""
    different = list(dict.fromkeys(values))
    place, loader, parts = {value: i for i, value in enumerate(different)}, pipeline.loader(rows), []
    with pipeline.evaluating(), torch.inference_mode():
        for at in range(0, len(different), BATCH):
            batch = loader.encode(name, different[at : at + BATCH]).to(pipeline.device)
            parts.append(pipeline.model.encoders[name](batch).pool().float().cpu().numpy())
    loader.flush()
    return np.concatenate(parts)[[place[value] for value in values]].astype(np.float64)


def _flat(values: Sequence[Any]) -> list[str]:
    return [label for value in values for label in (value if isinstance(value, tuple) else (value,))]


def worth(sides: Sides) -> float:
    """n·m/(n + m): rows that two samples are worth together."""
    n, m = (len(side) for side in sides)
    return n * m / (n + m) if n + m else 0.0


def corrected(tests: list[dict[str, Any]]) -> float:
    """Correct the ps of a column (Bonferroni): each family of tests counts alike, and inside it each test. Returns the smallest."""
    families = Counter(test["family"] for test in tests)
    for test in tests:
        test["p"] = min(1.0, test["p"] * families[test["family"]] * len(families))
    return min((test["p"] for test in tests), default=math.nan)
