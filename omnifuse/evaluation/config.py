"""The `evaluate` section of a recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from omnifuse.core.config import Config


class EvaluateConfig(Config):
    """How a trained model is judged.

    Attributes:
        shuffle: run the shuffle test of every input column.
        shuffle_rows: about how many rows the shuffle test uses at most (in whole blocks of 4,096).
        subsets: ask with every subset of the input columns known, for their contributions.
        subset_rows: how many of the rows are asked for that.
        calibration: learn from the validation split how sure the model may be, and judge its confidence.
        slices: look for conditions under which it is worse.
        by: columns by whose values the metrics are told.
        robustness: measure how the metrics fall when columns are damaged.
        robustness_rows: how many of the rows are damaged.
        examples: right and wrong examples shown in the report, of each.
        explain: show what each column adds to the answers to the examples, and where in it.
        batch_size: rows at a time.
    """

    shuffle: bool = True
    shuffle_rows: Annotated[int, Field(ge=2)] = 20_000
    subsets: bool = True
    subset_rows: Annotated[int, Field(ge=2)] = 4096
    calibration: bool = True
    slices: bool = True
    by: list[str] = []
    robustness: bool = False
    robustness_rows: Annotated[int, Field(ge=2)] = 500
    examples: Annotated[int, Field(ge=0, le=200)] = 8
    explain: bool = True
    batch_size: Annotated[int, Field(ge=1)] = 512
