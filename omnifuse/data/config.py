"""The `data` section of a recipe."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from omnifuse.core.config import Config
from omnifuse.core.errors import OmnifuseError
from omnifuse.data.clean.config import CleanConfig
from omnifuse.data.join.config import JoinConfig, WindowsConfig
from omnifuse.data.sources.config import parse_source

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Share = Annotated[float, Field(ge=0, lt=1)]


class SplitConfig(Config):
    """How rows are divided. Rows with the same values land on the same side, unless `by`, `time` or `column` says otherwise.

    Attributes:
        validation: share of the training source held out to choose the best epoch.
        test: share held out for the final figures; not cut when the source names a test table.
        by: a column whose equal values stay on one side (a patient, an image, a user).
        pattern: with `by`, a regular expression; what its first group finds in the value is what stays together.
        stratify: a column whose values have the same shares in every split.
        time: a column of time; the latest rows are the test split, those before them the validation split.
        column: a column that already says `train`, `validation` or `test`.
    """

    validation: Share = 0.1
    test: Share = 0.1
    by: str | None = None
    pattern: str | None = None
    stratify: str | None = None
    time: str | None = None
    column: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> SplitConfig:
        chosen = [name for name in ("by", "time", "column") if getattr(self, name)]
        if len(chosen) > 1:
            raise OmnifuseError(f"give one of `by`, `time` and `column`, not {' and '.join(chosen)}")
        if self.pattern and not self.by:
            raise OmnifuseError("`pattern` says which part of `by` counts; give `by` too")
        if self.pattern:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise OmnifuseError(f"pattern: {self.pattern!r} is not a regular expression ({error})") from None
        if self.stratify and (self.time or self.column):
            raise OmnifuseError(f"`stratify` and `{chosen[0]}` exclude each other")
        if self.validation + self.test >= 1:
            raise OmnifuseError(f"validation {self.validation} and test {self.test} leave no training rows")
        return self

    @property
    def columns(self) -> list[str]:
        """The columns of the table that splits look at."""
        return list(dict.fromkeys(name for name in (self.by, self.stratify, self.time, self.column) if name))


class DataConfig(Config):
    """Where rows come from and what is done to them before training.

    Attributes:
        source: a table (CSV, TSV, JSONL, Parquet), a folder, an address, a mapping with the `name` of another kind of source and
            its options, or one of these for each split; relative to the recipe, `$NAME` is taken from the environment.
        windows: cut a long table of samples into windows, a row for each.
        join: other sources, joined one after another.
        root: folder that media paths in the table are relative to; the folder of the table by default.
        clean: what counts as absent and as a duplicate.
        split: how rows are divided.
        bad_values: a value that cannot be read sets its row aside in `quarantine.csv` of the dataset with the reason
            (`quarantine`), counts as absent and is listed there too (`absent`), or stops the preparation (`error`).
        quarantine_share: more bad rows than this share stop the preparation all the same.
        max_file_mb: larger media files are refused before they are read.
        allow_private: whether addresses in the table may lead to this machine or a private network.
        store: folder of the prepared dataset; beside the recipe by default.
        runner: `native` works in this process; `ray` on a Ray cluster.
        ray_address: of the cluster; one is started on this machine when it is left out.
        cache_mb: memory for values that are already encoded, so that later epochs decode nothing.
        features_gb: disk space beside the dataset for what a frozen encoder makes of each different value, so that later epochs
            and other models need not run it; 0 keeps nothing.
    """

    source: Any
    windows: WindowsConfig | None = None
    join: tuple[JoinConfig, ...] = ()
    root: str | None = None
    clean: CleanConfig = CleanConfig()
    split: SplitConfig = SplitConfig()
    bad_values: Literal["quarantine", "absent", "error"] = "quarantine"
    quarantine_share: Share = 0.05
    max_file_mb: Annotated[float, Field(gt=0)] = 64
    allow_private: bool = False
    store: str | None = None
    runner: Literal["native", "ray"] = "native"
    ray_address: str | None = None
    cache_mb: Annotated[int, Field(ge=0)] = 1024
    features_gb: Annotated[float, Field(ge=0)] = 20

    @field_validator("source")
    @classmethod
    def _known(cls, value: Any) -> Any:
        """Check every source; the recipe keeps what the user wrote."""
        by_split = isinstance(value, dict) and value and set(value) <= set(SPLITS)
        for spec in value.values() if by_split else [value]:
            parse_source(spec, "data.source")
        return value
