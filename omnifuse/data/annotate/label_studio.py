"""What Label Studio is told about the columns: tags of its labelling config, and values in its form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column, Schema
from omnifuse.data.annotate.cells import moment_word
from omnifuse.data.annotate.votes import read_set, write_set

ROW = "omnifuse_id"
CONTROLS = {"category": "Choices", "set": "Choices", "number": "Number", "text": "TextArea", "datetime": "DateTime", "id": "TextArea"}
OBJECTS = {"image": "Image", "audio": "Audio", "video": "Video", "series": "TimeSeries", "points": "Image"}
MOST_BUTTONS = 30
_RESERVED = {ROW, "id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"}


@dataclass(frozen=True)
class Tag:
    """A column in Label Studio.

    Attributes:
        column: the column.
        name: of its tag, which is also the key in the data of a task.
        kind: `Choices`, `Number`, … for what is asked; `Image`, `Text`, … for what is shown.
    """

    column: Column
    name: str
    kind: str

    def value(self, label: Any) -> dict[str, Any]:
        """A label (word, number, or labels of a set) as a result of this tag holds it."""
        if self.kind == "Choices":
            return {"choices": sorted(label) if self.column.modality == "set" else [str(label)]}
        if self.kind == "Number":
            return {"number": float(label)}
        if self.kind == "DateTime":
            word = moment_word(label) if isinstance(label, int) else label
            return {"datetime": word if isinstance(word, str) else word.isoformat()}
        return {"text": [str(label)]}

    def read(self, value: Any) -> str | None:
        """The word that a result or a cell of JSON-MIN stands for; `None` for an empty answer.

        Raises:
            OmnifuseError: it is not what this tag gives.
        """
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
            value = value[0]
        if isinstance(value, Mapping):
            value = next((value[key] for key in ("choices", "number", "datetime", "text") if key in value), None)
        if self.column.modality == "set":
            return write_set([value] if isinstance(value, str) else value or [])
        if isinstance(value, list):
            if self.kind == "Choices" and len(value) > 1:
                raise OmnifuseError(f"{len(value)} labels where {self.column.name} has one")
            value = "\n".join(map(str, value))
        if value is None or not str(value).strip():
            return None
        if self.kind == "Number":
            try:
                return f"{float(value):.12g}"
            except (TypeError, ValueError):
                raise OmnifuseError(f'"{str(value)[:40]}" is not a number, as {self.column.name} is') from None
        return str(value).strip()

    def result(self, label: Any, to: str) -> dict[str, Any]:
        """One entry of the `result` of a prediction or an annotation."""
        return {"id": f"r-{self.name}", "from_name": self.name, "to_name": to, "type": self.kind.lower(), "value": self.value(label)}


def shown_tags(schema: Schema, hidden: Sequence[str] = ()) -> list[Tag]:
    """The columns an annotator sees: those the model reads."""
    names = _names(schema)
    shown = [name for name in schema.inputs if name not in hidden]
    return [Tag(schema[name], names[name], OBJECTS.get(schema[name].modality, "Text")) for name in shown]


def asked_tags(schema: Schema, columns: Sequence[str] = ()) -> list[Tag]:
    """The columns an annotator fills in: the targets, or those that are named.

    Raises:
        OmnifuseError: there is none, or Label Studio has no control for one of them.
    """
    names = _names(schema)
    chosen = [schema[name] for name in columns or schema.targets]
    if not chosen:
        raise OmnifuseError("nothing to label: no column has `role: target`; name one by --column")
    for column in chosen:
        if column.modality not in CONTROLS:
            raise OmnifuseError(
                f"columns.{column.name}: nobody can type in a value of {column.modality}; ask for one of {', '.join(CONTROLS)}"
            )
    return [Tag(column, names[column.name], CONTROLS[column.modality]) for column in chosen]


def labeling_config(
    shown: Sequence[Tag], asked: Sequence[Tag], labels: Mapping[str, Sequence[str]], channels: Mapping[str, Sequence[str]]
) -> str:
    """The XML for Label Studio's *Labeling Interface → Code*.

    Args:
        shown, asked: the tags.
        labels: by column that is asked for, the labels to choose from.
        channels: by series column, names of its channels.
    """
    view = ElementTree.Element("View")
    for tag in shown:
        ElementTree.SubElement(view, "Header", value=tag.column.name, size="4")
        more = {"valueType": "json", "timeColumn": "time"} if tag.kind == "TimeSeries" else {}
        element = ElementTree.SubElement(view, tag.kind, {"name": tag.name, "value": f"${tag.name}", **more})
        for channel in channels.get(tag.column.name, ()):
            ElementTree.SubElement(element, "Channel", column=channel, legend=channel)
    ElementTree.SubElement(view, "Text", name=ROW, value=f"${ROW}")  # what answers are tied to, for it is never absent
    for tag in asked:
        ElementTree.SubElement(view, "Header", value=f"{tag.column.name}?", size="3")
        _control(view, tag, labels.get(tag.column.name, ()))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _control(view: ElementTree.Element, tag: Tag, labels: Sequence[str]) -> None:
    more: dict[str, str] = {}
    if tag.kind == "Choices":
        more["choice"] = "multiple" if tag.column.modality == "set" else "single-radio"
        if len(labels) > MOST_BUTTONS:
            more["layout"] = "select"
    if tag.kind == "TextArea":
        more |= {"maxSubmissions": "1", "editable": "true"}
    if tag.kind == "Number":
        more["step"] = "0.001"
    if tag.column.modality != "set":
        more["required"] = "true"
    element = ElementTree.SubElement(view, tag.kind, {"name": tag.name, "toName": ROW, **more})
    for label in labels if tag.kind == "Choices" else ():
        ElementTree.SubElement(element, "Choice", value=label)


def _names(schema: Schema) -> dict[str, str]:
    """Names Label Studio can refer to as `$name`, all different, that its own fields of JSON-MIN do not use."""
    taken, names = set(_RESERVED), {}
    for position, column in enumerate(schema):
        plain = re.sub(r"\W+", "_", column, flags=re.ASCII).strip("_") or f"column_{position}"
        name = plain if plain not in taken and not plain[0].isdigit() else f"c{position}_{plain}"
        names[column] = name
        taken.add(name)
    return names


def known_labels(column: Column, values: Iterable[Any], more: Iterable[str] = ()) -> list[str]:
    """Labels to choose from: all that rows of the dataset have and some more, numbers by size, words by letter."""
    found = {label for value in values if value is not None for label in (value if isinstance(value, tuple) else [str(value)])}
    if column.modality == "set":
        found = {label for each in found for label in read_set(each)}
    found.update(more)
    return sorted(found, key=lambda label: (not _is_number(label), float(label) if _is_number(label) else 0.0, label))


def read_json_list(text: str) -> list[Any]:
    """A JSON array, or the one object of a file that holds a single task."""
    value = json.loads(text)
    return value if isinstance(value, list) else [value]


def _is_number(word: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d+(\.\d+)?", word))
