"""What became of each row of a join: counts that add up to the rows of either side, exactly."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class LeftCounts:
    """Rows of the table that is joined to.

    Attributes:
        matched: got a value.
        unmatched: no row of the other side has their key, or stands on the asked side of their time or in their span.
        too_far: the nearest row is beyond the tolerance.
        too_few: fewer rows than `min_steps` in the span.
        without_key: a key or the time is absent.
        unreadable: the time is a word that is no time.
        dropped: of those without a value, left out by `how: inner`.
    """

    rows: int = 0
    matched: int = 0
    unmatched: int = 0
    too_far: int = 0
    too_few: int = 0
    without_key: int = 0
    unreadable: int = 0
    dropped: int = 0

    @property
    def kept(self) -> int:
        """Rows after the join."""
        return self.rows - self.dropped

    def check(self) -> None:
        """Every row is counted once."""
        assert self.rows == self.matched + self.unmatched + self.too_far + self.too_few + self.without_key + self.unreadable


@dataclass
class RightCounts:
    """Rows of the other table.

    Attributes:
        used: partner of at least one row.
        duplicated: would have been a partner, but another of the same key (or key and time) was taken.
        left_out: of a wanted key, but before the `last` ones or without an order.
        unmatched: partner of no row.
        without_key: a key or the time is absent.
        unreadable: the time is a word that is no time.
    """

    rows: int = 0
    used: int = 0
    duplicated: int = 0
    left_out: int = 0
    unmatched: int = 0
    without_key: int = 0
    unreadable: int = 0

    def check(self) -> None:
        """Every row is counted once."""
        assert self.rows == self.used + self.duplicated + self.left_out + self.unmatched + self.without_key + self.unreadable


@dataclass
class JoinReport:
    """What a join did.

    Attributes:
        name: of the other source.
        way: `key`, `collect`, `asof` or `window`.
        cells: for each channel of a series, how many cells of the other table are missing or unreadable (and count as missing).
        examples: the first few keys, in the alphabet, of rows without a partner: `left`, and with keys `right`.
        distance_s: with `asof`, the mean and the largest distance in time of a row and its partner.
    """

    name: str
    way: str
    how: str
    left: LeftCounts
    right: RightCounts
    cells: dict[str, dict[str, int]] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    distance_s: dict[str, float] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """Plain JSON."""
        left = {**asdict(self.left), "kept": self.left.kept}
        return {**asdict(self), "left": left}


@dataclass
class WindowsReport:
    """What cutting windows did.

    Attributes:
        rows: samples in the table; the sum of `used`, `left_over`, `without_key` and `without_order`.
        used: samples in at least one window.
        left_over: samples between windows or after the last one.
        without_key: a column of `by` is absent.
        without_order: the column of `order` is absent.
        recordings: different values of `by`; `short` of them gave no window.
        windows: new rows; `partial` of them are shorter than `length`.
        repeated_order: samples with the same place in `order` as the one before them, which keep the order of their file.
        cells: for each channel, how many cells are missing or unreadable (and count as missing).
    """

    rows: int = 0
    used: int = 0
    left_over: int = 0
    without_key: int = 0
    without_order: int = 0
    recordings: int = 0
    short: int = 0
    windows: int = 0
    partial: int = 0
    repeated_order: int = 0
    cells: dict[str, dict[str, int]] = field(default_factory=dict)

    def check(self) -> None:
        """Every sample is counted once."""
        assert self.rows == self.used + self.left_over + self.without_key + self.without_order

    def dump(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)
