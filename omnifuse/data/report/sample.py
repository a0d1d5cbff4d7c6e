"""Rows drawn from every split of a dataset, the same ones each time, so that a report of a million rows takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omnifuse.core.schema import Column
from omnifuse.core.seeds import seed_of
from omnifuse.data.dataset import Dataset
from omnifuse.page.words import quantity, shorten

ROWS = 2_000


@dataclass(frozen=True)
class ColumnSample:
    """What was drawn of one column.

    Attributes:
        column: its name, modality, role and options.
        key: its name on the page, for ids.
        values: by split, canonical values in the order of rows; `None` is absent. Media columns hold keys.
        captions: by split, the value of the column `captioned_by` in each row, in a few words.
        captioned_by: a target or a category that says what a row is; empty where there is none.
        absent: rows of the whole dataset without a value.
        rows: rows of the whole dataset.
        dataset: where files are read.
    """

    column: Column
    key: str
    values: dict[str, list[Any]]
    captions: dict[str, list[str]]
    captioned_by: str
    absent: int
    rows: int
    dataset: Dataset

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.column.name

    @property
    def splits(self) -> list[str]:
        """Splits that have a value."""
        return [split for split, values in self.values.items() if any(value is not None for value in values)]

    def present(self, split: str | None = None) -> list[Any]:
        """The values that are there, of one split or of all."""
        names = self.values if split is None else [split]
        return [value for name in names for value in self.values[name] if value is not None]

    @property
    def caption_note(self) -> str:
        """What the captions of examples are, to be added to a note."""
        return f"; captions: {self.captioned_by}" if self.captioned_by else ""

    def keys(self) -> list[str]:
        """The different values that are there, in a fixed order."""
        return sorted(set(self.present()))

    def pick(self, most: int) -> list[tuple[Any, str]]:
        """Up to `most` different values spread over the splits, each with its caption."""
        orders = {
            split: np.random.default_rng(seed_of("data report", self.name, split)).permutation(len(self.values[split])).tolist()
            for split in self.splits
        }
        whole, chosen = max(1, len(self.present())), {}
        shares = {split: max(1, round(most * len(self.present(split)) / whole)) for split in orders}
        for split, share in [*shares.items(), *dict.fromkeys(shares, most).items()]:  # once more, for what is left to most
            taken = 0
            for place in orders[split]:
                if taken == share or len(chosen) == most:
                    break
                value = self.values[split][place]
                if value is not None and value not in chosen:
                    chosen[value] = self.captions[split][place] if self.captioned_by else ""
                    taken += 1
        return list(chosen.items())

    def numbers(self, *names: str) -> dict[str, np.ndarray]:
        """What decoding told about the drawn files at preparation (`Facts.numbers`): name → (N,) float64, NaN where unknown."""
        facts = self.dataset.facts(self.name, self.keys()) if self.present() else []
        return {name: np.array([fact.numbers.get(name, np.nan) for fact in facts], dtype=np.float64) for name in names}

    def files(self, keys: Sequence[str]) -> list[bytes]:
        """The files that keys stand for."""
        return self.dataset.media(keys)


def draw(dataset: Dataset, rows: int = ROWS) -> dict[str, ColumnSample]:
    """Draw up to `rows` rows of each split; a column's sample by its name."""
    schema, manifest = dataset.schema, dataset.manifest
    names = schema.stored
    values: dict[str, dict[str, list[Any]]] = {name: {} for name in names}
    for split, count in manifest.get("splits", {}).items():
        if not count:
            continue
        view = dataset.split(split)
        index = np.arange(len(view))
        if len(view) > rows:
            index = np.sort(np.random.default_rng(seed_of("data report", split)).choice(len(view), rows, replace=False))
        for name, column in view.take(index, names).items():
            values[name][split] = [tuple(value) if isinstance(value, list) else value for value in column]
    captioned_by = _captioned_by(dataset)
    captions = {split: [caption(value) for value in column] for split, column in values.get(captioned_by, {}).items()}
    absent = manifest.get("absent", {})
    return {
        name: ColumnSample(
            schema[name],
            f"c{position}",
            values[name],
            captions,
            captioned_by if captioned_by != name else "",
            absent.get(name, 0),
            manifest.get("rows", len(dataset)),
            dataset,
        )
        for position, name in enumerate(names)
    }


def _captioned_by(dataset: Dataset) -> str:
    """The column whose value tells best what a row is: the first target that is a word or a number, or the first category."""
    schema = dataset.schema
    targets = [name for name in schema.targets if schema[name].modality in ("category", "set", "text", "number")]
    return next(iter([*targets, *[name for name in schema.inputs if schema[name].modality == "category"]]), "")


def caption(value: Any) -> str:
    """A value in a few words."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return shorten(", ".join(map(str, value)), 60)
    return quantity(value) if isinstance(value, float) else shorten(str(value), 60)
