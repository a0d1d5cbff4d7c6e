"""UCR/UEA `.ts` files: cases of one or more series with a label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.sources.bad_rows import BadRows
from omnifuse.data.sources.config import TableSourceConfig
from omnifuse.data.sources.formats import numbered_lines
from omnifuse.data.sources.part import Part


@dataclass(frozen=True)
class _Head:
    classes: frozenset[str]
    has_label: bool
    dimensions: int | None
    first_line: int


def open_ts(path: Path, config: TableSourceConfig, bad: BadRows) -> Part:
    """Open a `.ts` file: column `series` (channel `dim_0`, `dim_1`, … → numbers, `?` is NaN) and, if it has one, `label`.

    Raises:
        OmnifuseError: no `@data`, series with time stamps, and, while rows are read, a case that does not fit the head,
            unless such cases are set aside.
    """
    head = _head(path)

    def rows(_: Sequence[str] | None) -> Iterator[dict[str, Any]]:
        for number, line in numbered_lines(path):
            text = line.decode("utf-8", "replace").strip()
            if number <= head.first_line or not text or text[0] in "#%":
                continue
            try:
                row = _case(text, head)
            except ValueError as error:
                if config.bad_rows == "error":
                    raise OmnifuseError(f"{path}: line {number}: {error}") from None
                bad.add(path, number, text, str(error))
                continue
            bad.read += 1
            yield row

    return Part(path, path.name, ["series", "label"] if head.has_label else ["series"], rows)


def _head(path: Path) -> _Head:
    marks: dict[str, list[str]] = {}
    for number, line in numbered_lines(path):
        words = line.decode("utf-8", "replace").split()
        if not words or words[0][0] in "#%":
            continue
        if words[0].lower() == "@data":
            break
        if not words[0].startswith("@"):
            raise OmnifuseError(f"{path}: line {number}: a `.ts` file has lines such as @problemName and @data before its cases")
        marks[words[0][1:].lower()] = words[1:]
    else:
        raise OmnifuseError(f"{path}: has no line @data; is it cut off?")
    if _is_true(marks.get("timestamps")):
        raise OmnifuseError(f"{path}: series with time stamps are not read; give a table with a row for each sample and `data.windows`")
    classes = marks.get("classlabel", [])
    has_label = _is_true(classes) or _is_true(marks.get("targetlabel"))
    dimensions = "1" if _is_true(marks.get("univariate")) else next(iter(marks.get("dimensions", [])), "")
    return _Head(frozenset(classes[1:]), has_label, int(dimensions) if dimensions.isdecimal() else None, number)


def _case(text: str, head: _Head) -> dict[str, Any]:
    series = text.split(":")
    label = series.pop().strip() if head.has_label else None
    if head.classes and label not in head.classes:
        raise ValueError(f'the label "{str(label)[:40]}" is none of {", ".join(sorted(head.classes))[:80]}')
    if head.dimensions is not None and len(series) != head.dimensions:
        raise ValueError(f"{len(series)} series where the head says {head.dimensions}")
    row: dict[str, Any] = {"series": {f"dim_{number}": _numbers(values) for number, values in enumerate(series)}}
    return row if label is None else row | {"label": label}


def _numbers(text: str) -> list[float]:
    return [float("nan") if word.strip() == "?" else float(word) for word in text.split(",")] if text.strip() else []


def _is_true(words: list[str] | None) -> bool:
    return bool(words) and words[0].lower() == "true"
