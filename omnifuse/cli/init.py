"""`omnifuse init`: look at a table and write a recipe."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omnifuse.core.errors import OmnifuseError

if TYPE_CHECKING:
    from omnifuse.data.infer import Found
    from omnifuse.data.leak import Leak

LIKELY_TARGETS = ("target", "label", "answer", "class", "y")
FEWEST_REPEATS = 0.5


def init(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A table (CSV, TSV, JSONL, Parquet, …), a folder of files, or an address.")],
    target: Annotated[list[str] | None, typer.Option("--target", "-t", help="Column to learn. May be repeated.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the recipe.")] = Path("recipe.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace a recipe that is already there.")] = False,
) -> None:
    """Look at a table, infer its columns, and write a recipe."""
    from omnifuse.cli.progress import console
    from omnifuse.core.atomic import write_text
    from omnifuse.core.schema import Schema
    from omnifuse.data.infer import SAMPLE
    from omnifuse.data.leak import find_leaks
    from omnifuse.data.table import count_rows

    if out.exists() and not force:
        raise OmnifuseError(f"{out}: is already there; choose another --out, or replace it with --force")
    found = _look(data, list(dict.fromkeys(target or [])))
    schema = Schema(item.column for item in found.values())
    leaks = find_leaks(data, schema)
    rows = count_rows(data)
    write_text(out, _recipe(data, out, found, leaks, rows))
    _show(found)
    for name in schema.targets:
        if schema[name].modality == "category" and found[name].distinct > FEWEST_REPEATS * rows:
            console.print(
                f"\nWarning: {name} has {found[name].distinct} different labels in {rows} rows; nothing can learn it.", style="yellow"
            )
    for leak in leaks:
        console.print(f"\nWarning: {leak}.", style="yellow")
    run = out.stem if out.stem != "recipe" else out.resolve().parent.name
    if rows > SAMPLE:
        console.print(f"\nThe columns were judged by the first {SAMPLE:,} of {rows:,} rows.")
    console.print(f"\nWrote {out}. Look it through, then: omnifuse train {out} --out runs/{run}")


def _look(data: str, targets: list[str]) -> dict[str, Found]:
    """What the columns are, with a target, and without those that no encoder reads."""
    from omnifuse.core.schema import Column
    from omnifuse.data.infer import infer_columns
    from omnifuse.model.encoders.config import DEFAULT_ENCODERS
    from omnifuse.model.heads.config import DEFAULT_HEADS

    found = infer_columns(data, targets)
    if len(found) == 1:
        raise OmnifuseError(f"{data}: has one column ({next(iter(found))}); to learn, a target and something to tell it from are needed")
    if not targets:
        targets = [name for name in found if name.lower() in LIKELY_TARGETS]
        if len(targets) != 1:
            raise OmnifuseError(f"which column is to be learned? add --target NAME (columns: {', '.join(found)})")
        found = infer_columns(data, targets)
    for name, item in found.items():
        modality = item.column.modality
        if name in targets and modality not in DEFAULT_HEADS:
            raise OmnifuseError(f"target: {name} is a {modality} column ({item.why}), and no head answers these; choose another --target")
        if item.column.is_input and modality not in DEFAULT_ENCODERS:
            ignored = Column(name, modality, "ignore", **item.column.options)
            found[name] = replace(item, column=ignored, why=f"{item.why}; no encoder reads {modality} columns yet")
    return found


def _show(found: dict[str, Found]) -> None:
    from rich.table import Table
    from rich.text import Text

    from omnifuse.cli.progress import console

    shown = Table("column", "modality", "role", "why", box=None, header_style="bold")
    for name, item in found.items():
        ignored = item.column.role == "ignore"
        modality = "–" if ignored else item.column.modality
        shown.add_row(Text(name), modality, item.column.role, Text(item.why), style="dim" if ignored else None)
    console.print(shown)


def _recipe(data: str, out: Path, found: dict[str, Found], leaks: list[Leak], rows: int) -> str:
    """The recipe as text, with the reasons beside the columns."""
    from omnifuse.core.schema import Schema
    from omnifuse.data.sources import source_name
    from omnifuse.train.design import suggest_design

    leaking = {leak.column: leak for leak in leaks}
    title = " ".join(Path(source_name(data)).name.split())
    lines = [f"# Columns of {title}, inferred; mend what is wrong, then: omnifuse train {out.name} --out RUN", "columns:"]
    for name, item in found.items():
        warning = (
            f"; WARNING: nearly determines {leaking[name].target} ({leaking[name].measure} {leaking[name].score:.3f})"
            if name in leaking
            else ""
        )
        lines.append(f"  {_inline(name)}: {_inline(_column(item))}  # {' '.join(item.why.split())}{warning}")
    lines += ["", "data:", f"  source: {_inline(_place(data, out))}", *_root(data, out, found), f"  split: {_split(found)}", ""]
    design = suggest_design(Schema(item.column for item in found.values()), rows)
    return "\n".join([*lines, *_section("model", design["model"]), *_section("train", design["train"])])


def _column(item: Found) -> Any:
    """A column as a recipe writes it, as short as it can be."""
    written = item.column.dump()
    if item.column.role == "input":
        del written["role"]
    return item.column.modality if written == {"modality": item.column.modality} else written


def _root(data: str, out: Path, found: dict[str, Found]) -> list[str]:
    """Where media lie, if not where relative paths are looked for anyway."""
    from omnifuse.data.infer import media_folder
    from omnifuse.data.sources import source_base

    folder = media_folder(found)
    if folder is None or folder == source_base(data, Path.cwd()):
        return []
    return [f"  root: {_inline(_place(str(folder), out))}"]


def _place(data: str, out: Path) -> str:
    """The path of the data as seen from the recipe; addresses as they are."""
    from omnifuse.data.fetch import is_address

    if is_address(data):
        return data
    path = Path(data).resolve()
    relative = os.path.relpath(path, out.resolve().parent)
    return relative if not relative.startswith(os.path.join("..", "..")) else str(path)


def _split(found: dict[str, Found]) -> str:
    """The splits, with equal values of a group on one side, and why."""
    from omnifuse.data.infer import kept_together

    given = next((name for name, item in found.items() if item.kind == "split"), None)
    together = kept_together(found)
    repeating = next((name for name, item in found.items() if item.kind == "repeating identifier"), "COLUMN")
    shares = {"validation": 0.1, "test": 0.1}
    if given and not together:
        return f"{_inline(shares)}  # or `column: {_inline(given)}`, if it says train, validation and test"
    if together:
        or_given = f"; or `column: {_inline(given)}`, if it says train, validation and test" if given else ""
        return f"{_inline({**shares, 'by': together[0]})}  # rows of one {' '.join(together[0].split())} stay on one side{or_given}"
    return f"{_inline(shares)}  # add `by: {' '.join(repeating.split())}` to keep equal values on one side"


def _section(name: str, options: dict[str, Any]) -> list[str]:
    """A section of the recipe, one option a line."""
    return [f"{name}:", *(f"  {option}: {_inline(value)}" for option, value in options.items()), ""]


def _inline(value: object) -> str:
    """A value as YAML on one line."""
    import json

    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=100_000, sort_keys=False).removesuffix("...\n").strip()
    return text if "\n" not in text else json.dumps(value, ensure_ascii=False)  # JSON is YAML, and has no line breaks in words
