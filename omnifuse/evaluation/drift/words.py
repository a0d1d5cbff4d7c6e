"""What a comparison of new rows with others says, in words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from omnifuse.data.modalities.instants import moment
from omnifuse.page.words import counted, figure, listed, percent, shorten

MOST = 3  # changes that are told of a column
LEVEL, VISIBLE = 0.05, 0.1


def summary(columns: Mapping[str, Mapping[str, Any]], answers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How many columns have drifted, and whether what is answered has."""
    drifted = [name for name, each in columns.items() if each["verdict"] == "drifted"]
    unclear = [name for name, each in columns.items() if each["verdict"] == "too few rows to tell"]
    if drifted:
        first = f"{len(drifted)} of {counted(len(columns), 'column')} {'has' if len(drifted) == 1 else 'have'} drifted"
        said = [f"{first} from the training data: {listed(drifted)}."]
    elif unclear:
        said = [f"No column is seen to have drifted; of {listed(unclear)} there are too few rows to tell."]
    else:
        said = [f"The new rows are like the training data in {'its column' if len(columns) == 1 else f'all {len(columns)} columns'}."]
    if answers and all(each["verdict"] == "like the training data" for each in answers.values()):
        said.append("What the model answers is spread as before.")
    return said


def sentence(name: str, found: Mapping[str, Any]) -> str:
    """The verdict on a column, with what has changed most."""
    if found["verdict"] == "too few rows to tell":
        new, reference = found["values"]["new"], found["values"]["reference"]
        return f"{name}: too few rows to tell ({counted(new, 'value')} beside {reference:,})."
    unseen = next((test["unseen"] for test in found["tests"] if test.get("unseen")), 0.0)
    strange = [f"{percent(unseen, 1)} of its labels were never seen in training"] if unseen else []
    if found["verdict"] != "drifted":
        return f"{name} is like the training data{'; ' + strange[0] if strange else ''}."
    sure = sorted((test for test in found["tests"] if test["p"] <= LEVEL and test["effect"] >= VISIBLE), key=_weight)
    changes = [_change(test, found["modality"]) for test in sure[:MOST]]
    return f"{name} has drifted: {'; '.join([*changes, *strange])}."


def _weight(test: Mapping[str, Any]) -> tuple[bool, float]:
    """What can be read comes first, then what has changed most."""
    return test["of"] == "encoder", -test["effect"]


def _change(test: Mapping[str, Any], modality: str) -> str:
    of = test["of"]
    if of == "absent":
        return f"absent in {percent(test['new'], 1)} of the rows instead of {percent(test['reference'], 1)}"
    if of == "labels":
        return f"“{shorten(test['label'], 40)}” in {percent(test['new'], 1)} of the rows instead of {percent(test['reference'], 1)}"
    if test["test"] == "energy distance":
        return f"what {'the encoder makes of it' if of == 'encoder' else 'it holds'} lies elsewhere (effect {test['effect']:.2f})"
    ends = [amount(test[side], modality if of == "values" else "") for side in ("new", "reference")]
    name = "its mean" if of == "values" else of
    if test["shift"] is None or abs(test["shift"]) < VISIBLE:
        return f"{name} is spread otherwise (distance {test['effect']:.2f})"
    way = "higher" if test["shift"] > 0 else "lower"
    return f"{name} is {ends[0]} instead of {ends[1]}, {figure(abs(test['shift']))} deviations {way}"


def amount(value: float, modality: str) -> str:
    """A number in words; a moment as what it is."""
    return f"{moment(value, dt.UTC):%Y-%m-%d %H:%M}" if modality == "datetime" else figure(value)
