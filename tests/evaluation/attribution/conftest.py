"""Models with a planted answer, each trained once."""

from __future__ import annotations

import pytest

import omnifuse as of
from tests.evaluation.attribution.planted import pictures, series, taught, texts

ANSWER = {"modality": "category", "role": "target"}


@pytest.fixture(scope="session")
def sees() -> of.Pipeline:
    return taught(pictures(200), {"picture": {"modality": "image", "size": 16, "channels": 1}, "size": "number", "answer": ANSWER})


@pytest.fixture(scope="session")
def reads() -> of.Pipeline:
    words = {"modality": "text", "vocabulary": 320}
    return taught(texts(200), {"words": words, "shop": "category", "answer": ANSWER})


@pytest.fixture(scope="session")
def feels() -> of.Pipeline:
    columns = {"motion": "series", "size": "number", "price": {"modality": "number", "role": "target"}}
    return taught(series(400), columns, 150, {"motion": {"name": "conv1d", "capacity": "tiny"}})
