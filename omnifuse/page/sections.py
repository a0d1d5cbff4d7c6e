"""A page that answers in words, with figures beside it, and below it sections of blocks to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omnifuse.core.atomic import write_text
from omnifuse.page.blocks import Block
from omnifuse.page.page import render_page, versions_of


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


def write_page(
    path: Path,
    title: str,
    over: str,
    sentences: Sequence[str],
    facts: Sequence[Fact],
    sections: Sequence[Section],
    libraries: Sequence[str] = ("numpy",),
) -> Path:
    """Write a page that stands alone; the same values give the same bytes.

    Args:
        path: where.
        title: what the page is about; `over` stands above it in small.
        sentences: the answer, in words.
        facts: figures beside it.
        sections: the rest; those without blocks are left out.
        libraries: whose versions stand at its foot.
    """
    values = {
        "title": title,
        "over": over,
        "sentences": list(sentences),
        "facts": list(facts),
        "sections": [section for section in sections if section.blocks],
        "versions": versions_of(libraries),
    }
    write_text(path, render_page("omnifuse.page/sections.html.j2", values))
    return path
