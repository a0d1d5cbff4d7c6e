"""Joins on a Ray cluster find the same partners as in this process."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import random
import daft
from omnifuse.core.privacy import silence_telemetry
silence_telemetry()
from omnifuse.data.join.config import JoinConfig
from omnifuse.data.join.join import join_table
from omnifuse.data.runner import make_runner
from omnifuse.data.table import LocalTable

random.seed(1)
left = [{"i": i, "k": random.randint(0, 300), "t": i / 10} for i in range(2000)]
right = [{"k": k, "v": f"v{k}", "s": k / 3, "x": random.random()} for k in range(250)]
asof = {"asof": {"left": "t", "right": "s", "tolerance_s": 0.1}, "columns": {"near": "v"}}
window = {"window": {"left": "t", "right": "s", "before_s": 1, "columns": ["x"], "into": "w"}}
chain = [{"on": "k", "columns": ["v"], "how": "inner"}, asof, window, {"on": "k", "collect": {"c": {"column": "v"}}}]


def joined(ours, theirs):
    reports = []
    for options in chain:
        ours, report = join_table(ours, JoinConfig.parse({"source": "x", **options}), theirs, name="x")
        reports.append(report)
    return ours, reports


expected, told = joined(LocalTable(list(left[0]), lambda: iter(left)), LocalTable(list(right[0]), lambda: iter(right)))
make_runner("ray")
frame, told_on_ray = joined(daft.from_pylist(left).into_partitions(3), daft.from_pylist(right))
assert told_on_ray == told
assert sorted(frame.to_pylist(), key=lambda row: row["i"]) == list(expected.rows())
print("the same", len(frame))
"""


def test_a_chain_of_joins_on_ray_finds_the_same_partners():
    pytest.importorskip("ray")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=200)
    assert done.stdout.strip().startswith("the same 16"), done.stderr[-2000:]
