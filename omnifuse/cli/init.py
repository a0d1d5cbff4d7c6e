"""`omnifuse init`: look at a table and write a recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omnifuse.core.errors import OmnifuseError

if TYPE_CHECKING:
    from omnifuse.core.schema import Column
    from omnifuse.data.infer import Found
    from omnifuse.data.leak import Leak

LIKELY_TARGETS = ("target", "label", "answer", "class", "y")


def init(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A table: CSV, TSV, JSONL or Parquet.")],
    target: Annotated[list[str] | None, typer.Option("--target", "-t", help="Column to learn. May be repeated.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the recipe.")] = Path("recipe.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace a recipe that is already there.")] = False,
) -> None:
    """Look at a table, infer its columns, and write a recipe."""
    from rich.table import Table

    from omnifuse.cli.progress import console
    from omnifuse.core.atomic import write_text
    from omnifuse.core.schema import Schema
    from omnifuse.data.infer import infer_columns
    from omnifuse.data.leak import find_leaks

    if out.exists() and not force:
        raise OmnifuseError(f"{out}: is already there; choose another --out, or replace it with --force")
    targets = list(dict.fromkeys(target or []))
    found = infer_columns(data, targets)
    if not targets:
        likely = [name for name in found if name.lower() in LIKELY_TARGETS]
        if len(likely) != 1:
            raise OmnifuseError(f"which column is to be learned? add --target NAME (columns: {', '.join(found)})")
        targets = likely
        found = infer_columns(data, targets)
    schema = Schema(item.column for item in found.values())
    leaks = find_leaks(data, schema)
    write_text(out, _recipe(data, out, found, leaks))
    shown = Table("column", "modality", "role", "why", box=None, header_style="bold")
    for name, item in found.items():
        modality = "–" if item.column.role == "ignore" else item.column.modality
        shown.add_row(name, modality, item.column.role, item.why, style="dim" if item.column.role == "ignore" else None)
    console.print(shown)
    for leak in leaks:
        console.print(f"\n[yellow]Warning:[/yellow] {leak}.")
    console.print(f"\nWrote {out}. Look it through, then: omnifuse train {out} --out runs/{out.resolve().parent.name}")


def _recipe(data: Path, out: Path, found: dict[str, Found], leaks: list[Leak]) -> str:
    """The recipe as text, with the reasons beside the columns."""
    leaking = {leak.column: leak for leak in leaks}
    source = os.path.relpath(data.resolve(), out.resolve().parent)
    source = source if not source.startswith(os.path.join("..", "..")) else str(data.resolve())
    lines = [f"# Columns of {data.name}, inferred; mend what is wrong, then: omnifuse train {out.name} --out RUN", "columns:"]
    for name, item in found.items():
        column = item.column
        value = column.modality if column.role == "input" else {"modality": column.modality, "role": column.role}
        text = f"{_inline(name)}: {_inline(value)}"
        warning = (
            f"; WARNING: nearly determines {leaking[name].target} ({leaking[name].measure} {leaking[name].score:.3f})"
            if name in leaking
            else ""
        )
        lines.append(f"  {text}  # {item.why}{warning}")
    lines += ["", "data:", f"  source: {_inline(source)}"]
    lines += ["  split: {validation: 0.1, test: 0.1}  # add `by: COLUMN` to keep equal values on one side", ""]
    return "\n".join([*lines, *_design([item.column for item in found.values() if item.column.is_input])])


def _design(inputs: list[Column]) -> list[str]:
    """A model that suits the columns: bags of n-grams where texts come without pictures, attention otherwise."""
    texts = [column.name for column in inputs if column.modality == "text"]
    if not texts or any(column.modality == "image" for column in inputs):
        return ["model:", "  fusion: joint  # or concat, weighted_sum, product", "", "train:", "  epochs: 10", "  patience: 3", ""]
    encoders = [f"    {_inline(name)}: {{name: ngram, dropout: 0.5, buckets: 65536}}  # or transformer" for name in texts]
    return [
        *["model:", "  dim: 16", "  encoders:", *encoders, "  fusion: concat  # or weighted_sum, product, joint", ""],
        *["train:", "  epochs: 6", "  patience: 3", "  optimizer: {name: adamw, lr: 0.01, eps: 1.0e-4}  # suits large vocabularies", ""],
    ]


def _inline(value: object) -> str:
    """A value as YAML on one line."""
    import yaml

    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=100_000).removesuffix("...\n").strip()
