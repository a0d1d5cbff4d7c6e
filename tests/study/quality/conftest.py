"""Small runs that draw: pictures of two halves from words, and tones and waves from a label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import omnifuse as of

SIDES = ("top", "bottom", "left", "right")
RATE_HZ = 2000


@dataclass(frozen=True)
class Trained:
    """A pipeline and the folder of its run."""

    pipeline: of.Pipeline
    run: Path

    @property
    def dataset(self) -> of.Dataset:
        """What it was trained on."""
        return of.Dataset.open(self.run / "dataset")


def half(side: str, random: np.random.Generator) -> np.ndarray:
    """(8, 8, 1) uint8: one half is bright."""
    picture = random.integers(0, 60, (8, 8, 1))
    place = {"top": np.s_[:4], "bottom": np.s_[4:], "left": np.s_[:, :4], "right": np.s_[:, 4:]}[side]
    picture[place] += random.integers(120, 190)
    return picture.astype(np.uint8)


@pytest.fixture(scope="session")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Words and pictures, each from the other; no word is missing, every tenth picture is."""
    random, run = np.random.default_rng(0), tmp_path_factory.mktemp("halves") / "run"
    rows = [{"word": SIDES[i % 4], "image": None if i % 10 == 9 else half(SIDES[i % 4], random)} for i in range(360)]
    columns = {
        "word": {"modality": "text", "vocabulary": 270, "max_length": 8, "role": "both"},
        "image": {"modality": "image", "size": 8, "channels": 1, "role": "both"},
    }
    settings = {
        "model.dim": 32,
        "model.fusion": "concat",
        "model.encoders": {"word": {"name": "ngram", "dropout": 0}},
        "model.heads": {"image": {"name": "flow", "width": 16, "depth": 1, "steps": 6}},
        "train.epochs": 12,
        "train.ema": 0.9,
        "train.optimizer": {"name": "adamw", "lr": 0.006},
        "train.batch_size": 32,
        "train.device": "cpu",
        "data.split": {"validation": 0.1, "test": 0.4},
        "data.clean": {"near_duplicates": "off"},
    }
    return Trained(of.fit(rows, columns=columns, out=run, settings=settings), run)


@pytest.fixture(scope="session")
def signals(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Tones, waves and clouds from a label; hardly trained."""
    random, run = np.random.default_rng(1), tmp_path_factory.mktemp("signals") / "run"
    rows: list[dict[str, Any]] = []
    for i in range(60):
        kind, steps = ("low", "high")[i % 2], int(random.integers(10, 16))
        times = np.arange(RATE_HZ // 4) / RATE_HZ
        tone = 0.5 * np.sin(2 * np.pi * (150 if kind == "low" else 600) * times + random.random() * 6)
        wave = np.sin(np.arange(steps) * (0.3 if kind == "low" else 1.5)) + 0.1 * random.normal(size=steps)
        cloud = random.normal(size=(20, 3)) + (3 if kind == "high" else 0)
        rows.append({"kind": kind, "tone": (tone, RATE_HZ), "wave": {"a": wave, "b": -wave}, "cloud": cloud})
    columns = {
        "kind": "category",
        "tone": {"modality": "audio", "rate_hz": RATE_HZ, "max_s": 0.3, "role": "target"},
        "wave": {"modality": "series", "role": "target"},
        "cloud": {"modality": "points", "max_points": 32, "role": "target"},
    }
    flow = {"name": "flow", "width": 8, "depth": 1, "steps": 2}
    settings = {
        "model.dim": 16,
        "model.fusion": "concat",
        "model.heads": {"tone": {**flow, "mels": 16}, "wave": flow, "cloud": {**flow, "heads": 2}},
        "train.epochs": 2,
        "train.batch_size": 16,
        "train.device": "cpu",
        "data.split": {"validation": 0.1, "test": 0.3},
        "data.clean": {"near_duplicates": "off"},
    }
    return Trained(of.fit(rows, columns=columns, out=run, settings=settings), run)
