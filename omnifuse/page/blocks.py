"""What a page is made of: figures, bars, galleries, tables, texts. `parts.html.j2` draws each by its `kind`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from omnifuse.page.media import Picture


@dataclass(frozen=True)
class Plot:
    """A figure made by `omnifuse.page.figures`; a `wide` one takes the whole width."""

    title: str
    note: str
    svg: str
    wide: bool = False
    kind: ClassVar[str] = "plot"


@dataclass(frozen=True)
class Bar:
    """One name with a share (0 to 1) for each series, and what is written beside it."""

    name: str
    shares: Sequence[float]
    shown: str = ""


@dataclass(frozen=True)
class Bars:
    """Names with bars side by side, one for each series (its colour is a number from 0 to 3).

    The longest fills the width, or a share of 1 does (`is_whole`).
    """

    title: str
    note: str
    series: Sequence[str]
    bars: Sequence[Bar]
    colours: Sequence[int] = (0, 1, 2, 3)
    is_whole: bool = False
    kind: ClassVar[str] = "bars"

    @property
    def longest(self) -> float:
        """The share that fills the width."""
        return 1.0 if self.is_whole else max((share for bar in self.bars for share in bar.shares), default=0.0) or 1.0


@dataclass(frozen=True)
class Exhibit:
    """Something to look at or to listen to, with what is known about it."""

    caption: str
    pictures: Sequence[Picture] = ()
    sounds: Sequence[str] = ()
    svg: str = ""
    note: str = ""


@dataclass(frozen=True)
class Gallery:
    """Exhibits in a grid; `wide` ones take more room."""

    title: str
    note: str
    exhibits: Sequence[Exhibit]
    wide: bool = False
    kind: ClassVar[str] = "gallery"


@dataclass(frozen=True)
class Cell:
    """What a table shows, and the number it is sorted by where that is another."""

    shown: str
    value: float | None = None


@dataclass(frozen=True)
class Table:
    """A table that sorts where it is `sortable` and longer than two rows; columns in `numbers` (by place) stand on the right."""

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    numbers: Sequence[int] = ()
    sortable: bool = True
    kind: ClassVar[str] = "table"

    @property
    def sorts(self) -> bool:
        """Whether a click on a head sorts it."""
        return self.sortable and len(self.rows) > 2

    def cells(self) -> list[list[Cell]]:
        """The rows, every entry a cell."""
        return [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in self.rows]


@dataclass(frozen=True)
class Texts:
    """Texts to read, each with what it belongs to."""

    title: str
    note: str
    texts: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "texts"


@dataclass(frozen=True)
class Code:
    """Lines to copy."""

    title: str
    note: str
    code: str
    kind: ClassVar[str] = "code"


Block: TypeAlias = Plot | Bars | Gallery | Table | Texts | Code
