"""`omnifuse predict`: raw rows in, answers out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omnifuse.cli.options import RunFolder
from omnifuse.core.errors import OmnifuseError

if TYPE_CHECKING:
    from omnifuse.pipeline.pipeline import Pipeline

ENDINGS = (".csv", ".jsonl", ".parquet")


def predict(
    run: RunFolder,
    rows: Annotated[Path | None, typer.Argument(metavar="[ROWS]", help="A table of rows.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the answers: .csv, .jsonl or .parquet.")] = None,
    given: Annotated[list[str] | None, typer.Option("--input", "-i", metavar="COLUMN=VALUE", help="One row, value by value.")] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Add the probability of every label.")] = False,
) -> None:
    """Answer the rows of a table, or one row given by --input."""
    from omnifuse.pipeline.pipeline import Pipeline

    if (rows is None) == (given is None):
        raise OmnifuseError("give a table of rows, or one row by --input COLUMN=VALUE")
    if rows is not None and (out is None or out.suffix.lower() not in ENDINGS):
        raise OmnifuseError(f"--out {out or ''}: name a file that ends in {', '.join(ENDINGS)}")
    pipeline = Pipeline.load(run)
    if given is not None:
        row = dict(_pair(word) for word in given)
        typer.echo(json.dumps(pipeline.predict([row], probabilities=probabilities)[0], ensure_ascii=False))
        return
    assert rows is not None and out is not None
    count = write_predictions(pipeline, rows, out, probabilities)
    typer.echo(f"Wrote {count:,} rows to {out}")


def write_predictions(pipeline: Pipeline, rows: Path, out: Path, probabilities: bool = False) -> int:
    """Answer a table row by row and write it, with the answers beside its own columns, atomically.

    Answers stand in columns `predicted_TARGET` and `predicted_TARGET_probability`; columns that hold bytes are left out.
    """
    import pyarrow as pa

    from omnifuse.cli.progress import counting
    from omnifuse.core.atomic import replacing
    from omnifuse.data.table import iterate_rows, read_table

    kept = [field.name for field in read_table(rows).schema().to_pyarrow_schema() if not pa.types.is_large_binary(field.type)]

    def joined() -> Iterator[dict[str, Any]]:
        answers = pipeline.predict_each(rows, probabilities=probabilities)
        for row, answer in zip(iterate_rows(read_table(rows), kept), answers, strict=True):
            yield {**row, **{f"predicted_{name}": value for name, value in answer.items()}}

    with counting("predicting") as progress, replacing(out) as temporary:
        return _write(joined(), temporary, out.suffix.lower(), progress)


def _write(rows: Iterator[dict[str, Any]], path: Path, ending: str, progress: Any) -> int:
    """Write rows a few thousand at a time; returns how many."""
    from itertools import islice

    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    count, writer = 0, None
    with path.open("wb") as file:
        while part := list(islice(rows, 4096)):
            count += len(part)
            progress(len(part))
            if ending == ".jsonl":
                file.writelines((json.dumps(row, ensure_ascii=False, default=str) + "\n").encode() for row in part)
                continue
            if ending == ".csv":
                part = [{k: json.dumps(v, ensure_ascii=False) if isinstance(v, dict | list) else v for k, v in row.items()} for row in part]
            table = pa.Table.from_pylist(part, schema=writer[1] if writer else None)
            if writer is None:
                make = pyarrow.csv.CSVWriter if ending == ".csv" else pyarrow.parquet.ParquetWriter
                writer = (make(file, table.schema), table.schema)
            writer[0].write_table(table)
        if writer:
            writer[0].close()
    return count


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise OmnifuseError(f"--input {word}: write it as COLUMN=VALUE")
    return name, value
