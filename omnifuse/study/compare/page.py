"""`compare.html`: the answer in a sentence, then who is how good at which price."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from omnifuse.core.atomic import write_text
from omnifuse.page.blocks import Block, Cell, Plot, Table
from omnifuse.page.page import render_page
from omnifuse.page.words import counted, figure
from omnifuse.study.compare.plots import MOST_SHOWN, Cost, cost_plot, means_plot
from omnifuse.study.compare.standing import WORTH, Outcome, Standing
from omnifuse.study.compare.words import equals_words, figure_words, p_words, range_words, short_gain_words, size_words, time_words

LOOKS = {"helps": "good", "does not help": "even", "cannot be told": "even"}


def write_comparison_page(path: Path, about: Mapping[str, Any], outcomes: Mapping[str, Outcome]) -> None:
    """Write the page; the same comparison gives the same bytes."""
    values = {
        "name": about["name"],
        "over": _over(about),
        "answers": [
            {"sentence": sentence, "verdict": outcome.verdict, "look": LOOKS[outcome.verdict], "detail": _detail(outcome, about)}
            for sentence, outcome in zip(about["sentences"], outcomes.values(), strict=True)
        ],
        "targets": [
            {"name": target, "note": _note(outcome, about), "blocks": _blocks(outcome, about, f"t{number}")}
            for number, (target, outcome) in enumerate(outcomes.items())
        ],
        "left_out": about["left_out"],
        "facts": _facts(about),
        "costs_note": _costs_note(about),
        "recipe": yaml.safe_dump(about["recipe"], sort_keys=False, allow_unicode=True),
        "versions": about["versions"],
    }
    write_text(path, render_page("omnifuse.study.compare/compare.html.j2", values))


def table_of(outcome: Outcome, about: Mapping[str, Any]) -> tuple[list[str], list[list[str | Cell]]]:
    """Head and rows of the ranked table, with what each contender costs."""
    unit = "%" if outcome.measure.in_points else outcome.measure.unit
    head = ["", "contender", f"{outcome.measure.metric}{f', {unit}' if unit else ''}", "95 % interval", "gain", "p", "weights"]
    head += ["FLOP a row", "one row", "memory", "training"]
    rows = []
    for rank, standing in enumerate(outcome.standings, start=1):
        costs = about["contenders"][standing.contender.key]["costs"]
        rows.append([Cell(str(rank), rank), *_figures(standing, outcome), *_costs(costs)])
    return head, rows


def mark_of(standing: Standing, outcome: Outcome) -> str:
    """What a contender was chosen as, on the validation rows."""
    if standing.contender.key == outcome.fusion:
        return "best fusion"
    return "best single" if standing.contender.key == outcome.single else ""


def _figures(standing: Standing, outcome: Outcome) -> list[str | Cell]:
    mark = mark_of(standing, outcome)
    gain, measure = standing.gain, outcome.measure
    shown = figure_words(standing.test.interval.mean, measure).removesuffix(f" {measure.unit}")
    return [
        standing.contender.name + (f" ← {mark}" if mark else ""),
        Cell(shown, standing.test.interval.mean),
        Cell(range_words(standing.test.interval, measure), standing.test.interval.low),
        Cell("–", 0.0) if gain is None else Cell(short_gain_words(gain.interval, measure), gain.interval.mean),
        Cell("–", 2.0) if gain is None else Cell(p_words(gain.p_holm), gain.p_holm),
    ]


def _costs(costs: Mapping[str, Any]) -> list[str | Cell]:
    return [
        Cell(size_words(costs["parameters"]), costs["parameters"]),
        Cell(size_words(costs["flops"]), costs["flops"]),
        Cell(f"{costs['latency_ms']:.3g} ms", costs["latency_ms"]),
        Cell(f"{costs['peak_mb']:.3g} MB", costs["peak_mb"]),
        Cell(time_words(costs["train_seconds"]), costs["train_seconds"]),
    ]


def _over(about: Mapping[str, Any]) -> str:
    seeds = len(about["seeds"])
    words = ["omnifuse compare", counted(len(about["contenders"]), "contender"), counted(seeds, "seed")]
    return " · ".join([*words, counted(about["rows"]["test"], "test row"), *([] if about["finished"] else ["not finished"])])


def _detail(outcome: Outcome, about: Mapping[str, Any]) -> str:
    """How the sentence came about."""
    if outcome.fusion is None or outcome.single is None:
        return ""
    winner, base = outcome.of(outcome.fusion), outcome.of(outcome.single)
    gain, measure = winner.gain, outcome.measure
    assert gain is not None, "only the best single column has none"
    figures = f"{winner.contender.name} {_told(winner, outcome)}, {base.contender.name} {_told(base, outcome)}"
    chosen = f"Both were chosen on the validation rows and are told on the test rows: {figures}."
    if gain.over_seeds is None:
        return f"{chosen} With one seed the interval is over rows alone: how much a second training would differ is not known."
    seeds, rows = short_gain_words(gain.over_seeds, measure), short_gain_words(gain.over_rows, measure)
    told = f"The gain is {seeds} over {counted(len(gain.seeds), 'seed')} and {rows} over rows; the wider counts"
    return f"{chosen} {told} (p {equals_words(gain.p)})."


def _told(standing: Standing, outcome: Outcome) -> str:
    return figure_words(standing.test.interval.mean, outcome.measure) + (" %" if outcome.measure.in_points else "")


def _note(outcome: Outcome, about: Mapping[str, Any]) -> str:
    measure = "less is better" if outcome.measure.lower_is_better else "more is better"
    rows = f"{outcome.rows:,} test rows" + (f" in {outcome.groups:,} groups" if outcome.groups < outcome.rows else "")
    return f"{outcome.measure.metric}, {measure}, {rows}"


def _blocks(outcome: Outcome, about: Mapping[str, Any], key: str) -> list[Block]:
    head, rows = table_of(outcome, about)
    base = outcome.of(outcome.single).contender.name if outcome.single else ""
    gain = f"gain: over {base}, more than 0 is better; p corrected for {len(rows) - 1:,} tests (Holm)" if base and len(rows) > 1 else ""
    if base and outcome.measure.lower_is_better:
        gain = gain.replace("more than 0", "less than 0")
    blocks: list[Block] = [Table("Ranking by the test figure", gain, head, rows, (0, 2, 3, 4, 5, 6, 7, 8, 9, 10))]
    most = f"the first {MOST_SHOWN} of {len(rows)}; " if len(rows) > MOST_SHOWN else ""
    over = "the wider of those over seeds and over rows; each seed a stroke" if len(about["seeds"]) > 1 else "over rows"
    note = f"{most}95 % interval, {over}; dashed: the best single column"
    blocks.append(Plot(f"{outcome.measure.metric} with its interval", note, means_plot(outcome, key=f"{key}-means"), wide=True))
    costs = {name: contender["costs"] for name, contender in about["contenders"].items()}
    for number, cost in enumerate(
        [
            Cost("FLOP of one row", {name: each["flops"] for name, each in costs.items()}),
            Cost("training time", {name: each["train_seconds"] for name, each in costs.items()}, is_time=True),
        ]
    ):
        title = f"{outcome.measure.metric} against {'work' if number == 0 else 'training time'}"
        blocks.append(Plot(title, "numbers: ranks", cost_plot(outcome, cost, key=f"{key}-cost{number}")))
    return [*blocks, *_more(outcome, about)]


def _more(outcome: Outcome, about: Mapping[str, Any]) -> list[Block]:
    """The test figure of each seed, and the other metrics."""
    entries = about["targets"][outcome.target]["ranking"]
    names = [name for name in entries[0]["metrics"] if name != outcome.measure.metric]
    seeds = about["seeds"] if len(about["seeds"]) > 1 else []
    head = ["contender", "validation", *(f"seed {seed}" for seed in seeds), *names]
    rows: list[list[str | Cell]] = []
    for standing, entry in zip(outcome.standings, entries, strict=True):
        own = [standing.validation, *(standing.test.seeds if seeds else [])]
        shown = [Cell(figure_words(value, outcome.measure).removesuffix(f" {outcome.measure.unit}"), value) for value in own]
        others = [entry["metrics"].get(name) for name in names]
        rows.append([standing.contender.name, *shown, *(Cell("–") if value is None else Cell(figure(value), value) for value in others)])
    return [Table("Seed by seed, and other metrics", "means over seeds", head, rows, tuple(range(1, len(head))))]


def _facts(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows, budget = about["rows"], about["budget"]
    stop = f", ended early after {budget['patience']} validations without gain" if budget["patience"] else ""
    return [
        ("rows to train, to choose, to tell", f"{rows['train']:,}, {rows['validation']:,}, {rows['test']:,}"),
        ("budget of each run", f"{budget['epochs']:g} epochs, batches of {budget['batch_size']}{stop}"),
        ("seeds", ", ".join(map(str, about["seeds"]))),
        ("what varies with the seed", about["varies"]),
        ("dataset", Path(about["dataset"]).name),
    ]


def _costs_note(about: Mapping[str, Any]) -> str:
    devices = sorted({contender["costs"]["device"] for contender in about["contenders"].values()})
    return (
        f"Measured on {' and '.join(devices)} with the first seed of each contender: one row is the time from tensors to answers, memory"
        " the most that is held while 32 rows are answered, training the mean of all seeds. Times are those of this machine and of"
        " whatever else it did. A gain counts as none when its whole interval lies below"
        f" {100 * WORTH:g} point of a hundred ({100 * WORTH:g} % of the error of a number)."
    )
