"""Made-up answers whose confidence is known."""

from __future__ import annotations

import numpy as np

from omnifuse.evaluation.answers import Answers
from omnifuse.pipeline.calibration import Pattern

LABELS = ["one", "two", "three", "four"]
PATTERNS: list[Pattern] = [("left", "right"), ("left",), ("right",), ()]
SHARES = [0.55, 0.25, 0.15, 0.05]
NOISE = [0.4, 1.0, 1.6, 4.0]


def patterns_of(rows: int, seed: int, even: bool = False) -> tuple[list[Pattern], np.ndarray]:
    """What each row has, and the place of it: the less there is, the harder the row."""
    place = np.random.default_rng([seed, 0]).choice(len(PATTERNS), rows, p=None if even else SHARES)
    return [PATTERNS[each] for each in place], place


def label_answers(rows: int, seed: int, temperature: float = 1.0, even: bool = False) -> tuple[Answers, list[Pattern]]:
    """Labels drawn from probabilities that are told at another temperature: right ones for 1, too sure below."""
    draw = np.random.default_rng([seed, 1])
    patterns, place = patterns_of(rows, seed, even)
    logits = draw.normal(size=(rows, len(LABELS))) * (4 / np.array(NOISE)[place])[:, None]
    true = np.exp(logits - logits.max(1, keepdims=True))
    true /= true.sum(1, keepdims=True)
    truth = (true.cumsum(1) < draw.random((rows, 1))).sum(1).clip(max=len(LABELS) - 1)
    told = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    told /= told.sum(1, keepdims=True)
    names = np.array(LABELS)
    return Answers(
        list(range(rows)), names[truth].tolist(), names[told.argmax(1)].tolist(), told.astype(np.float32), labels=LABELS
    ), patterns


def number_answers(rows: int, seed: int, levels: int = 0, even: bool = False) -> tuple[Answers, list[Pattern]]:
    """Numbers whose errors depend on what the row has; with levels, quantiles that are too narrow for it."""
    draw = np.random.default_rng([seed, 2])
    patterns, place = patterns_of(rows, seed, even)
    middle = draw.normal(size=rows) * 5
    truth = middle + draw.normal(size=rows) * np.array(NOISE)[place]
    scores = middle if not levels else middle[:, None] + np.linspace(-1, 1, levels) * draw.uniform(0.3, 1, (rows, 1))
    return Answers(list(range(rows)), truth.tolist(), middle.tolist(), scores), patterns
