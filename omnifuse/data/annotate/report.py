"""The page of an annotation step: in words what came out, then tables and rows to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

from omnifuse.core.atomic import write_text
from omnifuse.core.errors import OmnifuseError
from omnifuse.page.blocks import Block
from omnifuse.page.page import render_page, versions_of
from omnifuse.page.words import figure, shorten


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it."""

    title: str
    note: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Fact:
    """A figure of the first screen with its name."""

    name: str
    value: str


def write_page(path: Path, title: str, over: str, sentences: Sequence[str], facts: Sequence[Fact], sections: Sequence[Section]) -> Path:
    """Write a page that stands alone; the same values give the same bytes.

    Args:
        path: where.
        title: what the page is about; `over` stands above it in small.
        sentences: the answer, in words.
        facts: figures beside it.
        sections: the rest; those without blocks are left out.
    """
    values = {
        "title": title,
        "over": over,
        "sentences": list(sentences),
        "facts": list(facts),
        "sections": [section for section in sections if section.blocks],
        "versions": versions_of(("cleanlab", "crowd-kit", "numpy")),
    }
    write_text(path, render_page("omnifuse.data.annotate/report.html.j2", values))
    return path


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
