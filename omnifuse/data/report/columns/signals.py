"""Columns of sound, of sensor series and of point clouds."""

from __future__ import annotations

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.report import plots
from omnifuse.data.report.columns.pictures import between
from omnifuse.data.report.described import Described, Finding
from omnifuse.data.report.sample import ColumnSample
from omnifuse.data.report.spectrogram import spectrogram_pixels
from omnifuse.page.blocks import Block, Cell, Exhibit, Gallery, Plot, Table
from omnifuse.page.figures import waveform
from omnifuse.page.media import picture, sound
from omnifuse.page.words import listed, percent, quantity

CLIPS, CLIP_S, RATE_HZ = 6, 4.0, 16_000
CURVES, SERIES_READ, CHANNELS = 3, 24, 8
CLOUDS, MOST_POINTS = 6, 200_000


def describe_audio(sample: ColumnSample) -> Described:
    """Waveforms and spectrograms with short clips to hear, and the lengths of the sounds."""
    described = Described()
    if not sample.present():
        return described
    numbers = sample.numbers("seconds", "rate_hz", "channels")
    facts = {
        "length": between(numbers["seconds"], "s"),
        "rate": between(numbers["rate_hz"], "Hz"),
        "channels": between(numbers["channels"]),
    }
    described.facts = {name: text for name, text in facts.items() if text}
    chosen = sample.pick(CLIPS)
    told = sample.dataset.facts(sample.name, [key for key, _ in chosen])
    files = sample.files([key for key, _ in chosen])
    rates = [fact.numbers.get("rate_hz", RATE_HZ) for fact in told]
    exhibits = [heard(data, caption, rate_hz) for (_, caption), data, rate_hz in zip(chosen, files, rates, strict=True)]
    note = f"log-mel spectrogram and waveform of the first {CLIP_S:g} s; the player has 8 kHz{sample.caption_note}"
    described.blocks.append(Gallery("Sounds", note, exhibits, wide=True))
    described.blocks += _lengths(sample, numbers["seconds"], "seconds")
    longest = float(sample.column.options.get("max_s", 30.0))
    cut = int((numbers["seconds"] > longest).sum())
    if cut:
        text = f"{sample.name}: {percent(cut, len(numbers['seconds']))} of the sounds are longer than max_s = {longest:g} s and are cut"
        described.findings.append(Finding("look", text, sample.key))
    return described


def describe_series(sample: ColumnSample) -> Described:
    """Curves of a few series in each channel, lengths, and what is missing inside them."""
    from omnifuse.data.decode.series import decode_series

    described = Described()
    if not sample.present():
        return described
    steps = sample.numbers("steps")["steps"]
    chosen = sample.pick(SERIES_READ)
    read: list[tuple[str, np.ndarray]] = []
    names: tuple[str, ...] = ()
    for (_, caption), data in zip(chosen, sample.files([key for key, _ in chosen]), strict=True):
        try:
            series = decode_series(data)
        except OmnifuseError:
            continue
        values = np.asarray(series.values, dtype=np.float64)
        if not read:
            names = tuple(series.names) or tuple(f"channel {place + 1}" for place in range(values.shape[1]))
        if values.shape[1] == len(names):
            read.append((caption, values))
    facts = {"steps": between(steps), "channels": f"{len(names)}: {listed(list(names), CHANNELS)}" if names else ""}
    described.facts = {name: text for name, text in facts.items() if text}
    if not read:
        return described
    title = "Curves" if len(names) <= CHANNELS else f"Curves of {CHANNELS} of {len(names)} channels"
    shown = [(caption, values[:, :CHANNELS]) for caption, values in read[:CURVES]]
    drawn = plots.curves(names[:CHANNELS], shown, key=f"{sample.key}-curves")
    described.blocks.append(Plot(title, f"of {len(shown)} series{sample.caption_note}", drawn, wide=True))
    described.blocks.append(_channel_table(names, [values for _, values in read]))
    described.blocks += _lengths(sample, steps, "steps")
    every = np.concatenate([values.ravel() for _, values in read])
    if np.isnan(every).any():
        text = f"{sample.name}: {percent(int(np.isnan(every).sum()), every.size)} of the values inside the series are missing"
        described.findings.append(Finding("look", text, sample.key))
    return described


def describe_points(sample: ColumnSample) -> Described:
    """A few clouds from above, their numbers of points, and what they measure."""
    described = Described()
    if not sample.present():
        return described
    ends = ("x_min", "x_max", "y_min", "y_max", "z_min", "z_max")
    numbers = sample.numbers("points", *ends)
    facts = {"points": between(numbers["points"])}
    for axis in "xyz":
        facts[axis] = between(np.concatenate([numbers[f"{axis}_min"], numbers[f"{axis}_max"]]))
    described.facts = {name: text for name, text in facts.items() if text}
    chosen = sample.pick(CLOUDS)
    columns = tuple(sample.column.options.get("columns") or ("x", "y", "z", "intensity"))
    exhibits, features = [], ()
    for place, ((_, caption), data) in enumerate(zip(chosen, sample.files([key for key, _ in chosen]), strict=True)):
        exhibit, features = _from_above(data, columns, caption, f"{sample.key}-cloud{place}")
        exhibits.append(exhibit)
    if features[3:]:
        described.facts["features"] = listed(list(features[3:]))
    note = f"x to the right, y up; blue is low, orange is high{sample.caption_note}"
    described.blocks.append(Gallery("From above", note, exhibits, wide=True))
    described.blocks += _lengths(sample, numbers["points"], "points")
    return described


def heard(data: bytes, caption: str, source_hz: float) -> Exhibit:
    """The beginning of a sound file as waveform, spectrogram and player; or the reason why it cannot be played."""
    from omnifuse.data.decode.audio import decode_audio

    rate_hz = RATE_HZ if source_hz > RATE_HZ / 2 else RATE_HZ // 2
    try:
        wave = np.asarray(decode_audio(data, rate_hz, 1, CLIP_S))[0]
    except OmnifuseError as error:
        return Exhibit(caption, note=f"cannot be played: {error}")
    factor = rate_hz * 2 // RATE_HZ  # down to 8 kHz: a page holds twice as many clips
    played = wave[: len(wave) // factor * factor].reshape(-1, factor).mean(axis=1)
    return Exhibit(caption, [picture(spectrogram_pixels(wave, rate_hz))], [sound(played, RATE_HZ // 2)], waveform(wave))


def _from_above(data: bytes, columns: tuple[str, ...], caption: str, key: str) -> tuple[Exhibit, tuple[str, ...]]:
    from omnifuse.data.decode.points import decode_points

    try:
        values, names = decode_points(data, columns)
    except OmnifuseError as error:
        return Exhibit(caption, note=f"cannot be shown: {error}"), ()
    values = np.asarray(values, dtype=np.float64)
    shown = values[:: max(1, -(-len(values) // MOST_POINTS))]
    drawn = plots.cloud(shown[:, :2], shown[:, 2], key=key)
    low, high = (quantity(float(f"{end:.3g}")) for end in (values[:, 2].min(), values[:, 2].max()))
    return Exhibit(caption, svg=drawn, note=f"{len(values):,} points, height {low} … {high}"), tuple(names)


def _channel_table(names: tuple[str, ...], read: list[np.ndarray]) -> Table:
    """Spread and missing share of each channel, over the series that were read."""
    values = np.concatenate(read)
    rows = []
    for place, name in enumerate(names):
        known = values[:, place][np.isfinite(values[:, place])]
        missing = Cell(percent(len(values) - len(known), len(values)), 1 - len(known) / len(values))
        figures = [known.mean(), known.std(), known.min(), known.max()] if len(known) else [np.nan] * 4
        rows.append((name, *[Cell("–" if np.isnan(v) else quantity(float(f"{v:.4g}")), float(np.nan_to_num(v))) for v in figures], missing))
    return Table("Channels", f"over {len(read)} series", ("channel", "mean", "deviation", "least", "most", "missing"), rows, range(1, 6))


def _lengths(sample: ColumnSample, values: np.ndarray, name: str) -> list[Block]:
    values = values[np.isfinite(values)]
    if len(np.unique(values)) < 2:
        return []
    drawn = plots.histogram({"all splits": values}, name, key=f"{sample.key}-{name}", whole=True)
    return [Plot("Length" if name != "points" else "Number of points", "a value for each file drawn", drawn)]
