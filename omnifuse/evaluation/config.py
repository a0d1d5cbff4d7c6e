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
        examples: right and wrong examples shown in the report, of each.
        batch_size: rows at a time.
    """

    shuffle: bool = True
    shuffle_rows: Annotated[int, Field(ge=2)] = 20_000
    subsets: bool = True
    subset_rows: Annotated[int, Field(ge=2)] = 4096
    examples: Annotated[int, Field(ge=0, le=200)] = 8
    batch_size: Annotated[int, Field(ge=1)] = 512
