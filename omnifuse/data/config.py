"""The `data` section of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from omnifuse.core.config import Config
from omnifuse.core.errors import OmnifuseError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Share = Annotated[float, Field(ge=0, lt=1)]


class SplitConfig(Config):
    """How rows are divided. Rows with the same values land on the same side, unless `by` or `column` says otherwise.

    Attributes:
        validation: share of the training source held out to choose the best epoch.
        test: share held out for the final figures; not cut when the source names a test table.
        by: a column whose equal values stay on one side (a patient, an image, a user).
        column: a column that already says `train`, `validation` or `test`.
    """

    validation: Share = 0.1
    test: Share = 0.1
    by: str | None = None
    column: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> SplitConfig:
        if self.by and self.column:
            raise OmnifuseError("give `by` or `column`, not both")
        if self.validation + self.test >= 1:
            raise OmnifuseError(f"validation {self.validation} and test {self.test} leave no training rows")
        return self


class DataConfig(Config):
    """Where rows come from and what is done to them before training.

    Attributes:
        source: a table (CSV, TSV, JSONL, Parquet), or one table for each split; relative to the recipe.
        root: folder that media paths in the table are relative to; the folder of the table by default.
        split: how rows are divided.
        bad_values: a value that cannot be read stops the preparation (`error`), or its row is set aside in
            `quarantine.json` of the dataset with the reason (`quarantine`).
        quarantine_share: more bad rows than this share stop the preparation all the same.
        max_file_mb: larger media files are refused before they are read.
        store: folder of the prepared dataset; beside the recipe by default.
        cache_mb: memory for values that are already encoded, so that later epochs decode nothing.
    """

    source: str | dict[Split, str]
    root: str | None = None
    split: SplitConfig = SplitConfig()
    bad_values: Literal["error", "quarantine"] = "error"
    quarantine_share: Share = 0.05
    max_file_mb: Annotated[float, Field(gt=0)] = 64
    store: str | None = None
    cache_mb: Annotated[int, Field(ge=0)] = 1024
