"""Options of joins and windows: the `join` and `windows` sections of `data`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from omnifuse.core.config import Config
from omnifuse.core.errors import OmnifuseError

Seconds = Annotated[float, Field(ge=0)]
Length = Annotated[int, Field(ge=1)]


class Collect(Config):
    """Several rows of the other table become one value.

    Attributes:
        column: which column of theirs; `series` takes several.
        into: a `set` of labels, a `sequence` (words in order), or a `series` (numbers over time).
        order: column they are ordered by; a `series` gets it as the channel `time` when it holds numbers or times.
        last: keep only so many of the last ones.
    """

    column: str | tuple[str, ...]
    into: Literal["set", "sequence", "series"] = "set"
    order: str | None = None
    last: Length | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are collected."""
        return (self.column,) if isinstance(self.column, str) else self.column

    @model_validator(mode="after")
    def _consistent(self) -> Collect:
        if self.into != "series" and len(self.columns) != 1:
            raise OmnifuseError(f"a {self.into} takes one column, not {len(self.columns)}; only a `series` takes several")
        if not self.order and (self.into != "set" or self.last):
            raise OmnifuseError(f"{'`last`' if self.last else f'a {self.into}'} needs `order`: the order of rows in a file means nothing")
        return self


class Asof(Config):
    """The nearest row in time.

    Attributes:
        left, right: columns of time on the two sides; `right` is called like `left` by default.
        by: columns that must be equal.
        tolerance_s: rows further away do not match.
        offset_s: added to the time of the right side, whose clock is late by so much.
        direction: the last row before, the first one after, or the nearer of them; a row at the same time is both.
        unit: what a number in the column of time counts.
    """

    left: str
    right: str | None = None
    by: tuple[str, ...] = ()
    tolerance_s: Seconds
    offset_s: float = 0.0
    direction: Literal["backward", "forward", "nearest"] = "nearest"
    unit: Literal["s", "ms", "us", "ns"] = "s"


class Window(Config):
    """All rows within a span of time around a row become one series, with their time relative to the row as channel `time`.

    Attributes:
        left, right, by, offset_s, unit: as in `asof`.
        before_s, after_s: the span, both ends included.
        columns: the channels.
        into: name of the new column.
        min_steps: with fewer rows in the span, the value is absent.
    """

    left: str
    right: str | None = None
    by: tuple[str, ...] = ()
    before_s: Seconds = 0.0
    after_s: Seconds = 0.0
    offset_s: float = 0.0
    unit: Literal["s", "ms", "us", "ns"] = "s"
    columns: tuple[str, ...]
    into: str
    min_steps: Length = 1

    @model_validator(mode="after")
    def _consistent(self) -> Window:
        _check_channels(self.columns)
        if self.before_s == self.after_s == 0:
            raise OmnifuseError("give `before_s`, `after_s` or both: the span of time around a row")
        if "time" in self.columns:
            raise OmnifuseError("the channel `time` is added by the join; leave it out of `columns`")
        return self


class JoinConfig(Config):
    """Another source, and how its rows find theirs: by `on` (keys), by `asof` (time) or by `window` (a span of time).

    Attributes:
        source: what `data.source` takes.
        label: its name in reports; by default the name of its file.
        on: columns that must be equal, by one name or as `{ours: theirs}`.
        columns: which of its columns to add; by default all. `{new: theirs}` renames.
        collect: with `on`, one-to-many: new column → which rows' values become one.
        asof, window: by time.
        how: `left` keeps rows without a partner, their new columns absent; `inner` drops them.
        duplicates: several partners by key where one is wanted: stop, take the first or the last by `order`.
        order: column that decides which is the first.
        absent: words that stand for no key; an empty one always does.
        max_unmatched: more rows without a partner than this share stop the preparation.
    """

    source: Any
    label: str | None = None
    on: str | tuple[str, ...] | dict[str, str] | None = None
    columns: tuple[str, ...] | dict[str, str] | None = None
    collect: dict[str, Collect] | None = None
    asof: Asof | None = None
    window: Window | None = None
    how: Literal["left", "inner"] = "left"
    duplicates: Literal["error", "first", "last"] = "error"
    order: str | None = None
    absent: tuple[str, ...] = ()
    max_unmatched: Annotated[float, Field(ge=0, le=1)] = 1.0

    @property
    def keys(self) -> dict[str, str]:
        """Columns that must be equal: ours → theirs."""
        if isinstance(self.on, dict):
            return self.on
        timed = self.asof or self.window
        names = timed.by if timed else (self.on,) if isinstance(self.on, str) else self.on or ()
        return {name: name for name in names}

    @model_validator(mode="after")
    def _consistent(self) -> JoinConfig:
        ways = [name for name in ("on", "asof", "window") if getattr(self, name)]
        if len(ways) != 1:
            given = f"not {' and '.join(ways)}" if ways else "which say what matches"
            raise OmnifuseError(f"give one of `on`, `asof` and `window`, {given}")
        if self.collect and not self.on:
            raise OmnifuseError("`collect` goes with `on`; `window` collects by time")
        if self.columns is not None and (self.collect or self.window):
            raise OmnifuseError(f"`columns` goes with one partner a row; `{'collect' if self.collect else 'window'}` names its own")
        if (self.order or self.duplicates != "error") and (not self.on or self.collect):
            raise OmnifuseError("`duplicates` and `order` go with `on`, where one partner is wanted")
        if (self.duplicates == "error") != (self.order is None):
            raise OmnifuseError("`duplicates: first` or `last` and `order` go together: the order of rows in a file means nothing")
        return self


class WindowsConfig(Config):
    """A long table of samples becomes a row for each window.

    Attributes:
        by: columns of one recording; windows never span two.
        order: column of time or position; by default the order in which the samples stand in their file.
        length, stride: in samples; `stride` is `length` by default.
        columns: the channels of the series.
        into: name of the new column.
        keep: how the other columns become one value in a window: the `first`, the `last`, or the most frequent (`majority`);
            those not named must be the same throughout a window.
        partial: what to do with the rest of a recording that is shorter than `length`.
        number_column: name of the column that holds the number of a window in its recording.
        start_column: name of the column that holds where a window starts: its first value of `order`, or its first sample.
    """

    by: tuple[str, ...]
    order: str | None = None
    length: Length
    stride: Length | None = None
    columns: tuple[str, ...]
    into: str
    keep: dict[str, Literal["first", "last", "majority"]] = {}
    partial: Literal["drop", "keep"] = "drop"
    number_column: str = "window"
    start_column: str = "start"

    @model_validator(mode="after")
    def _consistent(self) -> WindowsConfig:
        _check_channels(self.columns)
        for name in self.by:
            if name in self.columns or name == self.order:
                raise OmnifuseError(f'"{name}" tells recordings apart (`by`) and cannot be a channel or the order too')
        for name in self.keep:
            if name in self.columns or name in self.by or name == self.order:
                raise OmnifuseError(f'`keep` is for columns beside the channels, `by` and `order`; leave out "{name}"')
        return self


def _check_channels(columns: tuple[str, ...]) -> None:
    if not columns or len(set(columns)) < len(columns):
        raise OmnifuseError("`columns` names each channel once, at least one")
