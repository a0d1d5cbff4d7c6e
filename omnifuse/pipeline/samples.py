"""What was generated as files: pictures, sounds, tables, one sheet with all at a glance, and a page to look at and to listen to."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from omnifuse.core.atomic import replacing
from omnifuse.data.decode import encode_image
from omnifuse.data.decode.audio import encode_audio
from omnifuse.data.report.glance import glance
from omnifuse.data.report.spectrogram import spectrogram_pixels
from omnifuse.page.blocks import Exhibit, Gallery
from omnifuse.page.figures import ACCENT, SECOND, THIRD, one_axes, styled, to_svg
from omnifuse.page.media import Picture, picture
from omnifuse.page.sections import Fact, Section, write_page
from omnifuse.page.words import quantity, shorten

TABLE, SHEET, PAGE = "samples.csv", "contact.png", "samples.html"
MOST_ROWS, MOST_COLUMNS, CELL_INCHES, LONGEST_CELL, ENLARGED = 24, 12, 1.1, 40, 112


@dataclass(frozen=True)
class Made:
    """One generated value.

    Attributes:
        row, sample: which row it belongs to, and which of the answers to it; counted from 1.
        given: what the row gave, in words.
        target, modality: of the value.
        value: as `Pipeline.generate` returns it.
    """

    row: int
    sample: int
    given: str
    target: str
    modality: str
    value: Any

    @property
    def name(self) -> str:
        """Of its file, without ending."""
        return f"{self.target.replace('/', '%2F')}-{self.row:04d}-{self.sample:02d}"


def write_samples(made: Sequence[Made], out: Path, title: str, about: Mapping[str, str]) -> list[Path]:
    """Write files, `samples.csv`, `contact.png` and `samples.html` into a folder.

    Args:
        made: what was generated, row by row.
        out: the folder, made when it is not there.
        title: of the page.
        about: facts beside it, such as the seed.

    Returns:
        What was written, the page last.
    """
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    words = []
    for each in made:
        file = value_file(each.value, each.modality)
        if file is None:
            words.append(value_word(each.value))
            continue
        path = out / (each.name + file[1])
        with replacing(path) as temporary:
            temporary.write_bytes(file[0])
        written.append(path)
        words.append(path.name)
    with replacing(out / TABLE) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["row", "sample", "given", "target", "value"])
        writer.writerows([each.row, each.sample, each.given, each.target, word] for each, word in zip(made, words, strict=True))
    with replacing(out / SHEET) as temporary:
        temporary.write_bytes(contact_sheet(made))
    facts = [Fact(name, value) for name, value in about.items()]
    page = write_page(out / PAGE, title, "omnifuse generate", [], facts, _sections(made), ("numpy", "torch"))
    return [*written, out / TABLE, out / SHEET, page]


def value_file(value: Any, modality: str) -> tuple[bytes, str] | None:
    """A generated value as the bytes of a file and its ending: PNG, WAV or CSV; `None` where it is a word or a number."""
    if modality == "image":
        return encode_image(value), ".png"
    if modality == "audio":
        return encode_audio(value), ".wav"
    if modality not in ("series", "points"):
        return None
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(value)
    writer.writerows(["" if np.isnan(number) else f"{number:.9g}" for number in row] for row in zip(*value.values(), strict=True))
    return text.getvalue().encode(), ".csv"


def value_word(value: Any) -> str:
    """A generated label, set, number or text in words."""
    if isinstance(value, tuple | list):
        return "|".join(map(str, value))
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def exhibit(each: Made, key: str) -> Exhibit:
    """A generated value to look at or to listen to; `key` names its figure on the page."""
    caption = f"{each.given} · {each.sample}" if each.sample > 1 else each.given
    if each.modality == "image":
        return Exhibit(caption, [picture(each.value, ENLARGED)])
    if each.modality == "audio":
        wav = encode_audio(each.value)
        look = glance("audio", wav)
        uri = f"data:audio/wav;base64,{base64.b64encode(wav).decode()}"
        return Exhibit(caption, [look] if isinstance(look, Picture) else [], [uri])
    if each.modality in ("series", "points"):
        return Exhibit(caption, svg=_curves(each.value, each.modality, key))
    return Exhibit(shorten(value_word(each.value), 300), note=caption)


def _sections(made: Sequence[Made]) -> list[Section]:
    """One for each target, with an exhibit for each value."""
    sections = []
    for target in dict.fromkeys(each.target for each in made):
        own = [each for each in made if each.target == target]
        wide = own[0].modality in ("series", "text")
        gallery = Gallery(target, "", [exhibit(each, f"s{len(sections)}-{place}") for place, each in enumerate(own)], wide)
        sections.append(Section(target, f"{len(own):,} generated", [gallery]))
    return sections


@styled
def _curves(value: Mapping[str, np.ndarray], modality: str, key: str) -> str:
    figure, axes = one_axes(3.4, 1.9)
    if modality == "points":
        axes.scatter(value["x"], value["y"], s=3, color=ACCENT)
        axes.set_aspect("equal", "datalim")
    else:
        for place, (name, channel) in enumerate(value.items()):
            axes.plot(channel, color=(ACCENT, SECOND, THIRD)[place % 3], linewidth=1.1, label=shorten(name, 16))
        if 1 < len(value) <= 6:
            axes.legend(fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.25))
    return to_svg(figure, key, f"generated {modality}")


def contact_sheet(made: Sequence[Made]) -> bytes:
    """A PNG with one line for each row and target, and one column for each answer; at most 24 lines of 12."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = [list(group)[:MOST_COLUMNS] for _, group in groupby(sorted(made, key=lambda m: (m.target, m.row)), lambda m: (m.target, m.row))]
    lines = _alone_side_by_side(lines)[:MOST_ROWS]
    columns = max((len(line) for line in lines), default=1)
    with mpl.rc_context(), io.BytesIO() as buffer:
        mpl.rcdefaults()
        mpl.rcParams["text.parse_math"] = False
        figure = Figure(figsize=(CELL_INCHES * columns + 0.2, (CELL_INCHES + 0.2) * max(1, len(lines))), layout="constrained")
        cells = figure.subplots(max(1, len(lines)), columns, squeeze=False)
        for axes in cells.flat:
            axes.axis("off")
        for line, row in zip(lines, cells, strict=False):
            for each, axes in zip(line, row, strict=False):
                axes.set_title(shorten(each.given, 24), fontsize=6)
                _draw(axes, each.value, each.modality)
        FigureCanvasAgg(figure).print_png(buffer)
        return buffer.getvalue()


def _alone_side_by_side(lines: list[list[Made]]) -> list[list[Made]]:
    """Where every row has one answer, several rows share a line."""
    if any(len(line) > 1 for line in lines):
        return lines
    joined: list[list[Made]] = []
    for _, group in groupby((line[0] for line in lines), lambda each: each.target):
        own = list(group)
        joined += [own[at : at + MOST_COLUMNS] for at in range(0, len(own), MOST_COLUMNS)]
    return joined


def _draw(axes: Any, value: Any, modality: str) -> None:
    if modality == "image":
        axes.imshow(value[..., 0] if value.shape[-1] == 1 else value, cmap="gray", vmin=0, vmax=255)
    elif modality == "audio":
        wave = np.asarray(value["array"])
        axes.imshow(spectrogram_pixels(wave.reshape(-1, wave.shape[-1])[0], int(value["sampling_rate"])), aspect="auto")
    elif modality == "series":
        for channel in value.values():
            axes.plot(channel, linewidth=0.7)
    elif modality == "points":
        axes.scatter(value["x"], value["y"], s=1)
        axes.set_aspect("equal", "datalim")
    else:
        axes.text(0.5, 0.5, shorten(value_word(value), LONGEST_CELL), ha="center", va="center", fontsize=7, wrap=True)


def given_words(row: Mapping[str, Any], longest: int = 60) -> str:
    """What a row gives, in words: `word=seven`; files by their name, other objects by their kind.

    >>> given_words({"word": "open 24/7", "photo": "photos/a.png", "size": 1.0})
    'word=open 24/7, photo=a.png, size=1'
    """
    words = []
    for name, value in row.items():
        if value is None:
            continue
        if isinstance(value, Path) or (isinstance(value, str) and " " not in value and Path(value).suffix):
            value = Path(value).name
        word = quantity(value) if isinstance(value, float) else str(value) if isinstance(value, str | int | Path) else type(value).__name__
        words.append(f"{name}={shorten(word, longest)}")
    return ", ".join(words) or "nothing"
