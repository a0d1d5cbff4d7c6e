"""Tasks for Label Studio: rows, their media beside them, and what a model suggests."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from omnifuse.core.atomic import read_json, replacing, write_json, write_text
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.annotate.cells import table_cell
from omnifuse.data.annotate.label_studio import ROW, Tag, asked_tags, labeling_config, shown_tags
from omnifuse.data.annotate.rows import Chunk, cell_names
from omnifuse.data.annotate.showing import media_file, series_json
from omnifuse.data.annotate.votes import write_csv
from omnifuse.data.loader import RawRows
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.data.table import iterate_rows, read_table

README = """\
Label Studio tasks made by omnifuse.

1. Start Label Studio so that it may serve these files (not needed for tasks made with --inline):
     LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={root} label-studio start
2. Make a project. Settings → Labeling Interface → Code: paste labeling_config.xml.
3. Settings → Cloud Storage → Add Source Storage → Local files, absolute local path {folder}/media. Save it; no sync.
4. Import tasks.json. Suggestions show under Settings → Annotation → Use predictions to prelabel tasks.
5. Label, then Export → JSON, and: omnifuse annotate import EXPORT.json --tasks {folder} --out VOTES
"""
EXPORT = "export.json"


@dataclass(frozen=True)
class Suggestion:
    """What a model would say: the label in its canonical form, and how sure it is (NaN where it cannot tell)."""

    label: Any
    score: float


Suggest = Callable[[RawRows], list[Mapping[str, Suggestion]]]


@dataclass(frozen=True)
class Export:
    """What was written."""

    folder: Path
    tasks: int
    files: int
    suggested: int
    asked: list[str]


def export_tasks(
    chunks: Iterable[Chunk],
    schema: Schema,
    out: Path,
    *,
    columns: Sequence[str] = (),
    labels: Mapping[str, Sequence[str]] | None = None,
    suggest: Suggest | None = None,
    model: str = "",
    inline: bool = False,
) -> Export:
    """Write `tasks.json`, `labeling_config.xml`, `rows.csv`, `media/`, `export.json` and a `README.txt` into a new folder.

    `rows.csv` is a table of the rows by id; files of a prepared dataset stand in `media/`, so that it can be read again.

    Args:
        chunks: the rows.
        schema: inputs are shown, targets asked for.
        out: the folder; it must not be there.
        columns: what is asked for, in place of the targets.
        labels: by column, the labels to choose from.
        suggest: a model's answers to some rows.
        model: its name, the `model_version` of suggestions.
        inline: put pictures and sounds into `tasks.json` as data URIs, so that no file needs to be served.

    Raises:
        OmnifuseError: the folder is there, no row, or a column that Label Studio cannot ask for.
    """
    if out.exists():
        raise OmnifuseError(f"{out}: is there already; choose another --out")
    asked = asked_tags(schema, columns)
    shown = shown_tags(schema, [tag.column.name for tag in asked])
    for tag in asked:
        if tag.kind == "Choices" and not (labels or {}).get(tag.column.name):
            raise OmnifuseError(f"columns.{tag.column.name}: no label is known to choose from; name them by --label")
    with replacing(out) as folder:
        (folder / "media").mkdir(parents=True)
        writer = _Writer(folder, out.resolve().name, shown, asked, suggest, model, inline)
        for chunk in chunks:
            writer.add(chunk)
        if not writer.tasks:
            raise OmnifuseError("there is no row to export")
        (folder / "tasks.json").write_text(json.dumps(writer.tasks, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        write_text(folder / "labeling_config.xml", labeling_config(shown, asked, labels or {}, writer.channels))
        names = [name for name in cell_names(writer.cells) if name != "id"]
        rows = ([row, *(table_cell(cells.get(name)) for name in names)] for row, cells in zip(writer.ids, writer.cells, strict=True))
        write_csv(folder / "rows.csv", ["id", *names], rows)
        told = {
            "columns": schema.dump(),
            "asked": [tag.column.name for tag in asked],
            "labels": {k: list(v) for k, v in (labels or {}).items()},
        }
        write_json(folder / EXPORT, told)
        write_text(folder / "README.txt", README.format(root=out.resolve().parent, folder=out.resolve()))
    return Export(out, len(writer.tasks), len(writer.files), writer.suggested, [tag.column.name for tag in asked])


@dataclass(frozen=True)
class Exported:
    """What an export folder tells about itself.

    Attributes:
        schema: the columns.
        asked: those that were asked for.
        labels: by column, the labels to choose from.
        rows: by id, the cells of each row as words.
    """

    schema: Schema
    asked: list[str]
    labels: dict[str, list[str]]
    rows: dict[str, dict[str, Any]]

    @classmethod
    def open(cls, folder: Path) -> Exported:
        """Read `export.json` and `rows.csv`.

        Raises:
            OmnifuseError: the folder is no export.
        """
        told = read_json(folder / EXPORT, "folder of `omnifuse annotate export`")
        rows = iterate_rows(read_table(folder / "rows.csv"))
        by_id = {str(row["id"]): {name: value for name, value in row.items() if name != "id"} for row in rows}
        return cls(Schema.parse(told["columns"]), list(told["asked"]), dict(told["labels"]), by_id)

    def words(self) -> dict[str, str]:
        """By row, the words that show it."""
        shown = [name for name in self.schema.inputs if name not in self.asked]
        return {row: " · ".join(str(cells[name]) for name in shown if cells.get(name)) for row, cells in self.rows.items()}

    def table(self) -> dict[str, dict[str, Any]]:
        """By row, its cells but for those that were asked for anew."""
        return {row: {name: value for name, value in cells.items() if name not in self.asked} for row, cells in self.rows.items()}


class _Writer:
    """Collects tasks; files are written as they come, each content once."""

    def __init__(
        self, folder: Path, name: str, shown: Sequence[Tag], asked: Sequence[Tag], suggest: Suggest | None, model: str, inline: bool
    ) -> None:
        self.folder, self.name, self.shown, self.asked = folder, name, shown, asked
        self.suggest, self.model, self.inline = suggest, model, inline
        self.tasks: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.cells: list[dict[str, Any]] = []
        self.channels: dict[str, list[str]] = {}
        self.files: set[str] = set()
        self.kept: dict[str, str] = {}
        self.suggested = 0

    def add(self, chunk: Chunk) -> None:
        values = chunk.rows.take(range(len(chunk)), [tag.column.name for tag in self.shown])
        columns = {tag.name: self._column(tag, values[tag.column.name], chunk) for tag in self.shown}
        said = self.suggest(chunk.rows) if self.suggest else [{}] * len(chunk)
        for place, row in enumerate(chunk.ids):
            data = {ROW: row, **{name: column[place] for name, column in columns.items()}}
            predictions = self._predictions(said[place])
            self.suggested += bool(predictions)
            self.tasks.append({"data": data, **({"predictions": predictions} if predictions else {})})
        self.ids += chunk.ids
        self.cells += [{**cells, **self._files_of(cells)} for cells in chunk.cells]

    def _files_of(self, cells: Mapping[str, Any]) -> dict[str, str]:
        """Where the files lie that cells name by their key, as those of a dataset do."""
        return {tag.column.name: self.kept[key] for tag in self.shown if (key := cells.get(tag.column.name)) in self.kept}

    def _column(self, tag: Tag, values: list[Any], chunk: Chunk) -> list[Any]:
        """What the tasks say about one column; an absent value is empty."""
        if not processor_class(tag.column.modality).is_media:
            return ["" if value is None else table_cell(value, tag.column.modality) for value in values]
        keys = sorted({key for key in values if key is not None})
        files = dict(zip(keys, chunk.rows.media(keys), strict=True))
        named = {cells.get(tag.column.name) for cells in chunk.cells}
        shown = {key: self._show(key, data, tag, key in named) for key, data in files.items()}
        return [({"time": []} if tag.kind == "TimeSeries" else "") if key is None else shown[key] for key in values]

    def _show(self, key: str, data: bytes, tag: Tag, named: bool) -> Any:
        """A file as a task holds it; one that `rows.csv` will name is kept as it is, too."""
        if tag.kind == "TimeSeries":
            series = series_json(data, tag.column)
            channels = self.channels.setdefault(tag.column.name, [])
            channels += [name for name in series if name != "time" and name not in channels]
            if named:
                self._keep(key, f"{key}.series", data)
            return series
        shown, ending, kind = media_file(data, tag.column)
        if named:
            self._keep(key, f"{key}{ending}" if shown == data else f"{key}.{tag.column.modality}", data)
        if self.inline and kind:
            return f"data:{kind};base64,{base64.b64encode(shown).decode()}"
        return "/data/local-files/?d=" + quote(f"{self.name}/media/{self._write(f'{key}{ending}', shown)}")

    def _keep(self, key: str, name: str, data: bytes) -> None:
        self.kept[key] = f"media/{self._write(name, data)}"

    def _write(self, name: str, data: bytes) -> str:
        if name not in self.files:
            self.files.add(name)
            (self.folder / "media" / name).write_bytes(data)
        return name

    def _predictions(self, said: Mapping[str, Suggestion]) -> list[dict[str, Any]]:
        known = [(tag, said[tag.column.name]) for tag in self.asked if tag.column.name in said]
        known = [(tag, suggestion) for tag, suggestion in known if suggestion.label is not None]
        if not known:
            return []
        scores = [suggestion.score for _, suggestion in known if suggestion.score == suggestion.score]
        score = {"score": round(min(scores), 6)} if scores else {}
        return [{"model_version": self.model, **score, "result": [tag.result(suggestion.label, ROW) for tag, suggestion in known]}]
