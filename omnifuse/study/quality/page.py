"""`quality.html`: a table of the directions, then the samples of each to look at and to listen to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omnifuse.page.blocks import Block, Cell, Gallery, Plot, Table
from omnifuse.page.sections import Fact, Section, write_page
from omnifuse.page.words import counted, figure
from omnifuse.study.quality.showing import load_exhibits

TEXT_NAMES = {"chrf": "chrF", "cer": "character errors", "bleu": "BLEU", "cider": "CIDEr-D"}
Entries = Mapping[str, Mapping[str, Any]]


def main_words(figures: Mapping[str, Any]) -> str:
    """The figure that says most about a direction, in words."""
    words = []
    if accuracy := figures.get("accuracy"):
        words.append(f"{accuracy['value']:.1%} right ({_range(accuracy['interval'])})")
        if "judge" in accuracy:
            words.append(f"of real values the judge knows {accuracy['judge']:.1%}")
    if found := figures.get("recall@10"):
        words.append(f"recall@10 {found['value']:.3f} (real values {found['real']:.3f}, guessing {found['floor']:.3f})")
    if scored := figures.get("crps"):
        words.append(f"CRPS {figure(scored['value'])} (training series {figure(scored['floor'])})")
    if not words and (apart := figures.get("frechet")):
        words.append(f"Fréchet distance {figure(apart['value'])} (real values {figure(apart['floor'])})")
    return ", ".join(words) or "no figure"


def arrow(name: str) -> str:
    """A direction as it is printed.

    >>> arrow("word -> image")
    'word → image'
    """
    return name.replace(" -> ", " → ")


def write_quality_page(path: Path, run: str, about: Mapping[str, Any], exhibits: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    """Write the page; the same figures give the same bytes."""
    entries: Entries = about["directions"]
    sentences = [f"{arrow(name)}: {main_words(each['figures'])}." for name, each in entries.items()]
    if not about["finished"]:
        sentences.append("Not finished: further directions follow.")
    settings = {name: value for name, value in about["settings"].items() if value is not None}
    facts = [Fact(name, str(value)) for name, value in settings.items()]
    sections = [Section("All directions", "beside a figure what real values get in the place of samples", _tables(entries))]
    sections += [_shown(name, each, exhibits[name]) for name, each in entries.items()]
    sections.append(Section("Judges", "trained on the training split alone, measured on the test split", [_judges(entries)]))
    write_page(path, f"What {run} makes", "omnifuse quality", sentences, facts, sections, ("torch", "numpy"))


def _tables(entries: Entries) -> list[Block]:
    """One table for each kind of figure that some direction has."""
    blocks: list[Block] = []
    for title, note, head, cells in (
        ("Is it what it should be?", "accuracy by the judge, of texts equality with the row's own", ACCURACY, _accuracy_cells),
        ("Does it lie where its origin lies?", LOOKED_UP, RECALL, _recall_cells),
        ("Is it like real values?", "distances of features of the judge; as many real values in their place", DISTANCES, _distance_cells),
        ("Is it various, and not memorised?", "distances of pairs, and to the nearest training value", VARIETY, _variety_cells),
        ("How near to the row's own?", "decibels between sounds; deviations between series", NEARNESS, _near_cells),
    ):
        rows = [[arrow(name), *row] for name, each in entries.items() if (row := cells(each["figures"])) is not None]
        if rows:
            blocks.append(Table(title, note, ["direction", *head], rows, tuple(range(1, len(head) + 1))))
    return [*blocks, *_texts(entries)]


LOOKED_UP = "rank of what it was made from, among all different values; looked up: the value of the training row nearest by what was given"
ACCURACY = ("right", "95 % interval", "judge, of real values", "guessing")
RECALL = ("recall@1", "real values", "recall@10", "real values", "looked up", "guessing")
DISTANCES = ("Fréchet", "real values", "kernel × 1000", "real values")
VARIETY = ("distance of pairs", "of one label", "entropy of labels", "nearer than 99 % of real values", "the same in pixels")
NEARNESS = ("mel-cepstral dB", "another of its label", "CRPS", "training series", "absolute error", "training series")
Cells = list[str | Cell]


def _accuracy_cells(figures: Mapping[str, Any]) -> Cells | None:
    if not (own := figures.get("accuracy")):
        return None
    return [
        _percent(own["value"]),
        Cell(_range(own["interval"]), own["interval"][0]),
        _percent(own.get("judge")),
        _percent(own.get("floor")),
    ]


def _recall_cells(figures: Mapping[str, Any]) -> Cells | None:
    if "recall@10" not in figures:
        return None
    first, tenth = figures["recall@1"], figures["recall@10"]
    return [_cell(each) for each in (first["value"], first["real"], tenth["value"], tenth["real"], tenth.get("nearest"), tenth["floor"])]


def _distance_cells(figures: Mapping[str, Any]) -> Cells | None:
    if "frechet" not in figures:
        return None
    far, kernel = figures["frechet"], figures["kernel"]
    return [_cell(far["value"]), _cell(far["floor"]), _cell(1000 * kernel["value"]), _cell(1000 * kernel["floor"])]


def _variety_cells(figures: Mapping[str, Any]) -> Cells | None:
    if "spread" not in figures and "nearest" not in figures:
        return None
    shares = [_ratio(figures.get(name), "value") for name in ("spread", "spread_within")]
    near = figures.get("nearest", {})
    close = [_percent(near[space]["close"] if space in near else None) for space in ("features", "pixels")]
    return [*shares, _ratio(figures.get("labels"), "entropy"), *close]


def _texts(entries: Entries) -> list[Block]:
    """The metrics of texts beside those of their own rows, as far as they are there, and of texts that were looked up."""
    written = {}
    for name, each in entries.items():
        for kind, made in (("text", ""), ("text_nearest", ", looked up")):
            if figures := each["figures"].get(kind):
                written[f"{arrow(name)}{made}"] = figures
    names = [name for name in dict.fromkeys(name for figures in written.values() for name in figures) if name != "accuracy"]
    if not names:
        return []
    rows: list[list[str | Cell]] = [[name, *(_cell(figures.get(each)) for each in names)] for name, figures in written.items()]
    head = ["direction", *(TEXT_NAMES.get(name, name) for name in names)]
    note = "over characters and words of all texts; looked up: the text of the training row that is nearest by what was given"
    return [Table("How like the text of the row?", note, head, rows, tuple(range(1, len(head))))]


def _near_cells(figures: Mapping[str, Any]) -> Cells | None:
    if not {"cepstral", "crps"} & set(figures):
        return None
    pairs = [figures.get(name, {}) for name in ("cepstral", "crps", "mae")]
    return [_cell(pair.get(key)) for pair in pairs for key in ("value", "floor")]


def _shown(name: str, entry: Mapping[str, Any], exhibits: Sequence[dict[str, Any]]) -> Section:
    """The samples of one direction."""
    per = f", {counted(entry['samples'], 'sample')} of {counted(entry['rows'], 'test row')}" if entry["rows"] else ""
    made = load_exhibits(exhibits)
    note = f"{main_words(entry['figures'])}{per}"
    if entry["modality"] == "series":
        plots: list[Block] = [Plot(f"Row {number}", "its own and some draws", each.svg, wide=True) for number, each in enumerate(made, 1)]
        return Section(arrow(name), note, [*plots, *_steps(entry["figures"])])
    how = "what was given, then what was made; where it is not what it should be, what it is taken for" if entry["given"] else ""
    wide = entry["modality"] in ("audio", "points") or any(len(each.pictures) > 1 or each.sounds for each in made)
    return Section(arrow(name), note, [Gallery("Samples", how, made, wide=wide)])


def _steps(figures: Mapping[str, Any]) -> list[Block]:
    """CRPS by step, at most ten lines."""
    scores = figures.get("crps")
    if not scores:
        return []
    steps, floors = scores["by_step"], scores["floor_by_step"]
    places = range(0, len(steps), max(1, -(-len(steps) // 10)))
    rows = [[Cell(str(at + 1), at), _cell(steps[at]), _cell(floors[at])] for at in places]
    return [Table("CRPS by step", "in deviations of each channel", ["step", "draws", "training series"], rows, (0, 1, 2))]


def _judges(entries: Entries) -> Table:
    judges = {(each["judge"]["column"], each["judge"]["other"]): each["judge"] for each in entries.values() if each["judge"]}
    rows = [
        [own["column"], own["other"], own["metric"], _cell(own["score"]), _range(own["interval"]), f"{own['rows']:,}", own["weights"][:12]]
        for own in judges.values()
    ]
    head = ["column", "tells", "by", "test figure", "95 % interval", "test rows", "weights"]
    return Table("", "" if rows else "none was needed", head, rows, (3, 5))


def _range(interval: Sequence[float]) -> str:
    low, high = interval
    return f"{low:.1%} to {high:.1%}"


def _cell(value: float | None) -> Cell:
    return Cell("–") if value is None else Cell(figure(value), value)


def _percent(value: float | None) -> Cell:
    return Cell("–") if value is None else Cell(f"{value:.1%}", value)


def _ratio(pair: Mapping[str, float] | None, key: str) -> Cell:
    """A figure as a share of what real values have."""
    if pair is None or not pair["real"]:
        return Cell("–")
    return Cell(f"{pair[key] / pair['real']:.0%} of real", pair[key] / pair["real"])
