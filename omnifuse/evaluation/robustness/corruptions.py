"""Ways to damage values, by modality: a canonical value → a canonical value that any pipeline takes.

A level says how strong the damage is, in a unit of its own. What is drawn depends on the seed alone and not on the level, so a
stronger level goes on where a weaker one stopped. Listing the ways loads neither Pillow nor PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.seeds import seed_of

if TYPE_CHECKING:
    from omnifuse.data.modalities.processor import Processor

HOME = "omnifuse.evaluation.robustness"
ABSENT = "absent"


@dataclass(frozen=True)
class Known:
    """What damage may know of the column that a value belongs to.

    Attributes:
        modality: of the column.
        processor: fitted on the training split; `None` where a value stands alone.
        others: values that rows of the column have, for those that are exchanged.
    """

    modality: str
    processor: Processor[Any] | None = None
    others: Sequence[Any] = ()


class Damage(Protocol):
    """A function that damages one value."""

    def __call__(self, raw: Any, level: float, draw: np.random.Generator, known: Known) -> Any:
        """The damaged value; `raw` is there, and `level` is not the one that changes nothing."""
        ...


@dataclass(frozen=True)
class Corruption:
    """One way to damage the values of a modality.

    Attributes:
        name: such as `blur`.
        unit: of its level, in words.
        levels: the usual ones, from weak to strong.
        home: where its function lives, `module:function` of this package.
        intact: the level that changes nothing.
        strongest: no level lies beyond it.
        draws: whether it depends on chance; if not, equal values are damaged alike.
    """

    name: str
    unit: str
    levels: tuple[float, ...]
    home: str
    intact: float = 0.0
    strongest: float = math.inf
    draws: bool = True

    def load(self) -> Damage:
        """Import the function."""
        module, _, function = self.home.partition(":")
        return getattr(import_module(f"{HOME}.{module}"), function)

    def check(self, level: float) -> None:
        """Raise unless the level has a meaning."""
        lowest = -math.inf if self.intact else 0.0
        if math.isnan(level) or not lowest <= level <= self.strongest:
            most = "" if math.isinf(self.strongest) else f" to {self.strongest:g}"
            raise OmnifuseError(f"corruption {self.name}: a level of {level:g} means nothing; give 0{most} ({self.unit})")


SHARES = (0.1, 0.25, 0.5, 0.75)
DEVIATIONS = (0.25, 0.5, 1.0, 2.0)
OF_TRAINING = "deviations of the training split"

_PICTURE = (
    Corruption("noise", "standard deviation, as a share of the range", (0.05, 0.1, 0.2, 0.4), "pictures:noise"),
    Corruption("blur", "standard deviation, as a share of the shorter side", (0.01, 0.02, 0.05, 0.1), "pictures:blur", draws=False),
    Corruption("compression", "100 − JPEG quality", (50, 75, 90, 97), "pictures:compression", strongest=99, draws=False),
    Corruption("crop", "share of the area that is cut off", (0.25, 0.5, 0.75, 0.9), "pictures:crop", strongest=1),
    Corruption("cover", "share of the area that is covered", SHARES, "pictures:cover", strongest=1),
    Corruption("darkness", "share of the light that is lost", (0.25, 0.5, 0.75, 0.9), "pictures:darkness", strongest=1, draws=False),
)
_LABEL = (Corruption("replacement", "share of rows", (0.1, 0.25, 0.5, 1.0), "scalars:replacement", strongest=1),)
_NUMBER = (Corruption("noise", f"standard deviation, in {OF_TRAINING}", DEVIATIONS, "scalars:noise"),)

CORRUPTIONS: Mapping[str, Mapping[str, Corruption]] = {
    modality: {corruption.name: corruption for corruption in each}
    for modality, each in {
        "image": _PICTURE,
        "video": _PICTURE,
        "text": (
            Corruption("typos", "share of words", (0.1, 0.25, 0.5, 1.0), "words:typos", strongest=1),
            Corruption("dropped_words", "share of words", SHARES, "words:dropped_words", strongest=1),
        ),
        "audio": (
            Corruption("noise", "signal to noise, in dB", (20, 10, 0, -10), "sounds:noise", intact=math.inf),
            Corruption("gap", "share of the length", SHARES, "sounds:gap", strongest=1),
        ),
        "series": (
            Corruption("noise", f"standard deviation, in {OF_TRAINING}", DEVIATIONS, "sensors:noise"),
            Corruption("drift", f"at the end, in {OF_TRAINING}", DEVIATIONS, "sensors:drift"),
            Corruption("gap", "share of the steps", SHARES, "sensors:gap", strongest=1),
        ),
        "points": (
            Corruption("noise", "standard deviation, in those of the training points", (0.02, 0.05, 0.1, 0.25), "clouds:noise"),
            Corruption("dropped_points", "share of the points", (0.25, 0.5, 0.75, 0.95), "clouds:dropped_points", strongest=1),
        ),
        "number": _NUMBER,
        "vector": _NUMBER,
        "datetime": _NUMBER,
        "category": _LABEL,
        "id": _LABEL,
        "set": (Corruption("replacement", "share of labels", (0.1, 0.25, 0.5, 1.0), "scalars:replaced_labels", strongest=1),),
    }.items()
}


def find_corruption(modality: str, name: str) -> Corruption:
    """A way to damage a modality, by name.

    Raises:
        OmnifuseError: there is none of this name; the nearest is offered.
    """
    if modality not in CORRUPTIONS:
        raise unknown("modality", modality, CORRUPTIONS)
    if name not in CORRUPTIONS[modality]:
        raise unknown("corruption", name, CORRUPTIONS[modality], where=modality)
    return CORRUPTIONS[modality][name]


def corrupt(raw: Any, modality: str, name: str, level: float, *, seed: int = 0, known: Known | None = None) -> Any:
    """Damage one value.

        corrupt(Path("cat.png").read_bytes(), "image", "blur", 0.05)     # the bytes of another picture
        corrupt("is it red?", "text", "typos", 0.5, seed=3)

    Args:
        raw: canonical: the bytes of a file, a text, a number, a label; `None` is absent and stays so.
        modality, name: which damage; `CORRUPTIONS` lists them.
        level: how strong, in the unit of the damage.
        seed: the same seed damages alike.
        known: of the column, for what is measured in deviations of the training split or exchanged for another value.

    Raises:
        OmnifuseError: no such damage, a level without a meaning, or a damage that needs `known`.
        BadValue: the file cannot be decoded.
    """
    corruption = find_corruption(modality, name)
    corruption.check(level)
    if raw is None or level == corruption.intact:
        return raw
    draw = np.random.default_rng(seed_of(seed, "corruption", name))
    return corruption.load()(raw, level, draw, known or Known(modality))
