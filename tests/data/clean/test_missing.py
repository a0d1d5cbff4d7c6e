"""Absence is counted by column and by pairs of columns."""

from __future__ import annotations

import json

import numpy as np

from omnifuse.data.clean.missing import MissingCounter


def test_counts_add_up_over_chunks():
    random = np.random.default_rng(0)
    absent = random.random((5000, 4)) < [0, 0.1, 0.4, 0.4]
    absent[:, 3] = absent[:, 2]
    counter = MissingCounter(["a", "b", "c", "d"])
    for part in np.array_split(absent, 7):
        counter.add(part)
    report = counter.report()
    assert report.rows == 5000
    assert report.absent == dict(zip("abcd", absent.sum(0).tolist(), strict=True))
    assert report.pairs[0]["columns"] == ["c", "d"], "what is always absent together comes first"
    for pair in report.pairs:
        i, j = ("abcd".index(name) for name in pair["columns"])
        assert pair["both"] == (absent[:, i] & absent[:, j]).sum()
        assert pair["either"] == (absent[:, i] | absent[:, j]).sum()
    assert {tuple(pair["columns"]) for pair in report.pairs} == {("b", "c"), ("b", "d"), ("c", "d")}
    assert json.loads(json.dumps(report.dump()))["rows"] == 5000


def test_no_rows_and_nothing_absent():
    counter = MissingCounter(["a", "b"])
    assert counter.report().absent == {"a": 0, "b": 0}
    counter.add(np.zeros((10, 2), dtype=bool))
    assert counter.report().pairs == ()
