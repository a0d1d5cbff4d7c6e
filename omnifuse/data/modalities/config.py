"""Options of every modality, and the table of modalities."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig, Registry
from omnifuse.core.schema import Column, Schema
from omnifuse.core.spec import InputSpec

NOTHING = ("NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "#N/A", "-")
Seconds = Annotated[float, Field(gt=0)]


class ModalityConfig(PartConfig):
    """Options of a modality; those in `reads` say how raw values are read, the others how they become tensors.

    Only options in `reads` make `omnifuse prepare` read the sources anew.

    Attributes:
        absent: words that stand for nothing. Labels and texts have none by default: "None" and "NA" may be meant.
    """

    reads: ClassVar[tuple[str, ...]] = ()
    absent: tuple[str, ...] = NOTHING


def _words(value: Any) -> Any:
    """Labels of a YAML mapping as words: `{1: one, old: }` has a number and an empty place."""
    if not isinstance(value, dict):
        return value
    return {_word(wrong): _word(right) for wrong, right in value.items()}


def _listed(value: Any) -> Any:
    """Labels of a YAML list as words."""
    return [_word(label) for label in value] if isinstance(value, list | tuple) else value


def _word(label: Any) -> Any:
    return "" if label is None else str(label) if isinstance(label, int) else label


class TextConfig(ModalityConfig):
    """Text in any language, as byte-level BPE tokens.

    Attributes:
        vocabulary: number of different tokens, learned on the training split.
        max_length: longer texts are cut after this many tokens.
        lowercase: fold case before tokenizing.
        tokenizer: path of a `tokenizer.json` to use instead of learning one.
    """

    name: str = "text"
    absent: tuple[str, ...] = ()
    vocabulary: Annotated[int, Field(ge=260, le=1_000_000)] = 8192
    max_length: Annotated[int, Field(ge=1, le=100_000)] = 256
    lowercase: bool = True
    tokenizer: str | None = None


class ImageConfig(ModalityConfig):
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


class CategoryConfig(ModalityConfig):
    """One of several labels.

    Attributes:
        replace: labels to mend, as `{wrong: right}`; an empty right side makes them absent.
        lowercase: fold case, so that `Red` and `red` are one label.
        min_count: labels with fewer training rows count as unknown (an input) or absent (a target).
        max_classes: the most frequent labels are kept, the others count as unknown (an input) or absent (a target).
        order: all labels from the least to the most, where they have an order that is not that of numbers.
    """

    reads: ClassVar[tuple[str, ...]] = ("replace", "lowercase")

    name: str = "category"
    absent: tuple[str, ...] = ()
    replace: Annotated[dict[str, str], BeforeValidator(_words)] = {}
    lowercase: bool = False
    min_count: Annotated[int, Field(ge=1)] = 1
    max_classes: Annotated[int, Field(ge=2)] = 10_000
    order: Annotated[tuple[str, ...], BeforeValidator(_listed)] | None = None

    @model_validator(mode="after")
    def _each_once(self) -> CategoryConfig:
        if self.order is not None and (len(self.order) < 2 or len(set(self.order)) < len(self.order)):
            raise OmnifuseError("order: name at least two labels, from the least to the most, and each of them once")
        return self


class NumberConfig(ModalityConfig):
    """A number, standardised with the mean and deviation of the training split.

    Attributes:
        format: how it is written: `plain` as in 1083.31, `point` as in $1,083.31, `comma` as in 1.083,31 €.
        unit: of the column, such as `cm`; words that name another one, such as 1.8 m, are converted.
        minimum, maximum: numbers beyond are bad values.
        log: learn from its signed logarithm; for amounts and counts that span orders of magnitude.
    """

    reads: ClassVar[tuple[str, ...]] = ("format", "unit", "minimum", "maximum")

    name: str = "number"
    format: Literal["plain", "point", "comma"] = "plain"
    unit: Annotated[str, Field(min_length=1)] | None = None
    minimum: float | None = None
    maximum: float | None = None
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> NumberConfig:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise OmnifuseError(f"minimum {self.minimum:g} lies above maximum {self.maximum:g}; exchange them")
        return self


class AudioConfig(ModalityConfig):
    """Sound, as a waveform of one rate; from sound files and from the sound of films.

    Attributes:
        rate_hz: samples a second; others are resampled.
        channels: 1 mixes all channels into one, 2 keeps stereo.
        max_s: longer sounds are cut after so many seconds.
    """

    name: str = "audio"
    rate_hz: Annotated[int, Field(ge=1000, le=384_000)] = 16_000
    channels: Annotated[int, Field(ge=1, le=8)] = 1
    max_s: Seconds = 30.0


class VideoConfig(ModalityConfig):
    """Films, as a few frames spread evenly over their length. For their sound add an `audio` column with the same `source`.

    Attributes:
        frames: how many frames.
        size: height and width in pixels; by default the median shorter side of the training films, at most 112.
        channels: 3 for colour, 1 for grey.
        mean, std: normalisation of each channel, of values in [0, 1].
    """

    name: str = "video"
    frames: Annotated[int, Field(ge=1, le=4096)] = 8
    size: Annotated[int, Field(ge=8, le=4096)] | None = None
    channels: Literal[1, 3] = 3
    mean: tuple[float, ...] = (0.5,)
    std: tuple[Annotated[float, Field(gt=0)], ...] = (0.5,)

    @model_validator(mode="after")
    def _one_for_each_channel(self) -> VideoConfig:
        for option in ("mean", "std"):
            if len(getattr(self, option)) not in (1, self.channels):
                raise OmnifuseError(f"{option}: give one value, or one for each of the {self.channels} channels")
        return self


class SeriesConfig(ModalityConfig):
    """Sensor series: several channels over time, regular or with timestamps, of any length.

    Attributes:
        channels: names of the channels to use, in this order; by default all of them.
        time: name of the channel that holds the time; without it steps are even.
        time_unit: of the time; dates and times that are written out are read as such and need `s`.
        rate_hz: bring a series with timestamps to this even rate, linearly between neighbours.
        max_steps: longer series are cut after so many steps.
        max_gap_s: with `rate_hz`, wider gaps stay missing; by default twice the usual step, or twice the new one if that is wider.
    """

    reads: ClassVar[tuple[str, ...]] = ("time", "time_unit")

    name: str = "series"
    channels: tuple[str, ...] | None = None
    time: str | None = None
    time_unit: Literal["s", "ms", "us", "ns"] = "s"
    rate_hz: Annotated[float, Field(gt=0, le=1e9)] | None = None
    max_steps: Annotated[int, Field(ge=1, le=10_000_000)] = 4096
    max_gap_s: Seconds | None = None

    @model_validator(mode="after")
    def _rate_needs_time(self) -> SeriesConfig:
        if self.rate_hz is not None and self.time is None:
            raise OmnifuseError("rate_hz: only a series with timestamps can be brought to another rate; name their channel in `time`")
        if self.max_gap_s is not None and self.rate_hz is None:
            raise OmnifuseError("max_gap_s: gaps are only bridged with `rate_hz`; give both or neither")
        if self.channels is not None and (not self.channels or len(set(self.channels)) < len(self.channels)):
            raise OmnifuseError("channels: name at least one channel, and each of them once")
        return self


class PointsConfig(ModalityConfig):
    """Point clouds: x, y, z and features such as intensity or Doppler speed.

    Attributes:
        features: names of the features to use beside x, y, z, in this order; by default all that the training files share.
        max_points: of larger clouds so many points are chosen, the same ones each time.
        columns: what the columns of files without names (`.bin`, of float32, and `.npy`) hold.
    """

    reads: ClassVar[tuple[str, ...]] = ("columns", "features")

    name: str = "points"
    features: tuple[str, ...] | None = None
    max_points: Annotated[int, Field(ge=1, le=10_000_000)] = 2048
    columns: tuple[str, ...] = ("x", "y", "z", "intensity")

    @model_validator(mode="after")
    def _three_places(self) -> PointsConfig:
        if not {"x", "y", "z"} <= set(self.columns) or len(set(self.columns)) < len(self.columns):
            raise OmnifuseError("columns: name x, y and z among them, and each column once")
        if self.features is not None and ({"x", "y", "z"} & set(self.features) or len(set(self.features)) < len(self.features)):
            raise OmnifuseError("features: x, y and z are always there; name what is beside them, each once")
        return self


class SetConfig(ModalityConfig):
    """Several labels at once, or none of them.

    Attributes:
        separator: what stands between the labels where they are written as one word.
        replace: labels to mend, as `{wrong: right}`; an empty right side leaves them out.
        lowercase: fold case, so that `Red` and `red` are one label.
        min_count: labels with fewer training rows are left out.
        max_classes: the most frequent labels are kept, the others are left out.
    """

    reads: ClassVar[tuple[str, ...]] = ("separator", "replace", "lowercase")

    name: str = "set"
    absent: tuple[str, ...] = ()
    separator: Annotated[str, Field(min_length=1)] = "|"
    replace: Annotated[dict[str, str], BeforeValidator(_words)] = {}
    lowercase: bool = False
    min_count: Annotated[int, Field(ge=1)] = 1
    max_classes: Annotated[int, Field(ge=1)] = 10_000


class DatetimeConfig(ModalityConfig):
    """A moment: its place in time, and in the year, the week and the day.

    Attributes:
        format: how it is written, as `strptime` reads it (`%d/%m/%Y`), or what a number counts since 1970: `unix_s`, `unix_ms`,
            `unix_us`, `unix_ns`; by default ISO 8601.
        timezone: of moments that do not say theirs, such as `Europe/Berlin`; also where weekday and time of day are read off.
    """

    reads: ClassVar[tuple[str, ...]] = ("format", "timezone")

    name: str = "datetime"
    format: str | None = None
    timezone: str = "UTC"

    @model_validator(mode="after")
    def _readable(self) -> DatetimeConfig:
        from omnifuse.data.modalities.instants import check_format, zone_of

        check_format(self.format)
        zone_of(self.timezone)
        return self


class IdConfig(ModalityConfig):
    """A user or an item. Rare and new ones share a learned place, so that new users can be served.

    Attributes:
        min_count: ids with fewer training rows count as rare.
        max_ids: the most frequent ids are kept, the others count as rare.
    """

    name: str = "id"
    absent: tuple[str, ...] = ()
    min_count: Annotated[int, Field(ge=1)] = 2
    max_ids: Annotated[int, Field(ge=1)] = 10_000_000


class VectorConfig(ModalityConfig):
    """A fixed number of numbers, such as an embedding made elsewhere.

    Attributes:
        size: how many; vectors of another length are bad values. By default as many as all training rows have.
        standardise: by the mean and deviation of each place in the training split.
    """

    reads: ClassVar[tuple[str, ...]] = ("size",)

    name: str = "vector"
    size: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    standardise: bool = True


MODALITIES = Registry(
    "modality",
    {
        TextConfig: "omnifuse.data.modalities.text:TextProcessor",
        ImageConfig: "omnifuse.data.modalities.image:ImageProcessor",
        CategoryConfig: "omnifuse.data.modalities.category:CategoryProcessor",
        NumberConfig: "omnifuse.data.modalities.number:NumberProcessor",
        AudioConfig: "omnifuse.data.modalities.audio:AudioProcessor",
        VideoConfig: "omnifuse.data.modalities.video:VideoProcessor",
        SeriesConfig: "omnifuse.data.modalities.series:SeriesProcessor",
        PointsConfig: "omnifuse.data.modalities.points:PointsProcessor",
        SetConfig: "omnifuse.data.modalities.set:SetProcessor",
        DatetimeConfig: "omnifuse.data.modalities.datetime:DatetimeProcessor",
        IdConfig: "omnifuse.data.modalities.id:IdProcessor",
        VectorConfig: "omnifuse.data.modalities.vector:VectorProcessor",
    },
)


def column_config(column: Column, demands: InputSpec | None = None) -> ModalityConfig:
    """The checked options of a column, joined with what its encoder dictates.

    Raises:
        OmnifuseError: unknown modality or option (with the nearest), or an option that contradicts the encoder.
    """
    where = f"columns.{column.name}"
    config = MODALITIES.parse({"name": column.modality, **column.options}, where)
    assert isinstance(config, ModalityConfig), "options of a modality derive from ModalityConfig"
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
