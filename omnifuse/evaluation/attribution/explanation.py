"""What is known about one answer: how strongly the columns support it, and which of their parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from omnifuse.evaluation.attribution.maps import Map
from omnifuse.page.words import figure, listed, shorten

Method = Literal["occlusion", "gradient"]
LONGEST_ANSWER, NAMED, VISIBLE, TELLING = 60, 3, 0.05, 0.01


@dataclass(frozen=True)
class Explanation:
    """Why a row got its answer.

    Attributes:
        target: which one was asked for.
        answer: to the row as it is.
        measure: what the support is: `probability`, `log-probability`, `value`, `score`, `similarity`.
        support: for the answer, with every column as it is.
        without: the support where every column is absent.
        contributions: by column, its Shapley value; they add up to support − without. Absent columns have 0.
        maps: by column, how far the support falls without each part; `None` where the value is absent or has no parts.
        methods: by column that has a map, how it was made.
        variants: of the row that the model was asked about.
    """

    target: str
    answer: Any
    measure: str
    support: float
    without: float
    contributions: Mapping[str, float]
    maps: Mapping[str, Map | None]
    methods: Mapping[str, Method]
    variants: int

    def sentence(self) -> str:
        """Which columns decided, and where in them, in plain words."""
        words = [f"{self.measure} {figure(self.support)}, without any column {figure(self.without)}."]
        words[0] = words[0][0].upper() + words[0][1:]
        strong = self._strong()
        for sign, begin in ((1, "Raised by" if self.is_number else "For it"), (-1, "Lowered by" if self.is_number else "Against it")):
            named = [self._named(name) for name in strong if sign * self.contributions[name] > 0]
            words += [f"{begin}{'' if self.is_number else ':'} {listed(named)}."] if named else []
        return " ".join(words) if strong else f"{words[0]} No column changes it."

    @property
    def is_number(self) -> bool:
        """Whether the support is the answer itself, a number in the user's unit."""
        return self.measure == "value"

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "target": self.target,
            "answer": _plain(self.answer),
            "measure": self.measure,
            "support": self.support,
            "without": self.without,
            "contributions": dict(self.contributions),
            "maps": {name: None if each is None else {"method": self.methods[name], **each.as_json()} for name, each in self.maps.items()},
            "variants": self.variants,
        }

    def _strong(self) -> list[str]:
        """The few columns that count, the strongest first."""
        order = sorted(self.contributions, key=lambda name: -abs(self.contributions[name]))
        least = VISIBLE * max((abs(each) for each in self.contributions.values()), default=0.0)
        return [name for name in order[:NAMED] if abs(self.contributions[name]) > least]

    def _named(self, name: str) -> str:
        each, contribution = self.maps.get(name), self.contributions[name]
        sign = 1 if contribution > 0 else -1
        if each is None or each.numbers.size < 2 or (sign * each.numbers).max() <= TELLING * abs(contribution):
            return f"{name} ({signed(contribution)})"
        return f"{name} ({signed(contribution)}, above all {each.strongest(sign)})"


def signed(number: float) -> str:
    """A number with its sign.

    >>> signed(0.25), signed(-3)
    ('+0.250', '−3.000')
    """
    return f"{'−' if number < 0 else '+'}{figure(abs(number))}"


def answer_words(answer: Any) -> str:
    """An answer as a page says it."""
    if isinstance(answer, float):
        return figure(answer)
    if isinstance(answer, tuple | list):
        return shorten(", ".join(map(str, answer)), LONGEST_ANSWER) if answer else "nothing"
    return shorten(str(answer), LONGEST_ANSWER)


def _plain(answer: Any) -> Any:
    if isinstance(answer, np.ndarray | np.generic):
        return answer.tolist()
    if isinstance(answer, tuple | list):
        return [_plain(each) for each in answer]
    return answer if isinstance(answer, str | int | float | bool | None) else str(answer)
