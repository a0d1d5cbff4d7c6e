"""`omnifuse plan`: recipe → what it will take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omnifuse.cli.options import RecipeFile, Settings

if TYPE_CHECKING:
    from rich.table import Table

    from omnifuse.study.plan.cluster import Rank
    from omnifuse.study.plan.machine import Time
    from omnifuse.study.plan.memory import Memory
    from omnifuse.study.plan.plan import Plan


def plan(
    recipe: RecipeFile,
    ranks: Annotated[int, typer.Option("--ranks", metavar="N", help="Accelerators that would share the work.")] = 1,
    memory: Annotated[
        float | None, typer.Option("--memory", metavar="GB", help="Of each accelerator; this machine's for one rank, 80 for several.")
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", metavar="N", help="Rows of a step, in place of train.batch_size.")] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write all figures there.")] = None,
    settings: Settings = [],  # noqa: B006 (typer copies it)
) -> None:
    """Say what a recipe will take before it is trained: weights, work, memory, time, here and on a cluster."""
    from omnifuse.cli.progress import console, counting
    from omnifuse.core.atomic import write_json
    from omnifuse.study.plan.plan import plan as size_up
    from omnifuse.train.fit import prepare_recipe
    from omnifuse.train.recipe import Recipe

    loaded = Recipe.load(recipe, [*settings, *([f"train.batch_size={batch}"] if batch is not None else [])])
    loaded.columns.check_trainable()
    with counting("reading") as progress:
        prepare_recipe(loaded, recipe.parent, progress=progress)
    with console.status("planning") as status:
        made = size_up(loaded, recipe.parent, ranks=ranks, memory_gb=memory, said=status.update)
    for table in (work(made), held(made)):
        console.print(table, "")
    for line in totals(made):
        console.print(line)
    console.print(f"\n{made.verdict.sentence}", style="green" if made.verdict.fits else "yellow")
    for change in made.verdict.changes:
        console.print(f"  {change}")
    if json is not None:
        write_json(json, made.dump())
        console.print(f"Figures: {json}")


def work(made: Plan) -> Table:
    """A row a part: its weights, and the FLOP of a row's way through it."""
    from omnifuse.study.plan.words import amount

    title = f"{made.recipe}: {made.batch_size:,} rows a batch, {made.precision}"
    rows = {part.name: (part.parameters, part.trained, part.forward_flops, part.training_flops) for part in made.parts}
    return _table(title, ("weights", "trained", "FLOP a row", "in training"), rows, amount)


def held(made: Plan) -> Table:
    """A row a part: what it holds at the peak of a step, and of answering."""
    from omnifuse.study.plan.words import size_of

    kinds = ("weights", "gradients", "optimizer", "activations")
    rows = {part.name: (*(part.training.get(kind, 0) for kind in kinds), sum(part.training.values()), part.serving) for part in made.parts}
    return _table("memory at the peak of a step, and in use", (*kinds, "in all", "in use"), rows, size_of)


def _table(title: str, heads: Sequence[str], rows: Mapping[str, Sequence[float]], told: Callable[[float], str]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False, pad_edge=False)
    table.add_column("part", no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right", overflow="fold")
    for name, figures in rows.items():
        if any(figures):
            table.add_row(name.replace("_", " "), *map(told, figures))
    return table


def totals(made: Plan) -> list[str]:
    """What the whole takes, in lines."""
    from omnifuse.page.words import counted
    from omnifuse.study.plan.words import amount, size_of

    forward, training = (sum(getattr(part, name) for part in made.parts) for name in ("forward_flops", "training_flops"))
    beside = ", ".join(f"{name} {size_of(size)}" for name, size in made.host.items())
    until = "" if made.served_whole else ", up to the first word of a text"
    return [
        f"Weights:  {made.parameters:,}, {made.trained:,} of them trained",
        f"Work:     {amount(forward)}FLOP a row, {amount(training)}FLOP in training",
        f"Training: {size_of(made.training.bytes)} at most, in {made.training.during} ({_kinds(made.training)})",
        f"Beside:   {beside}",
        f"In use:   {size_of(made.serving.bytes)} for {counted(made.served, 'row')} at once{until}",
        _time(made.time),
        *map(_rank, made.cluster),
    ]


def _time(time: Time) -> str:
    from omnifuse.page.words import counted
    from omnifuse.study.plan.words import amount, duration

    rate = f"a large product runs at {amount(time.rate)}FLOP/s"
    how = f"{counted(time.measured, 'step')} timed; {rate}" if time.measured else f"an estimate, and rather too short: {rate}"
    epoch = f"{duration(time.epoch_s)} an epoch of {time.steps:,.1f} steps on {time.device}, {duration(time.step_s)} a step ({how})"
    frozen = f", what frozen networks make of it {duration(time.features_s)}" if time.features_s else ""
    return f"Time:     {epoch}; reading a batch for the first time {duration(time.reading_s)}{frozen}"


def _rank(rank: Rank) -> str:
    from omnifuse.page.words import counted
    from omnifuse.study.plan.words import amount, size_of

    takes = f"takes {size_of(rank.memory.bytes)} ({_kinds(rank.memory)})"
    does = f"sends {size_of(rank.sent)} and does {amount(rank.flops)}FLOP a step"
    return f"{rank.strategy + ':':9} a rank of {rank.ranks:,}, {counted(rank.rows, 'row')} at a time, {takes}, {does}"


def _kinds(memory: Memory) -> str:
    from omnifuse.study.plan.memory import KINDS
    from omnifuse.study.plan.words import size_of

    return ", ".join(f"{kind} {size_of(memory.of(kind))}" for kind in KINDS)
