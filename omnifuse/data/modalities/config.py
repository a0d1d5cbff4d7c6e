"""Options of every modality, and the table of modalities."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig, Registry
from omnifuse.core.schema import Column, Schema
from omnifuse.core.spec import InputSpec


class TextConfig(PartConfig):
    """Text in any language, as byte-level BPE tokens.

    Attributes:
        vocabulary: number of different tokens, learned on the training split.
        max_length: longer texts are cut after this many tokens.
        lowercase: fold case before tokenizing.
        tokenizer: path of a `tokenizer.json` to use instead of learning one.
    """

    name: str = "text"
    vocabulary: Annotated[int, Field(ge=260, le=1_000_000)] = 8192
    max_length: Annotated[int, Field(ge=1, le=100_000)] = 256
    lowercase: bool = True
    tokenizer: str | None = None


class ImageConfig(PartConfig):
    """Images, scaled to one size.

    Attributes:
        size: height and width in pixels; by default the median shorter side of the training images, at most 128.
        channels: 3 for colour, 1 for grey.
        mean, std: normalisation of each channel, of values in [0, 1].
    """

    name: str = "image"
    size: Annotated[int, Field(ge=8, le=4096)] | None = None
    channels: Literal[1, 3] = 3
    mean: tuple[float, ...] = (0.5,)
    std: tuple[Annotated[float, Field(gt=0)], ...] = (0.5,)

    @model_validator(mode="after")
    def _one_for_each_channel(self) -> ImageConfig:
        for option in ("mean", "std"):
            if len(getattr(self, option)) not in (1, self.channels):
                raise OmnifuseError(f"{option}: give one value, or one for each of the {self.channels} channels")
        return self


class CategoryConfig(PartConfig):
    """One of several labels.

    Attributes:
        max_classes: the most frequent labels are kept, the others count as unknown (an input) or absent (a target).
    """

    name: str = "category"
    max_classes: Annotated[int, Field(ge=2)] = 10_000


class NumberConfig(PartConfig):
    """A number, standardised with the mean and deviation of the training split."""

    name: str = "number"


MODALITIES = Registry(
    "modality",
    {
        TextConfig: "omnifuse.data.modalities.text:TextProcessor",
        ImageConfig: "omnifuse.data.modalities.image:ImageProcessor",
        CategoryConfig: "omnifuse.data.modalities.category:CategoryProcessor",
        NumberConfig: "omnifuse.data.modalities.number:NumberProcessor",
    },
)


def column_config(column: Column, demands: InputSpec | None = None) -> PartConfig:
    """The checked options of a column, joined with what its encoder dictates.

    Raises:
        OmnifuseError: unknown modality or option (with the nearest), or an option that contradicts the encoder.
    """
    where = f"columns.{column.name}"
    config = MODALITIES.parse({"name": column.modality, **column.options}, where)
    dictated = demands.demands() if demands else {}
    for option, value in dictated.items():
        if option not in type(config).model_fields:
            raise OmnifuseError(f"{where}: its encoder dictates {option}={value}, which {column.modality} columns do not have")
        if option in config.model_fields_set and getattr(config, option) != value:
            raise OmnifuseError(
                f"{where}.{option}: {getattr(config, option)} contradicts its encoder, which dictates {value}; leave it out"
            )
    return config.model_copy(update=dictated)


def check_columns(schema: Schema) -> None:
    """Check the modality and options of every column."""
    for name in schema:
        column_config(schema[name])
