"""Metrics by their names: which way is better, and which may be watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from omnifuse.core.errors import unknown

LOWER_IS_BETTER = {"mae", "rmse", "log_loss", "loss", "error", "pinball", "flow_loss", "cer"}


def is_better(metric: str, new: float, old: float) -> bool:
    """Whether `new` is a better value of the metric than `old`."""
    return new < old if metric in LOWER_IS_BETTER else new > old


def check_monitor(monitor: str, metrics: Mapping[str, Sequence[str]]) -> None:
    """Raise unless `monitor` is `loss` or `TARGET.METRIC` of these targets (name → names of its metrics)."""
    target, _, metric = monitor.rpartition(".")
    if monitor == "loss":
        return
    if target not in metrics:
        choices = ["loss", *(f"{name}.{m}" for name, each in metrics.items() for m in each)]
        raise unknown("metric", monitor, choices, where="train.monitor")
    if metric not in metrics[target]:
        raise unknown("metric", metric, metrics[target], where="train.monitor")
