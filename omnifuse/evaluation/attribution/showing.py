"""An explanation as a page shows it: bars of the columns, and the value of each column with its map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from omnifuse.data.decode import decode_image, image_size
from omnifuse.data.loader import RawRows
from omnifuse.data.modalities.fitting import Processors, processor_class
from omnifuse.data.modalities.series import SeriesProcessor
from omnifuse.data.report.glance import glance
from omnifuse.evaluation.attribution import drawings
from omnifuse.evaluation.attribution.explanation import Explanation, signed
from omnifuse.evaluation.attribution.maps import Map, PatchMap, PieceMap, PointMap, WindowMap
from omnifuse.page.media import Picture, picture, sound
from omnifuse.page.words import quantity
from omnifuse.pipeline.pipeline import Pipeline

FAINT, SLIGHT, SMALL, TINY = 0.1, 1e-3, 1e-4, 1e-9
LONGEST_SOUND_S = 12.0


@dataclass(frozen=True)
class Share:
    """One bar: a column, what it adds in words, and how long the bar is in % of the longest one, to the left where it is below zero."""

    column: str
    shown: str
    length: float
    is_against: bool = False


@dataclass(frozen=True)
class Word:
    """A piece of a text and the blank before it, how much of its background is coloured in %, and its value in words."""

    gap: str
    text: str
    colour: float
    shown: str
    is_against: bool = False


@dataclass(frozen=True)
class View:
    """The value of a column with its map: a picture beside its heat, coloured words, a drawing, or else words alone.

    `text` is `None` where the value is absent.
    """

    column: str
    text: str | None = None
    words: Sequence[Word] = ()
    between: str = ""
    pictures: Sequence[Picture] = ()
    sound: str = ""
    svg: str = ""
    note: str = ""


@dataclass(frozen=True)
class Look:
    """How much room there is: the longest side of a picture in pixels, the longest text in characters, and whether sounds can be heard."""

    side: int = 224
    text: int = 2_000
    is_heard: bool = True


SMALL_LOOK = Look(side=112, text=300, is_heard=False)


@dataclass(frozen=True)
class Explained:
    """One explanation to look at."""

    sentence: str
    shares: list[Share] = field(default_factory=list)
    views: dict[str, View] = field(default_factory=dict)


def show(
    pipeline: Pipeline, rows: RawRows, index: Sequence[int], explained: Sequence[Explanation], look: Look | None = None
) -> list[Explained]:
    """Make explanations of the rows at `index` ready for a page."""
    if not explained:
        return []
    look, columns = look or Look(), list(explained[0].contributions)
    values = rows.take(index, columns)
    for name in columns:
        if processor_class(pipeline.schema[name].modality).is_media:
            keys = sorted({key for key in values[name] if key is not None})
            files = dict(zip(keys, rows.media(keys), strict=True))
            values[name] = [None if key is None else files[key] for key in values[name]]
    return [
        Explained(each.sentence(), shares_of(each), _views(pipeline.processors, pipeline, each, {n: values[n][row] for n in columns}, look))
        for row, each in enumerate(explained)
    ]


def shares_of(explanation: Explanation) -> list[Share]:
    """The bars, as long as the largest contribution allows."""
    longest = max((abs(each) for each in explanation.contributions.values()), default=0.0) or 1.0
    return [Share(name, signed(each), round(100 * abs(each) / longest, 1), each < 0) for name, each in explanation.contributions.items()]


def coloured(drawn: PieceMap, scale: float, longest: int) -> list[Word]:
    """The pieces with their colours; of a long text the part around the strongest piece."""
    first, last = _around(drawn, longest)
    pieces = drawn.pieces[first:last]
    words = [Word(*_apart(text), round(100 * min(1.0, abs(value) / scale), 1), signed(value), value < 0) for text, value in pieces]
    before = [Word("", "… ", 0.0, "")] if first else []
    after = [Word(" ", f"… ({len(drawn.rest):,} characters were not read)" if last == len(drawn.pieces) else "…", 0.0, "")]
    return [*before, *words, *(after if drawn.rest or last < len(drawn.pieces) else [])]


def _views(processors: Processors, pipeline: Pipeline, each: Explanation, values: Mapping[str, Any], look: Look) -> dict[str, View]:
    strongest = max((float(np.abs(drawn.numbers).max()) for drawn in each.maps.values() if drawn is not None), default=0.0)
    least = max(FAINT * strongest, SMALL * abs(each.support - each.without), TINY)
    views = {}
    for name, value in values.items():
        drawn, modality = each.maps.get(name), pipeline.schema[name].modality
        if value is None or drawn is None:
            seen = None if value is None else glance(modality, value)
            views[name] = View(name, "", pictures=[seen]) if isinstance(seen, Picture) else View(name, seen)
            continue
        own = float(np.abs(drawn.numbers).max())
        note = _strongest(drawn)
        if own < SLIGHT * abs(each.support - each.without):
            note = f"no part of it alone counts ({note})"
        views[name] = _view(name, processors[name], value, drawn, max(own, least), look, note)
    return views


def _strongest(drawn: Map) -> str:
    """The number that is farthest from zero, and where it is."""
    high, low = float(drawn.numbers.max()), float(drawn.numbers.min())
    return f"strongest {drawn.strongest()}: {signed(high)}" if high >= -low else f"strongest {drawn.strongest(-1)}: {signed(low)}"


def _view(name: str, processor: Any, value: Any, drawn: Map, scale: float, look: Look, note: str) -> View:
    if isinstance(drawn, PieceMap):
        return View(name, "", coloured(drawn, scale, look.text), drawn.between)
    if isinstance(drawn, PatchMap):
        return View(name, "", pictures=_heated(processor, value, drawn, scale, look.side), note=note)
    if isinstance(drawn, PointMap):
        return View(name, "", svg=drawings.coloured_points(drawn, scale), note=f"{note}; seen from above")
    return _strip_view(name, processor, value, drawn, scale, look, note)


def _strip_view(name: str, processor: Any, value: Any, drawn: WindowMap, scale: float, look: Look, note: str) -> View:
    """A sound, a series or a vector."""
    note = f"{quantity(float(drawn.edges[-1]))} {drawn.unit}; {note}"
    item = processor.item(value)
    if isinstance(processor, SeriesProcessor):
        known = processor.decode(processor.collate([item]).data)[0]
        values = np.full((len(known), len(drawn.channels)), np.nan)
        values[:, : min(known.shape[1], len(drawn.channels))] = known[:, : len(drawn.channels)]
        svg, hidden = drawings.shaded_channels(values, drawn.channels, drawn, scale)
        return View(name, "", svg=svg, note=f"{note}; {hidden} weaker channels are not drawn" if hidden else note)
    if drawn.unit == "s":
        rate_hz = round(processor.spec.rate_hz)
        wav = sound(item[0], rate_hz) if look.is_heard and item.shape[1] <= LONGEST_SOUND_S * rate_hz else ""
        return View(name, "", svg=drawings.shaded_wave(item[0], drawn, scale), sound=wav, note=note)
    return View(name, "", svg=drawings.bars_of(drawn, scale), note=f"{glance('vector', value)}; {note}")


def _heated(processor: Any, value: bytes, drawn: PatchMap, scale: float, side: int) -> list[Picture]:
    """A picture beside its heat; of a film the first frame of the run with the strongest place."""
    if drawn.frames:
        run = int(np.unravel_index(int(np.abs(drawn.values).argmax()), drawn.values.shape)[0])
        pixels, values = processor.item(value)[drawn.frames[run]], drawn.values[run]
    else:
        height, width = image_size(value)
        times = min(1.0, side / max(height, width))
        pixels, values = decode_image(value, size=(max(1, round(height * times)), max(1, round(width * times)))), drawn.values
    heated = drawings.heat(pixels, values, scale, side)
    return [_resized(pixels, heated), heated]


def _resized(pixels: np.ndarray, like: Picture) -> Picture:
    """The picture itself in the size of its heat."""
    plain = picture(pixels)
    return Picture(plain.uri, like.width, like.height, plain.width < like.width // 2)


def _apart(text: str) -> tuple[str, str]:
    """The blank before a piece, and the piece."""
    bare = text.lstrip()
    return text[: len(text) - len(bare)], bare


def _around(drawn: PieceMap, longest: int) -> tuple[int, int]:
    """First and last piece (not included) that fit around the strongest one."""
    sizes = [len(text) + len(drawn.between) for text, _ in drawn.pieces]
    first = int(np.abs(drawn.numbers).argmax())
    last, room = first + 1, longest - sizes[first]
    while room > 0 and (first or last < len(sizes)):
        if first:
            first, room = first - 1, room - sizes[first - 1]
        if last < len(sizes):
            last, room = last + 1, room - sizes[last]
    return first, last
