"""What the pages of annotation share: a folder of their own, counts and figures in words."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from pathlib import Path

from omnifuse.core.errors import OmnifuseError
from omnifuse.page.words import figure, shorten

LIBRARIES = ("cleanlab", "crowd-kit", "numpy")  # whose versions the pages tell


def new_folder(out: Path) -> Path:
    """The folder of a report; one that holds something is left alone.

    Raises:
        OmnifuseError: it holds something.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise OmnifuseError(f"{out}: holds something already; choose another --out")
    return out


def counted_labels(labels: Mapping[str, int]) -> str:
    """Labels with how often they were given.

    >>> counted_labels({"yes": 12, "no": 3})
    'yes 12, no 3'
    """
    return ", ".join(f"{shorten(label, 40)} {count:,}" for label, count in list(labels.items())[:6]) + (", …" if len(labels) > 6 else "")


def figure_or_dash(value: float) -> str:
    """A figure, or a dash where it is not defined."""
    return "–" if isnan(value) else figure(value)


def share_or_dash(value: float) -> str:
    """A share in percent, or a dash where it is not defined."""
    return "–" if isnan(value) else f"{value:.1%}"
