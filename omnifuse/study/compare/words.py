"""Figures of a comparison as people read them."""

from __future__ import annotations

import math

from omnifuse.evaluation.statistics import Interval
from omnifuse.page.words import quantity
from omnifuse.study.compare.judging import Measure


def figure_words(value: float, measure: Measure) -> str:
    """A figure of the metric.

    >>> accuracy, error = Measure("accuracy", False, ""), Measure("mae", True, "kg")
    >>> figure_words(0.9617, accuracy), figure_words(1.2345, error)
    ('96.2', '1.234 kg')
    """
    if measure.in_points:
        return f"{100 * value:.1f}"
    return f"{_number(value)}{_unit(measure)}"


def range_words(interval: Interval, measure: Measure) -> str:
    """An interval of the metric.

    >>> range_words(Interval(0.97, 0.93, 1.0), Measure("accuracy", False, ""))
    '93.0 to 100.0'
    """
    if not math.isfinite(interval.high):
        return "unknown"
    if measure.in_points:
        return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
    return f"{_number(interval.low)} to {_number(interval.high)}"


def gain_words(gain: Interval, measure: Measure) -> str:
    """A gain with what it may be off by: half of its interval where that is even, else its ends.

    >>> accuracy, error = Measure("accuracy", False, ""), Measure("mae", True, "kg")
    >>> gain_words(Interval(0.061, 0.053, 0.069), accuracy), gain_words(Interval(0.12, 0.1, 0.14), error)
    ('+6.1 ± 0.8 points', 'mae −0.12 ± 0.02 kg')
    >>> gain_words(Interval(0.01, 0.001, 0.03), accuracy)
    '+1.0 points (95 % interval +0.1 to +3.0)'
    """
    if measure.in_points:
        return f"{_give(gain.mean, gain.low, gain.high, 100.0, measure)}"
    return f"{measure.metric} {_give(-gain.mean, -gain.high, -gain.low, 1.0, measure)}"


def short_gain_words(gain: Interval, measure: Measure) -> str:
    """The same for a cell of a table, without the unit.

    >>> short_gain_words(Interval(0.061, 0.053, 0.069), Measure("accuracy", False, ""))
    '+6.1 ± 0.8'
    """
    mean, low, high = (gain.mean, gain.low, gain.high) if measure.in_points else (-gain.mean, -gain.high, -gain.low)
    scale = 100.0 if measure.in_points else 1.0
    if not math.isfinite(low):
        return _signed(scale * mean, measure)
    return f"{_signed(scale * mean, measure)} ± {_plain(scale * max(mean - low, high - mean), measure)}"


def p_words(p: float) -> str:
    """A probability of no difference.

    >>> p_words(0.00012), p_words(0.0123), p_words(0.64)
    ('< 0.001', '0.012', '0.64')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def equals_words(p: float) -> str:
    """The same within a sentence.

    >>> equals_words(0.00012), equals_words(0.0123)
    ('< 0.001', '= 0.012')
    """
    return p_words(p) if p < 0.001 else f"= {p_words(p)}"


def size_words(value: float) -> str:
    """A large number in three digits.

    >>> size_words(3_104_000), size_words(950), size_words(2.5e9)
    ('3.1 M', '950', '2.5 G')
    """
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            shown = value / size
            return f"{shown:.1f} {letter}" if shown < 99.95 else f"{shown:.0f} {letter}"
    return f"{value:.0f}"


def time_words(seconds: float) -> str:
    """A length of time.

    >>> time_words(4.26), time_words(75), time_words(7300)
    ('4.3 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _give(mean: float, low: float, high: float, scale: float, measure: Measure) -> str:
    unit = " points" if measure.in_points else _unit(measure)
    shown = _signed(scale * mean, measure)
    if not math.isfinite(low) or not math.isfinite(high):
        return f"{shown}{unit} (interval unknown)"
    below, above = mean - low, high - mean
    is_even = max(below, above) <= 1.25 * min(below, above)
    if is_even and (low <= 0 <= high or max(below, above) < abs(mean)):  # what excludes 0 must not read as if it did not
        return f"{shown} ± {_plain(scale * max(below, above), measure)}{unit}"
    return f"{shown}{unit} (95 % interval {_signed(scale * low, measure)} to {_signed(scale * high, measure)})"


def _signed(value: float, measure: Measure) -> str:
    shown = _plain(abs(value), measure)
    return shown if float(shown.replace(",", "")) == 0 else f"{'−' if value < 0 else '+'}{shown}"


def _plain(value: float, measure: Measure) -> str:
    if measure.in_points:
        return f"{value:.2f}" if 0 < value < 0.05 else f"{value:.1f}"
    return _number(value)


def _number(value: float) -> str:
    return quantity(float(f"{value:.3g}")) if abs(value) < 1 else quantity(value)


def _unit(measure: Measure) -> str:
    return f" {measure.unit}" if measure.unit else ""
