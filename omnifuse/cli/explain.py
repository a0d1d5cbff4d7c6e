"""`omnifuse explain`: which column, and which part of it, decided the answer to a row."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from omnifuse.cli.options import RunFolder
from omnifuse.cli.predict import media_root, pair
from omnifuse.core.errors import OmnifuseError

PAGE = "explain.html"
MOST_PRINTED = 10


def explain(
    run: RunFolder,
    rows: Annotated[Path | None, typer.Argument(metavar="[ROWS]", help="A table of rows.")] = None,
    given: Annotated[list[str] | None, typer.Option("--input", "-i", metavar="COLUMN=VALUE", help="One row, value by value.")] = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Which target, where the model answers several.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=2000, help="How many rows of a table, from its first on.")] = 8,
    out: Annotated[Path | None, typer.Option("--out", "-o", help=f"The page to write; {PAGE} by default.")] = None,
    method: Annotated[
        Literal["occlusion", "gradient"], typer.Option("--method", help="Take parts away, or one backward pass, which is fast.")
    ] = "occlusion",
    columns: Annotated[
        list[str] | None, typer.Option("--column", metavar="COLUMN", help="Draw a map of this column; may be repeated. All by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a row; a page is written with --out only.")] = False,
    root: Annotated[Path | None, typer.Option("--root", help="Folder of relative media paths.")] = None,
) -> None:
    """Show for each row which column decided the answer, and where in it: a page, or JSON."""
    from omnifuse.cli.progress import console
    from omnifuse.evaluation.attribution.explain import explain_each
    from omnifuse.evaluation.attribution.page import write_explained
    from omnifuse.pipeline.pipeline import Pipeline

    if (rows is None) == (given is None):
        raise OmnifuseError("give a table of rows, or one row by --input COLUMN=VALUE")
    if out is not None and (out.is_dir() or out.suffix.lower() not in (".html", ".htm")):
        raise OmnifuseError(f"--out {out}: name a page, such as {PAGE}")
    pipeline = Pipeline.load(run)
    taken, base = ([dict(pair(word) for word in given)], root) if given else _first_rows(pipeline, run, rows, limit, root)
    [(read, explained)] = explain_each(pipeline, taken, target=target, method=method, columns=columns, root=base)
    if as_json:
        for each in explained:
            typer.echo(json.dumps(each.as_json(), ensure_ascii=False))
    if as_json and out is None:
        return
    page = write_explained(out or Path(PAGE), run.name or str(run), pipeline, read, explained)
    if not as_json:
        for number, each in enumerate(explained[:MOST_PRINTED], start=1):
            console.print(f"{number}. {each.target} {each.answer}: {each.sentence()}", markup=False)
        console.print(f"Wrote {page.resolve()}", markup=False)


def _first_rows(pipeline: Any, run: Path, rows: Path | None, limit: int, root: Path | None) -> tuple[list[dict[str, Any]], Path]:
    """The first rows of a table, with the columns that the model knows, and the folder of their media."""
    from omnifuse.data.sources import source_base
    from omnifuse.data.table import iterate_rows, read_table

    table = read_table(rows)
    asked = list(dict.fromkeys(pipeline.schema.sources.values()))
    there = [name for name in asked if name in table.column_names]
    if not any(pipeline.schema.sources[name] in there for name in pipeline.schema.inputs):
        raise OmnifuseError(f"{rows}: has none of the columns the model reads ({', '.join(pipeline.schema.inputs)})")
    base = media_root(run, root) or source_base(rows, Path.cwd())
    taken = list(islice(iterate_rows(table, there), limit))
    if not taken:
        raise OmnifuseError(f"{rows}: holds no row; there is nothing to explain")
    return taken, base
