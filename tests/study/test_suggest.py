"""What a model suggests of rows that are to be labelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import omnifuse as of
from omnifuse.study.suggest import ask


def test_a_column_that_goes_both_ways_is_not_told_its_own_value(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = [{"x": random.normal(), "a": f"a{random.integers(3)}", "b": f"b{random.integers(3)}"} for _ in range(80)]
    both = {"modality": "category", "role": "both"}
    settings = {"model.dim": 16, "train.epochs": 1}
    pipeline = of.fit(rows, columns={"x": "number", "a": both, "b": both}, settings=settings, out=tmp_path / "run")
    [given] = pipeline.read(rows)
    [changed] = pipeline.read([{**row, "a": "a0"} for row in rows])
    one, other = ask(pipeline, given), ask(pipeline, changed)
    assert one.answers["a"] == other.answers["a"]
    np.testing.assert_array_equal(one.scores["a"], other.scores["a"])
    assert not np.array_equal(one.scores["b"], other.scores["b"]), "the others are told"
    assert one.answers["a"] == [answer["a"] for answer in pipeline.predict(rows)]
