"""A page with a card for each explained row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omnifuse.core.atomic import write_text
from omnifuse.data.loader import RawRows
from omnifuse.evaluation.attribution.explanation import Explanation, answer_words
from omnifuse.evaluation.attribution.showing import Explained, show
from omnifuse.page.page import render_page, versions_of
from omnifuse.page.words import counted, figure, listed
from omnifuse.pipeline.pipeline import Pipeline

LIBRARIES = ("torch", "numpy", "pillow")
LEGENDS = {
    True: ("raises the number", "lowers it"),
    False: ("speaks for the answer", "speaks against it"),
}


@dataclass(frozen=True)
class Card:
    """A row, counted from 1, its answer in words, and its explanation."""

    row: int
    answer: str
    shown: Explained


def write_explained(path: Path, name: str, pipeline: Pipeline, rows: RawRows, explained: Sequence[Explanation]) -> Path:
    """Write a page that stands alone; the same values give the same bytes.

    Args:
        path: where.
        name: of the run.
        pipeline: that was asked.
        rows: the rows, in the order of the explanations.
        explained: at least one explanation, all of one target.
    """
    shown = show(pipeline, rows, range(len(explained)), explained)
    cards = [Card(number, answer_words(e.answer), s) for number, (e, s) in enumerate(zip(explained, shown, strict=True), start=1)]
    first = explained[0]
    values = {
        "title": f"What decided {first.target}",
        "over": f"omnifuse explain · {name} · {counted(len(cards), 'row')}",
        "sentences": _sentences(pipeline, explained),
        "legend": LEGENDS[first.is_number],
        "target": first.target,
        "cards": cards,
        "versions": versions_of(LIBRARIES),
    }
    write_text(path, render_page("omnifuse.evaluation.attribution/explained.html.j2", values))
    return path


def _sentences(pipeline: Pipeline, explained: Sequence[Explanation]) -> list[str]:
    """What the page says before its cards."""
    first, variants = explained[0], sum(each.variants for each in explained)
    shares = {name: sum(abs(each.contributions[name]) for each in explained) / len(explained) for name in first.contributions}
    order = sorted(shares, key=lambda name: -shares[name])
    what = "the number" if first.is_number else f"the {first.measure} of the answer"
    moved = [f"{name} {'' if place else f'moves {what} '}by {figure(shares[name])}" for place, name in enumerate(order)]
    lacking = [name for name in first.contributions if not pipeline.model.may_lack[name]]
    unlearned = f"Training never lacked {listed(lacking)}; what the model makes of rows without is a guess, and so are their bars."
    return [
        f"{'On average over these rows, ' if len(explained) > 1 else ''}{listed(moved)}.",
        "Bars are Shapley values: what a column adds, averaged over all orders in which columns may come. Colours in a value say how far "
        f"{what} falls when that part alone is taken away; each value has a scale of its own. {variants:,} variants were asked about.",
        *([unlearned] if lacking else []),
    ]
