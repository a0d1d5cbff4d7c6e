"""Options of cleaning: the `clean` section of `data`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from omnifuse.core.config import Config


class CleanConfig(Config):
    """What counts as a duplicate and as a rare label, and what is done about it.

    Attributes:
        duplicates: rows with the same values in all columns: kept, or all but one dropped.
        near_duplicates: rows whose picture, sound or text nearly repeats another's: not looked for, told in the report,
            kept on one side of the splits, or all but one dropped where they are equal in all other columns.
        near_images: most bits of 64 that differ between the hashes of near pictures; their thumbnails must agree as well.
        near_texts: least Jaccard similarity of near texts, of their sets of 5-character pieces.
        near_audio: most share of bits that differ between near sounds.
        rare_labels: labels of a category with fewer rows are told in the report.
    """

    duplicates: Literal["keep", "drop"] = "keep"
    near_duplicates: Literal["off", "report", "together", "drop"] = "report"
    near_images: Annotated[int, Field(ge=0, le=8)] = 6
    near_texts: Annotated[float, Field(ge=0.5, le=1)] = 0.85
    near_audio: Annotated[float, Field(ge=0, le=0.3)] = 0.15
    rare_labels: Annotated[int, Field(ge=0)] = 5
