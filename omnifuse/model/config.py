"""The `model` section of a recipe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, PlainValidator, SerializeAsAny, model_validator

from omnifuse.core.config import Config
from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.registry import PartConfig
from omnifuse.core.schema import Schema
from omnifuse.core.spec import InputSpec
from omnifuse.model.encoders.config import DEFAULT_ENCODERS, ENCODERS, EncoderConfig
from omnifuse.model.fusion.config import FUSIONS, JointConfig
from omnifuse.model.heads.config import DEFAULT_HEADS, HEADS

Encoder = Annotated[SerializeAsAny[PartConfig], PlainValidator(ENCODERS.parse)]
Fusion = Annotated[SerializeAsAny[PartConfig], PlainValidator(lambda value: FUSIONS.parse(value, default="joint"))]
Head = Annotated[SerializeAsAny[PartConfig], PlainValidator(HEADS.parse)]


class ModelConfig(Config):
    """What the model is made of.

    Attributes:
        dim: width D of every token; each encoder ends in it, fusion keeps it, heads begin with it.
        encoders: encoder of a column, by column name; by default the one its modality has.
        fusion: how the columns are brought together.
        heads: head of a target, by column name; by default the one its modality has.
    """

    dim: Annotated[int, Field(ge=4, le=65536)] = 64
    encoders: dict[str, Encoder] = {}
    fusion: Fusion = JointConfig()
    heads: dict[str, Head] = {}

    @model_validator(mode="after")
    def _widths(self) -> ModelConfig:
        for where, part in [("fusion", self.fusion), *((f"encoders.{n}", p) for n, p in self.encoders.items())]:
            heads = getattr(part, "heads", 1)
            if self.dim % heads:
                raise OmnifuseError(f"model.{where}.heads: {heads} attention heads do not divide model.dim = {self.dim}")
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

    def head_of(self, name: str, modality: str) -> PartConfig:
        """The head of a target: the one that is named, or the default of its modality."""
        chosen = self.heads.get(name) or _default(DEFAULT_HEADS, modality, f"columns.{name}", "head")
        answers = getattr(chosen, "modalities", (modality,))
        if modality not in answers:
            raise OmnifuseError(f'model.heads.{name}: "{chosen.name}" answers {" or ".join(answers)}, not {modality}')
        return chosen

    def demands(self, schema: Schema) -> dict[str, InputSpec]:
        """What the encoders dictate to the processors of their columns."""
        return {name: self.encoder_of(name, schema[name].modality).input_spec() for name in schema.inputs}

    def check(self, schema: Schema) -> None:
        """Raise unless every encoder and head belongs to a column and fits its modality."""
        _check_names(self.encoders, schema.inputs, "model.encoders", "input column")
        _check_names(self.heads, schema.targets, "model.heads", "target column")
        for name in schema.inputs:
            heads = getattr(self.encoder_of(name, schema[name].modality), "heads", 1)
            if self.dim % heads:
                raise OmnifuseError(f"model.dim: {self.dim} is not a multiple of the {heads} attention heads of the encoder of {name}")
        for name in schema.targets:
            self.head_of(name, schema[name].modality)


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
