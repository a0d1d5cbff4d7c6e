"""`omnifuse init`: look at a table and write a recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omnifuse.core.errors import OmnifuseError

if TYPE_CHECKING:
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
    from rich.text import Text

    from omnifuse.cli.progress import console
    from omnifuse.core.atomic import write_text
    from omnifuse.core.schema import Schema
    from omnifuse.data.infer import SAMPLE, infer_columns
    from omnifuse.data.leak import find_leaks
    from omnifuse.data.table import count_rows

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
    rows = count_rows(data)
    write_text(out, _recipe(data, out, found, leaks, rows))
    shown = Table("column", "modality", "role", "why", box=None, header_style="bold")
    for name, item in found.items():
        modality = "–" if item.column.role == "ignore" else item.column.modality
        shown.add_row(Text(name), modality, item.column.role, Text(item.why), style="dim" if item.column.role == "ignore" else None)
    console.print(shown)
    for name in targets:
        if "different labels" in found[name].why and (labels := int(found[name].why.split()[0])) > 0.5 * rows:
            console.print(f"\nWarning: {name} has {labels} different labels in {rows} rows; nothing can learn it.", style="yellow")
    for leak in leaks:
        console.print(f"\nWarning: {leak}.", style="yellow")
    run = out.stem if out.stem != "recipe" else out.resolve().parent.name
    if rows > SAMPLE:
        console.print(f"\nThe columns were judged by the first {SAMPLE:,} of {rows:,} rows.")
    console.print(f"\nWrote {out}. Look it through, then: omnifuse train {out} --out runs/{run}")


def _recipe(data: Path, out: Path, found: dict[str, Found], leaks: list[Leak], rows: int) -> str:
    """The recipe as text, with the reasons beside the columns."""
    from omnifuse.core.schema import Schema
    from omnifuse.train.design import suggest_design

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
    repeating = next((name for name, item in found.items() if item.why.startswith("identifiers that repeat")), "COLUMN")
    lines += [f"  split: {{validation: 0.1, test: 0.1}}  # add `by: {repeating}` to keep equal values on one side", ""]
    design = suggest_design(Schema(item.column for item in found.values()), rows)
    return "\n".join([*lines, *_section("model", design["model"]), *_section("train", design["train"])])


def _section(name: str, options: dict[str, Any]) -> list[str]:
    """A section of the recipe, one option a line."""
    return [f"{name}:", *(f"  {option}: {_inline(value)}" for option, value in options.items()), ""]


def _inline(value: object) -> str:
    """A value as YAML on one line."""
    import yaml

    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=100_000).removesuffix("...\n").strip()
