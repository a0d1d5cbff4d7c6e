"""The `model` section of a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, PlainValidator, SerializeAsAny, model_validator

from omnifuse.core.config import Config
from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.registry import PartConfig
from omnifuse.core.schema import Schema
from omnifuse.core.spec import InputSpec, ValueSpec
from omnifuse.model.encoders.config import DEFAULT_ENCODERS, ENCODERS, EncoderConfig
from omnifuse.model.fusion.config import FUSIONS, FusionConfig, JointConfig
from omnifuse.model.heads.config import DEFAULT_HEADS, HEADS, HeadConfig
from omnifuse.model.pretrained.config import PretrainedConfig, naming_alike

Part = TypeVar("Part", bound=PartConfig)
Share = Annotated[float, Field(ge=0, lt=1)]
Encoder = Annotated[SerializeAsAny[PartConfig], PlainValidator(ENCODERS.parse)]
Fusion = Annotated[SerializeAsAny[PartConfig], PlainValidator(lambda value: FUSIONS.parse(value, default="joint"))]
Head = Annotated[SerializeAsAny[PartConfig], PlainValidator(HEADS.parse)]


def _filled_in(preset: Any) -> None:
    if preset is not None:
        raise OmnifuseError("it depends on the columns, so it is filled in where a whole recipe is read; here, name the parts")


class ModelConfig(Config):
    """What the model is made of.

    Attributes:
        preset: a well-known model, such as `clip`, whose parts take the place of what is not written; it is gone when the
            recipe has been read, and the parts are there.
        dim: width D of every token; each encoder ends in it, fusion keeps it, heads begin with it.
        encoders: encoder of a column, by column name; by default the one its modality has.
        fusion: how the columns are brought together.
        heads: head of a target, by column name; by default the one its modality has.
        modality_dropout: share of the rows in which an input column is left out in training, for all columns or by column;
            never all columns of a row. It makes a model that copes with columns that are missing later.
        unimodal: weight of the losses of further heads that read one column each, in training; 0 for none.
    """

    preset: Annotated[None, PlainValidator(_filled_in)] = None
    dim: Annotated[int, Field(ge=4, le=65536)] = 64
    encoders: dict[str, Encoder] = {}
    fusion: Fusion = JointConfig()
    heads: dict[str, Head] = {}
    modality_dropout: Share | dict[str, Share] = 0.0
    unimodal: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _widths(self) -> ModelConfig:
        for where, part in [("fusion", self.fusion), *((f"encoders.{n}", p) for n, p in self.encoders.items())]:
            heads, width = getattr(part, "heads", 1), part.inner(self.dim) if isinstance(part, EncoderConfig) else self.dim
            if width % heads:
                what = "model.dim" if width == self.dim else f"model.{where}.width"
                raise OmnifuseError(f"model.{where}.heads: {heads} attention heads do not divide {what} = {width}")
        return self

    def encoder_of(self, name: str, modality: str) -> EncoderConfig:
        """The encoder of a column: the one that is named, or the default of its modality."""
        chosen = self.encoders.get(name) or _default(DEFAULT_ENCODERS, modality, f"columns.{name}", "encoder")
        assert isinstance(chosen, EncoderConfig)
        if modality not in chosen.modalities:
            fits = [n for n, entry in ENCODERS.items() if modality in _modalities(entry.config)]
            raise OmnifuseError(
                f'model.encoders.{name}: "{chosen.name}" reads {" or ".join(chosen.modalities)}, not {modality}; use {" or ".join(fits)}'
            )
        return chosen

    def head_of(self, name: str, modality: str) -> HeadConfig:
        """The head of a target: the one that is named, or the default of its modality."""
        chosen, fits = self.heads.get(name) or DEFAULT_HEADS.get(modality), _answering(modality)
        if chosen is None:
            raise OmnifuseError(
                f"columns.{name}: there is no head for {modality} columns by default; name one: model.heads.{name}={fits[0]}"
            )
        assert isinstance(chosen, HeadConfig)
        if modality not in chosen.modalities:
            raise OmnifuseError(
                f'model.heads.{name}: "{chosen.name}" answers {" or ".join(chosen.modalities)}, not {modality}; use {" or ".join(fits)}'
            )
        return chosen

    def head_repeats(self, name: str, spec: ValueSpec) -> bool:
        """Whether a target may have a head of its own behind each column: not one that is half a model itself."""
        head = self.head_of(name, spec.modality)
        return not (head.encodes_target or isinstance(head, PretrainedConfig))

    def dropped(self, columns: Iterable[str]) -> dict[str, float]:
        """By input column, in which share of the rows it is left out in training; one column alone always stays."""
        names = list(columns)
        shares = self.modality_dropout
        return {n: 0.0 if len(names) < 2 else shares.get(n, 0.0) if isinstance(shares, dict) else shares for n in names}

    def demands(self, schema: Schema) -> dict[str, InputSpec]:
        """What encoders and heads dictate to the processors of their columns."""
        demands = {name: self.encoder_of(name, schema[name].modality).input_spec() for name in schema.inputs}
        for name in schema.targets:
            head = self.head_of(name, schema[name].modality)
            reads = self.encoder_of(name, schema[name].modality) if head.encodes_target else head
            demands[name] = _agreed(name, demands.get(name, InputSpec()), reads.input_spec())
        return demands

    def parts(self, inputs: Mapping[str, str], targets: Mapping[str, str]) -> dict[str, PartConfig]:
        """All parts for these columns, given with their modalities, by their place in the recipe, such as `model.encoders.photo`."""
        heads = {name: self.head_of(name, modality) for name, modality in targets.items()}
        encoded = {**inputs, **{name: modality for name, modality in targets.items() if heads[name].encodes_target}}
        encoders = {f"model.encoders.{name}": self.encoder_of(name, modality) for name, modality in encoded.items()}
        return {"model.fusion": self.fusion, **{f"model.heads.{name}": head for name, head in heads.items()}, **encoders}

    def resolved(self) -> Self:
        """The same parts, those trained elsewhere with all that is needed to build them without their folder or the hub."""
        return self.model_copy(
            update={
                "encoders": {name: _resolved(part) for name, part in self.encoders.items()},
                "fusion": _resolved(self.fusion),
                "heads": {name: _resolved(part) for name, part in self.heads.items()},
            }
        )

    def check(self, schema: Schema) -> None:
        """Raise unless every encoder and head belongs to a column and fits its modality, and the fusion can fuse the inputs."""
        heads = {name: self.head_of(name, schema[name].modality) for name in schema.targets}
        encoded = [*schema.inputs, *(name for name, head in heads.items() if head.encodes_target)]
        _check_names(self.encoders, encoded, "model.encoders", "input column")
        _check_names(self.heads, schema.targets, "model.heads", "target column")
        if isinstance(self.modality_dropout, dict):
            _check_names(self.modality_dropout, list(schema), "model.modality_dropout", "column")
        for name in encoded:
            encoder = self.encoder_of(name, schema[name].modality)
            attention = getattr(encoder, "heads", 1)
            if encoder.inner(self.dim) % attention:
                raise OmnifuseError(f"model.dim: {self.dim} is not a multiple of the {attention} attention heads of the encoder of {name}")
        for name, head in heads.items():
            head.check(f"model.heads.{name}", self.dim)
        inputs, targets = ({name: schema[name].modality for name in names} for names in (schema.inputs, schema.targets))
        naming_alike(self.parts(inputs, targets))
        if isinstance(self.fusion, FusionConfig):
            self.fusion.check(schema.inputs, self.dim)


def _agreed(name: str, encoder: InputSpec, head: InputSpec) -> InputSpec:
    """What a column that is read and answered has to be; its encoder and its head must want the same."""
    for option, value in head.demands().items():
        if encoder.demands().get(option, value) != value:
            raise OmnifuseError(
                f"model.heads.{name}: its {option} is {value}, that of the encoder {encoder.demands()[option]}; name parts that agree"
            )
    return encoder.model_copy(update=head.demands())


def _resolved(part: Part) -> Part:
    return part.resolved() if isinstance(part, PretrainedConfig) else part


def _answering(modality: str) -> list[str]:
    """The heads that answer a modality."""
    return [name for name, entry in HEADS.items() if modality in _modalities(entry.config)]


def _modalities(config: type[PartConfig]) -> tuple[str, ...]:
    return config.model_fields["modalities"].default if "modalities" in config.model_fields else getattr(config, "modalities", ())


def _default(table: dict[str, PartConfig], modality: str, where: str, kind: str) -> Any:
    if modality not in table:
        raise OmnifuseError(f"{where}: there is no {kind} for {modality} columns; known: {', '.join(table)}")
    return table[modality]


def _check_names(given: Iterable[str], known: list[str], where: str, kind: str) -> None:
    for name in given:
        if name not in known:
            raise unknown(kind, name, known, where=where)
