"""`omnifuse predict`: raw rows in, answers out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omnifuse.cli.options import RunFolder
from omnifuse.core.errors import OmnifuseError

if TYPE_CHECKING:
    import pyarrow as pa

    from omnifuse.pipeline.pipeline import Pipeline

ENDINGS = (".csv", ".jsonl", ".parquet")


def predict(
    run: RunFolder,
    rows: Annotated[Path | None, typer.Argument(metavar="[ROWS]", help="A table of rows.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the answers: .csv, .jsonl or .parquet.")] = None,
    given: Annotated[list[str] | None, typer.Option("--input", "-i", metavar="COLUMN=VALUE", help="One row, value by value.")] = None,
    root: Annotated[Path | None, typer.Option("--root", help="Folder of relative media paths.")] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Add the probability of every label.")] = False,
    candidates: Annotated[
        Path | None, typer.Option("--candidates", metavar="TABLE", help="Rank the values that this table has of the target, for each row.")
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, help="How many items of a ranking, or candidates, each row gets.")] = 10,
    target: Annotated[str | None, typer.Option("--target", help="Which target the candidates are of, where it could be several.")] = None,
    coverage: Annotated[
        float | None,
        typer.Option("--coverage", metavar="SHARE", help="Add sets of labels, or intervals, that hold the truth this often, such as 0.9."),
    ] = None,
    calibrated: Annotated[
        bool, typer.Option("--calibrated", help="Temper probabilities of labels, so that they say how often they are right.")
    ] = False,
) -> None:
    """Answer the rows of a table, or one row given by --input; with --candidates, rank them for each row."""
    from omnifuse.pipeline.pipeline import Pipeline

    if (rows is None) == (given is None):
        raise OmnifuseError("give a table of rows, or one row by --input COLUMN=VALUE")
    if given is not None and out is not None:
        raise OmnifuseError("--out goes with a table of rows; the answer to --input is printed")
    if rows is not None and out is None:
        raise OmnifuseError(f"the answers to a table go into a file: add --out NAME, ending in {', '.join(ENDINGS)}")
    if rows is not None and out is not None and out.suffix.lower() not in ENDINGS:
        raise OmnifuseError(f"--out {out}: name a file that ends in {', '.join(ENDINGS)}")
    if target is not None and candidates is None:
        raise OmnifuseError("--target goes with --candidates")
    if candidates is not None and (coverage is not None or calibrated):
        raise OmnifuseError("--coverage and --calibrated go with answers, not with --candidates")
    if rows is not None and out is not None and out.resolve() == rows.resolve():
        raise OmnifuseError(f"--out {out}: is the table of rows itself; choose another file")
    pipeline = Pipeline.load(run)
    asked = Asked(probabilities, k, coverage, calibrated)
    if given is not None:
        row = dict(pair(word) for word in given)
        if candidates is None:
            answer: Any = _plain(pipeline.predict([row], **asked.options, root=root)[0])
        else:
            answer = pipeline.retrieve([row], candidates, k, target=target, root=root)[0]
        typer.echo(json.dumps(answer, ensure_ascii=False, default=str))
        _say_unlimited(pipeline, coverage)
        return
    assert rows is not None and out is not None
    root = media_root(run, root)
    if candidates is None:
        count = write_predictions(pipeline, rows, out, asked, root)
    else:
        count = write_retrieved(pipeline, rows, candidates, out, k, target, root)
    typer.echo(f"Wrote {count:,} rows to {out}")
    _say_unlimited(pipeline, coverage)


@dataclass(frozen=True)
class Asked:
    """What is asked for beside the answers; see `Pipeline.predict`."""

    probabilities: bool = False
    k: int = 10
    coverage: float | None = None
    calibrated: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """As `predict` takes them."""
        return {name: getattr(self, name) for name in ("probabilities", "k", "coverage", "calibrated")}


def write_predictions(pipeline: Pipeline, rows: Path, out: Path, asked: Asked | None = None, root: Path | None = None) -> int:
    """Answer a table row by row and write it, with the answers beside its own columns, atomically.

    Answers stand in columns `predicted_TARGET` and `predicted_TARGET_probability`, sets and intervals in `predicted_TARGET_set`,
    `predicted_TARGET_low` and `predicted_TARGET_high`; an end without limit is absent. Columns that hold bytes are left out.
    """
    asked = asked or Asked()

    def answers() -> Iterator[dict[str, Any]]:
        return map(_plain, pipeline.predict_each(rows, **asked.options, root=root))

    return _write_beside(rows, out, answers, lambda: _plain(pipeline.predict([{}], **asked.options)[0]))


def write_retrieved(
    pipeline: Pipeline, rows: Path, candidates: Path, out: Path, k: int, target: str | None, root: Path | None = None
) -> int:
    """Rank candidates for the rows of a table and write them beside its own columns, atomically.

    The nearest stands in `predicted_TARGET`, the first k in `predicted_TARGET_best`, with `predicted_TARGET_similarities`; of
    candidates that are bytes, the numbers of their rows.
    """
    from omnifuse.pipeline.retrieval import retrieval_target

    name = retrieval_target(pipeline, target)

    def named(near: list[dict[str, Any]]) -> dict[str, Any]:
        best = [f"row {each['candidate'] + 1}" if isinstance(each[name], bytes) else each[name] for each in near]
        return {name: best[0], f"{name}_best": best, f"{name}_similarities": [each["similarity"] for each in near]}

    def answers() -> Iterator[dict[str, Any]]:
        return map(named, pipeline.retrieve_each(rows, candidates, k, target=name, root=root))

    return _write_beside(rows, out, answers, lambda: named(pipeline.retrieve([{}], candidates, k, target=name, root=root)[0]))


def _write_beside(rows: Path, out: Path, answers: Callable[[], Iterator[dict[str, Any]]], example: Callable[[], dict[str, Any]]) -> int:
    """Write a table with an answer beside each row; `example` makes one of no row."""
    from omnifuse.cli.progress import counting
    from omnifuse.core.atomic import replacing
    from omnifuse.data.table import iterate_rows, read_table, written_schema

    kept = written_schema(read_table(rows))
    for name in kept.names:
        if name.startswith("predicted_"):
            raise OmnifuseError(f'{rows}: the column "{name}" would be mixed up with the answers; rename it or leave it out')

    def joined() -> Iterator[dict[str, Any]]:
        for row, answer in zip(iterate_rows(read_table(rows), kept.names), answers(), strict=True):
            yield {**row, **_predicted(answer)}

    with counting("predicting") as progress, replacing(out) as temporary:
        return _write(joined(), kept, lambda: _predicted(example()), temporary, out.suffix.lower(), progress)


def media_root(run: Path, root: Path | None) -> Path | None:
    """Folder of relative media paths: the one that is given, or the one the run was trained with."""
    from omnifuse.core.atomic import read_json

    known = read_json(run / "config.json", "trained run").get("root")
    return root or (Path(known) if known else None)


def _plain(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as JSON has it: an end of an interval without limit becomes nothing."""
    return {name: None if isinstance(value, float) and math.isinf(value) else value for name, value in answer.items()}


def _say_unlimited(pipeline: Pipeline, coverage: float | None) -> None:
    if coverage is not None and pipeline.calibration is not None:
        for words in pipeline.calibration.unlimited(coverage):
            typer.echo(words, err=True)


def _predicted(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer under the names it has beside the columns of the table."""
    return {f"predicted_{name}": value for name, value in answer.items()}


def _write(
    rows: Iterator[dict[str, Any]],
    given: pa.Schema,
    example: Callable[[], dict[str, Any]],
    path: Path,
    ending: str,
    progress: Callable[[int], None],
) -> int:
    """Write rows a few thousand at a time; returns how many.

    Args:
        rows: columns of the table and answers.
        given: the columns of the table.
        example: makes an answer; it says which columns there are when there is no row.
        path: the file.
        ending: its format.
        progress: is told of each part.
    """
    import pyarrow as pa

    count, writer, schema = 0, None, given
    with path.open("wb") as file:
        while part := list(islice(rows, 4096)):
            count += len(part)
            progress(len(part))
            if ending == ".jsonl":
                file.writelines((json.dumps(row, ensure_ascii=False, default=str) + "\n").encode() for row in part)
                continue
            if writer is None:
                answers = _typed(pa.Table.from_pylist([{k: v for k, v in row.items() if k not in given.names} for row in part]).schema)
                schema = pa.schema([*given, *answers])
                writer = _writer(file, schema, ending)
            writer.write_table(_flat(pa.Table.from_pylist(part, schema=schema), ending))
        if writer is None and ending != ".jsonl":
            schema = pa.schema([*given, *_typed(pa.Table.from_pylist([example()]).schema)])
            writer = _writer(file, schema, ending)
        if writer is not None:
            writer.close()
    return count


def _typed(answers: pa.Schema) -> pa.Schema:
    """Columns that hold nothing so far are given the type of what may come: lists of words, and numbers."""
    import pyarrow as pa

    kinds = {pa.null(): pa.float64(), pa.list_(pa.null()): pa.list_(pa.string())}
    return pa.schema([pa.field(field.name, kinds.get(field.type, field.type)) for field in answers])


def _writer(file: Any, schema: pa.Schema, ending: str) -> Any:
    import pyarrow.csv
    import pyarrow.parquet

    if ending == ".parquet":
        return pyarrow.parquet.ParquetWriter(file, schema)
    return pyarrow.csv.CSVWriter(file, _flat(schema.empty_table(), ending).schema)


def _flat(table: pa.Table, ending: str) -> pa.Table:
    """For CSV: lists and mappings become words of JSON."""
    import pyarrow as pa

    for position, field in enumerate(table.schema if ending == ".csv" else []):
        if pa.types.is_nested(field.type):
            words = [
                value if value is None else json.dumps(value, ensure_ascii=False, default=str)
                for value in table.column(position).to_pylist()
            ]
            table = table.set_column(position, pa.field(field.name, pa.string()), pa.array(words, pa.string()))
    return table


def pair(word: str) -> tuple[str, str]:
    """`COLUMN=VALUE` in its two parts."""
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise OmnifuseError(f"--input {word}: write it as COLUMN=VALUE")
    return name, value
