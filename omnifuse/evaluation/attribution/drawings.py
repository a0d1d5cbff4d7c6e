"""Maps to look at: heat on a picture, shades behind a sound or a series, coloured points.

Orange speaks for the answer (or raises the number), blue against it: colours that people who confuse red and green tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image

from omnifuse.evaluation.attribution.maps import PointMap, WindowMap
from omnifuse.page.media import Picture, picture
from omnifuse.page.words import label

FOR, AGAINST = (230, 126, 20), (38, 92, 214)
HEAT, GREY, SMALLEST = 0.75, 0.55, 0.02
WIDTH, HEIGHT, MOST_CHANNELS, MOST_POINTS = 240, 56, 6, 800


def heat(pixels: np.ndarray, values: np.ndarray, scale: float, longest_side: int) -> Picture:
    """A picture in grey under its map in colour.

    Args:
        pixels: (H, W, C) uint8.
        values: (h, w).
        scale: the value that is coloured fully.
        longest_side: of the result in pixels.
    """
    height, width = pixels.shape[:2]
    times = longest_side / max(height, width)
    size = (max(1, round(width * times)), max(1, round(height * times)))
    grey = Image.fromarray(np.ascontiguousarray(pixels[..., :3].mean(axis=2).astype(np.uint8)))
    grey = grey.resize(size, Image.Resampling.BILINEAR if times < 2 else Image.Resampling.NEAREST)
    shares = np.asarray(Image.fromarray((values / scale).astype(np.float32)).resize(size, Image.Resampling.BILINEAR)).clip(-1, 1)
    colours = np.where(shares[..., None] > 0, FOR, AGAINST)
    under = (255 * (1 - GREY) / 2 + GREY * np.asarray(grey, dtype=np.float32))[..., None]
    opacity = (HEAT * np.abs(shares))[..., None]
    return picture((under * (1 - opacity) + colours * opacity).round().astype(np.uint8))


def shaded_wave(wave: np.ndarray, drawn: WindowMap, scale: float) -> str:
    """The envelope of a sound (T,) before its shaded windows."""
    parts = np.array_split(np.nan_to_num(wave), min(WIDTH, max(1, len(wave))))
    high, low = [float(part.max(initial=0)) for part in parts], [float(part.min(initial=0)) for part in parts]
    loudest, step = max(*high, *(-y for y in low)) or 1.0, WIDTH / len(parts)
    places = [*enumerate(high), *reversed(list(enumerate(low)))]
    points = " ".join(f"{x * step:.1f},{HEIGHT / 2 - (HEIGHT / 2 - 1) * y / loudest:.1f}" for x, y in places)
    shape = f'<polygon points="{points}" style="fill: var(--ink); stroke: var(--ink); stroke-width: .4"/>'
    return _strips([_shades(drawn, 0, scale) + shape], "sound")


def shaded_channels(values: np.ndarray, names: Sequence[str], drawn: WindowMap, scale: float) -> tuple[str, int]:
    """Each channel of a series (T, C) before its shaded windows, those with the strongest windows only; and how many were left out."""
    order = np.argsort(-np.abs(drawn.values).max(axis=1), kind="stable")[:MOST_CHANNELS]
    rows: list[int] = sorted(order.tolist())
    strips = [_shades(drawn, row, scale) + _curve(values[:, row]) for row in rows]
    return _strips(strips, "series", [names[row] for row in rows]), len(drawn.values) - len(order)


def bars_of(drawn: WindowMap, scale: float) -> str:
    """The places of a vector, shaded."""
    return _strips([_shades(drawn, 0, scale)], "vector")


def coloured_points(drawn: PointMap, scale: float) -> str:
    """The points of a cloud from above (x to the right, y upwards), the last ones drawn those with the strongest cluster."""
    step = max(1, -(-len(drawn.points) // MOST_POINTS))
    points, cluster = drawn.points[::step, :2], drawn.cluster[::step]
    low, span = points.min(axis=0), float(np.ptp(points, axis=0).max()) or 1.0
    shares = np.clip(drawn.values / scale, -1, 1)[cluster]
    dots = []
    for at in np.argsort(np.abs(shares), kind="stable"):
        x, y = (points[at] - low) / span * (WIDTH - 10) + 5
        colour = f"var(--{'second' if shares[at] > 0 else 'accent'})" if abs(shares[at]) > SMALLEST else "var(--quiet)"
        dots.append(f'<circle cx="{x:.1f}" cy="{WIDTH - y:.1f}" r="2" style="fill: {colour}; opacity: {0.3 + 0.7 * abs(shares[at]):.2f}"/>')
    box = f'viewBox="0 0 {WIDTH} {WIDTH}" role="img" aria-label="points, coloured by what they speak for"'
    return f'<svg {box} style="--width: 15rem">{"".join(dots)}</svg>'


def _shades(drawn: WindowMap, row: int, scale: float) -> str:
    """A rectangle for each window that counts."""
    last, shades = float(drawn.edges[-1]) or 1.0, []
    for (start, end), value in zip(pairwise(drawn.edges), drawn.values[row], strict=True):
        share = float(np.clip(value / scale, -1, 1))
        if abs(share) > SMALLEST:
            x, width, colour = WIDTH * start / last, WIDTH * (end - start) / last, "second" if share > 0 else "accent"
            style = f"fill: var(--{colour}); fill-opacity: {0.65 * abs(share):.2f}"
            shades.append(f'<rect x="{x:.1f}" y="0" width="{width:.1f}" height="{HEIGHT}" style="{style}"/>')
    return "".join(shades)


def _curve(values: np.ndarray) -> str:
    """A line through (T,) values, broken where they are missing."""
    low, high = (np.nanmin(values), np.nanmax(values)) if np.isfinite(values).any() else (0.0, 1.0)
    step = max(1, len(values) // (2 * WIDTH))
    heights = HEIGHT - 4 - (HEIGHT - 8) * (values[::step] - low) / ((high - low) or 1.0)
    xs = (np.arange(len(values))[::step] + 0.5) * WIDTH / len(values)
    runs, run = [], []
    for x, y in zip(xs, heights, strict=True):
        if np.isfinite(y):
            run.append(f"{x:.1f},{y:.1f}")
        elif run:
            runs, run = [*runs, run], []
    lines = [" ".join(each) for each in [*runs, run] if each]
    style = "fill: none; stroke: var(--ink); stroke-width: 1.1; vector-effect: non-scaling-stroke"
    return "".join(f'<polyline points="{line}" style="{style}"/>' for line in lines)


def _strips(strips: Sequence[str], what: str, names: Sequence[str] = ()) -> str:
    """Drawings above each other, each as wide as there is room, with their names on the left."""
    rows = []
    for place, strip in enumerate(strips):
        box = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img"'
        name = _escaped(label(names[place], 18)) if len(names) > 1 else ""
        drawing = f'<svg {box} aria-label="{name or what}, shaded where it counts" style="--width: 100%; height: 3rem">{strip}</svg>'
        rows.append(f"<small>{name}</small>{drawing}" if name else drawing)
    return f'<div class="strips{" named" if len(names) > 1 else ""}">{"".join(rows)}</div>'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
