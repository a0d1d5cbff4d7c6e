"""What is known about the confidence in a target, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omnifuse.evaluation.words import told
from omnifuse.page.words import figure, listed

MAIN = "0.9"
LEAST_OF_A_BIN = 30
NOTED = 0.005
VERDICTS = {1: "too sure", -1: "not sure enough", 0: "as sure as it may be"}


def calibration_sentences(target: str, details: Mapping[str, Any]) -> list[str]:
    """Sentences about what `judge_calibration` found: confidence, sets or intervals, abstention."""
    lines = []
    if "before" in details:
        lines += _of_confidence(target, details["before"], details.get("after"))
    for words in details.get("unlimited", []):
        lines.append(f"{words}.")
    if "coverage" in details:
        lines += _of_coverage(target, details)
    if details["tells"] == "label" and "abstention" in details:
        found = details["abstention"]
        sure, every = _share(1 - found["at_80"]), _share(1 - found["all"])
        lines.append(f"On the surest 80 % of the rows it is right {sure} of the time, on all of them {every}.")
    return lines


def verdict(found: Mapping[str, Any]) -> str:
    """Whether it says more or less than it keeps, as far as the interval of the difference tells."""
    low, high = found["gap_interval"]
    return VERDICTS[1 if low > 0 else -1 if high < 0 else 0]


def pattern_words(columns: Sequence[str], inputs: Sequence[str]) -> str:
    """What a row has, of all inputs, in words.

    >>> pattern_words(["a", "b"], ["a", "b"]), pattern_words(["a"], ["a", "b"]), pattern_words([], ["a", "b"])
    ('everything', 'without b', 'nothing')
    """
    missing = [name for name in inputs if name not in columns]
    if not missing:
        return "everything"
    if not columns:
        return "nothing"
    return f"without {listed(missing)}" if len(missing) <= len(columns) else f"only {listed(list(columns))}"


def inputs_of(coverage: Mapping[str, Any]) -> list[str]:
    """The inputs that any row of a coverage table has."""
    return list(dict.fromkeys(name for each in coverage["patterns"] for name in each["columns"]))


def _of_confidence(target: str, before: Mapping[str, Any], after: Mapping[str, Any] | None) -> list[str]:
    bins = [each for each in before["bins"] if each["rows"] >= LEAST_OF_A_BIN] or before["bins"]
    shown = min(bins, key=lambda each: abs(each["confidence"] - 0.9))
    said = verdict(before)
    lines = [
        f"When it says {told(shown['confidence'])} of {target}, it is right {told(shown['right'])} of the time; over all rows it says "
        f"{told(before['confidence'])} and is right {told(before['right'])} of the time: {said}."
    ]
    if after and said != VERDICTS[0]:
        lines.append(
            f"At its temperature it says {told(after['confidence'])}, and the calibration error is {figure(after['ece'])} instead of"
            f" {figure(before['ece'])}."
        )
    return lines


def _of_coverage(target: str, details: Mapping[str, Any]) -> list[str]:
    is_label = details["tells"] == "label"
    table = details["coverage"][MAIN]
    found, inputs = table["overall"], inputs_of(table)
    kind = "Sets" if is_label else "Intervals"
    unit = _labels(found) if is_label else _width(found)
    lines = [
        f"{kind} of {target} meant to hold the truth 90 % of the time hold it {_share(found['covered'])} of the time"
        f" ({_share(found['expected'][0])} to {_share(found['expected'][1])} is what chance makes of it){unit}."
    ]
    for each in table["patterns"]:
        if not each["inside"]:
            low, high = each["expected"]
            name = pattern_words(each["columns"], inputs)
            rows = f"rows {name}" if name.startswith("without") else f"rows with {name}"
            lines.append(f"Of {rows} they hold it {_share(each['covered'])} of the time, outside of {_share(low)} to {_share(high)}.")
    return lines


def _labels(found: Mapping[str, Any]) -> str:
    empty = f", {_share(found['empty'])} of them none" if found["empty"] >= NOTED else ""
    return f"; they hold {figure(found['size'])} labels on average{empty}"


def _width(found: Mapping[str, Any]) -> str:
    return "; they have no limit" if found["size"] is None else f"; their mean width is {figure(found['size'])}"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
