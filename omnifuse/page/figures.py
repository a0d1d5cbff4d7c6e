"""Figures as inline SVG. Colours are CSS variables of the page, so a figure follows its light or dark look.

matplotlib draws with stand-in colours; `to_svg` swaps them for `var(--…)`, gives every id the name of its figure, and
drops what belongs to a file of its own. Text stays text: the page's font draws it, in any script.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

P = ParamSpec("P")

INK, QUIET, FAINT, ACCENT, SECOND, PAPER, THIRD = "#010203", "#020304", "#030405", "#040506", "#050607", "#060708", "#070809"
_COLOURS = {INK: "ink", QUIET: "quiet", FAINT: "line", ACCENT: "accent", SECOND: "second", PAPER: "paper", THIRD: "third"}
_COLOUR = re.compile("|".join(_COLOURS))
_FONT = re.compile(r"font: ([\d.]+px)[^;]*")
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "omnifuse",  # ids of markers and clips are then the same every time
    "text.parse_math": False,  # a label such as "$5 or $6" is not a formula
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": QUIET,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "figure.facecolor": "none",
    "legend.frameon": False,
}


def styled(draw: Callable[P, str]) -> Callable[P, str]:
    """Draw with our style alone: what the user's matplotlibrc says would change the page."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> str:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)
            return draw(*args, **kwargs)

    return wrapper


def one_axes(width: float, height: float, grid: str | None = "y") -> tuple[Figure, Axes]:
    """A figure (in inches) with one pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(False)
    if grid:
        axes.grid(True, axis=grid)  # pyright: ignore[reportArgumentType]
    return figure, axes


def framed_axes(width: float, height: float, grid: str | None = "y") -> tuple[Figure, Axes]:
    """As `one_axes`, with margins of a fixed size (room for numbers of five digits): drawn in a third of the time."""
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(left=0.7 / width, right=1 - 0.12 / width, bottom=0.5 / height, top=1 - 0.12 / height)
    axes = figure.add_subplot()
    axes.grid(False)
    if grid:
        axes.grid(True, axis=grid)  # pyright: ignore[reportArgumentType]
    return figure, axes


def name_rows(axes: Axes, names: Sequence[str], margin: float = 0.6, size: float | None = None) -> None:
    """A name for each row of a figure, the first at the top, with some room above and below."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 1 + margin, -margin)
    axes.tick_params(axis="y", length=0, labelcolor=INK, **({} if size is None else {"labelsize": size}))


def legend_above(axes: Axes, columns: int, handle: float = 1.4) -> None:
    """The legend between the figure and its title."""
    axes.legend(fontsize=8, ncols=columns, loc="lower center", bbox_to_anchor=(0.5, 1.0), columnspacing=1.2, handlelength=handle)


def central(values: np.ndarray) -> tuple[float, float]:
    """What an axis shows: everything, or without the outermost 0.5 % on each side where they would squeeze the rest."""
    low, high = float(values.min()), float(values.max())
    inner_low, inner_high = (float(end) for end in np.percentile(values, [0.5, 99.5]))
    if high - low > 3 * (inner_high - inner_low) > 0:
        low, high = inner_low, inner_high
    margin = 0.04 * (high - low) or max(1.0, abs(low)) * 0.04
    return low - margin, high + margin


def to_svg(figure: Figure, key: str, title: str) -> str:
    """The figure as an element of an HTML page; `key` names it there and must be its own."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that matplotlib's font lacks; the browser has them
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(buffer.getvalue())
    _clean(root, key)
    width = float(root.attrib.pop("width").removesuffix("pt"))
    root.attrib.pop("height")
    root.attrib.pop("version", None)
    root.attrib.update({"role": "img", "aria-label": title, "style": f"--width: {width * 1.2:.0f}px"})
    if width > 450:
        root.set("class", "wide")  # a phone scrolls it rather than shrinking it
    return ElementTree.tostring(root, encoding="unicode")


def _clean(element: ElementTree.Element, key: str) -> None:
    element.tag = element.tag.rpartition("}")[2]  # inside HTML, svg needs no namespaces
    for name in list(element.attrib):
        value = element.attrib.pop(name)
        name = name.rpartition("}")[2]
        if name == "id":
            value = f"{key}-{value}"
        elif name == "href" and not value.startswith("data:image/"):
            value = f"#{key}-{value.removeprefix('#')}"
        value = value.replace("url(#", f"url(#{key}-")
        if name == "style":
            value = _FONT.sub(r"font-size: \1", _COLOUR.sub(lambda match: f"var(--{_COLOURS[match[0]]})", value))
        element.attrib[name] = value
    for child in list(element):
        if child.tag.rpartition("}")[2] in ("metadata", "style"):  # its style rule would reach the whole page
            element.remove(child)
        else:
            _clean(child, key)


def waveform(wave: np.ndarray, columns: int = 220) -> str:
    """The envelope of a sound (T,), drawn by hand: a tenth of what a plot of it would weigh."""
    parts = np.array_split(np.nan_to_num(wave), min(columns, max(1, len(wave))))
    high, low = [part.max(initial=0) for part in parts], [part.min(initial=0) for part in parts]
    loudest = max(max(high), -min(low)) or 1.0
    places = [*enumerate(high), *reversed(list(enumerate(low)))]
    points = " ".join(f"{x},{30 - 29 * y / loudest:.1f}" for x, y in places)
    shape = f'<polygon points="{points}" style="fill: var(--accent); stroke: var(--accent); stroke-width: .6"/>'
    box = f'viewBox="0 0 {len(parts)} 60" preserveAspectRatio="none" role="img" aria-label="Waveform"'
    return f'<svg {box} style="--width: 40rem; height: 3.6rem">{shape}</svg>'
